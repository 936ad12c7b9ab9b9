"""The names by which tools call the parts of a data set, as folders and lists have them."""

# Those that are read; what has no part yet, as CVAT's default one, is divided.
_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "default": "",
    "all": "",
    "trainval": "",
}
_OTHERS = {"test", "testing"}


def split_of(name: str) -> str | None:
    """train, val, or '' of a subset that is to be divided; None of another one."""
    return _SPLITS.get(name.casefold())


def is_subset(name: str) -> bool:
    """Whether a folder of this name is usually a subset."""
    return name.casefold() in {*_SPLITS, *_OTHERS}
