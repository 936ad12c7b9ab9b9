"""The names that tools give the parts of a data set, as folders and lists."""

from collections.abc import Collection, Sequence
from pathlib import Path

# The subsets that are read; '' marks those to be divided, such as CVAT's default subset.
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
    """train, val, or '' for a subset that is to be divided; None for other subsets."""
    return _SPLITS.get(name.casefold())


def is_subset(name: str) -> bool:
    """Whether a folder with this name is usually a subset."""
    return name.casefold() in {*_SPLITS, *_OTHERS}


def split_of_all(splits: Collection[str | None]) -> str | None:
    """The split of an image in several lists: train before val before ''; None if all are other subsets."""
    return next((split for split in ("train", "val", "") if split in splits), None)


def folder_splits(files: Sequence[Path], base: Path) -> list[str | None]:
    """The split of each file, from the outermost of its folders below `base` that is named as a subset: None for other
    subsets, '' without such a folder. All are '' if a single subset name occurs beside other folders, because a class
    may be called train."""
    found = [next(filter(is_subset, file.relative_to(base).parts[:-1]), None) for file in files]
    if None in found and len({split_of(name) for name in found if name}) < 2:
        return [""] * len(files)
    return [split_of(name) if name else "" for name in found]


def is_of_masks(name: str) -> bool:
    """Whether a folder with this name usually contains masks."""
    return name.casefold() in _MASKS


def is_part(name: str) -> bool:
    """Whether a folder with this name is usually a part of a data set, not a class."""
    return is_subset(name) or is_of_masks(name) or name.casefold() in _PICTURES
