"""Links and datasets in an HDF5 file that stand for data elsewhere.

This program writes none, and those in someone else's file may name any file of this computer.
"""

import h5py


def elsewhere(file: h5py.File) -> str:
    """A clause about the first link or dataset that may lead out of an open file; empty if all data are in it."""
    found: list[tuple[bytes, int]] = []
    # Only collects: an error inside the visit, as in a damaged file, would leave h5py's lock in disorder.
    file.id.links.visit(lambda name, about: found.append((name, about.type)), info=True)
    for name, kind in found:
        if kind != h5py.h5l.TYPE_HARD:
            return f"its '{_text(name)}' is a link, not data"
        if h5py.h5o.get_info(file.id, name).type == h5py.h5o.TYPE_DATASET and (outside := _outside(file, name)):
            return outside[0]
    return ""


def _outside(file: h5py.File, name: bytes) -> list[str]:
    stored = h5py.h5d.open(file.id, name).get_create_plist()
    if stored.get_layout() == h5py.h5d.VIRTUAL:
        return [f"its '{_text(name)}' is a virtual dataset: its data are in other files"]
    return [f"the data of its '{_text(name)}' are in another file"] if stored.get_external_count() else []


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
