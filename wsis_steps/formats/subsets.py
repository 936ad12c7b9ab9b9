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
_MASKS = {
    "mask", "masks", "gt", "gts", "groundtruth", "ground_truth", "labels", "segmentation", "segmentations",
    "segmentationclass", "segmentationobject", "segmentationclasspng", "segmentationobjectpng",
    "segmentationclassvisualization", "segmentationobjectvisualization",
}  # fmt: skip


def split_of(name: str) -> str | None:
    """train, val, or '' of a subset that is to be divided; None of another one."""
    return _SPLITS.get(name.casefold())


def is_subset(name: str) -> bool:
    """Whether a folder of this name is usually a subset."""
    return name.casefold() in {*_SPLITS, *_OTHERS}


def is_of_masks(name: str) -> bool:
    """Whether a folder of this name usually holds the masks of pictures."""
    return name.casefold() in _MASKS
