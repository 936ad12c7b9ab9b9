"""The workflow's HDF5 contracts: one module each, with a reader and a writer.

Every artifact is flat: a table of images (`id`, `height`, `width`, `first`) and tables of rows. The rows of image i are
`first[i]:first[i + 1]`; there is no group per image. The root attributes say what made the file (see `Provenance`).
Readers open their file lazily in each process, so they may cross a fork.
"""
