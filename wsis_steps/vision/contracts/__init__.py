"""The HDF5 contracts of the workflow, one module each: a reader, a writer.

Every artifact is flat: one table of images (`id`, `height`, `width`, `first`) and tables of rows; the rows of
image i are `first[i]:first[i + 1]`. There is no group per image. The root attributes say what made the file
(see `Provenance`). Readers open a file lazily in each process, so they may cross a fork.
"""
