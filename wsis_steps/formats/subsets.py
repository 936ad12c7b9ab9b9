"""The names by which tools call the parts of a data set, as folders and lists have them."""

from collections.abc import Collection, Sequence
from pathlib import Path

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
_OTHERS = {"test", "testing", "eval", "evaluation"}
_MASKS = {
    "mask", "masks", "gt", "gts", "groundtruth", "ground_truth", "labels", "segmentation", "segmentations",
    "segmentationclass", "segmentationobject", "segmentationclasspng", "segmentationobjectpng",
    "segmentationclassvisualization", "segmentationobjectvisualization",
}  # fmt: skip
_PICTURES = {"images", "image", "imgs", "img", "jpegimages", "pictures", "photos", "annotations"}


def split_of(name: str) -> str | None:
    """train, val, or '' of a subset that is to be divided; None of another one."""
    return _SPLITS.get(name.casefold())


def is_subset(name: str) -> bool:
    """Whether a folder of this name is usually a subset."""
    return name.casefold() in {*_SPLITS, *_OTHERS}


def split_of_all(splits: Collection[str | None]) -> str | None:
    """The split of a picture that several lists have: train before val before one that is to be divided; None where all
    are of other subsets."""
    return next((split for split in ("train", "val", "") if split in splits), None)


def folder_splits(files: Sequence[Path], base: Path) -> list[str | None]:
    """The split of each file by the outermost of its folders below `base` that is called as a subset, None of another
    subset, '' where none is. All are '' where one name of a subset stands beside other folders: a class may be called
    train."""
    found = [next(filter(is_subset, file.relative_to(base).parts[:-1]), None) for file in files]
    if None in found and len({split_of(name) for name in found if name}) < 2:
        return [""] * len(files)
    return [split_of(name) if name else "" for name in found]


def is_of_masks(name: str) -> bool:
    """Whether a folder of this name usually holds the masks of pictures."""
    return name.casefold() in _MASKS


def is_part(name: str) -> bool:
    """Whether a folder of this name is usually a part of a data set, and no class."""
    return is_subset(name) or is_of_masks(name) or name.casefold() in _PICTURES
