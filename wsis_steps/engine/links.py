"""Links and datasets in an HDF5 file that stand for data elsewhere.

This program writes none, and those in someone else's file may name any file of this computer.
"""

import h5py


def elsewhere(file: h5py.File) -> str:
    """A clause about the first link or dataset that may lead out of an open file; empty if all data are in it."""
    found = []

    def look(name: bytes, about: h5py.h5l.LinkInfo) -> bool | None:
        if about.type != h5py.h5l.TYPE_HARD:
            found.append(f"its '{_text(name)}' is a link, not data")
        elif h5py.h5o.get_info(file.id, name).type == h5py.h5o.TYPE_DATASET:
            found.extend(_outside(file, name))
        return True if found else None  # True ends the visit

    file.id.links.visit(look, info=True)
    return found[0] if found else ""


def _outside(file: h5py.File, name: bytes) -> list[str]:
    stored = h5py.h5d.open(file.id, name).get_create_plist()
    if stored.get_layout() == h5py.h5d.VIRTUAL:
        return [f"its '{_text(name)}' is a virtual dataset: its data are in other files"]
    return [f"the data of its '{_text(name)}' are in another file"] if stored.get_external_count() else []


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
