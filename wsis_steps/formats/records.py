"""The records of an imported data set, which `dataset.py` makes from a reader's drawings of any format.

Images are not decoded yet. The import step loads images and ground truth masks record by record; a process pool can be
used, because records and `truth` can be pickled.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from wsis_steps.engine.problems import Problems

SPLITS = ("train", "val")


@cache
def no_rows(columns: int) -> np.ndarray:
    """The empty float32 table of shape (0, columns): one for all images without rows."""
    return np.zeros((0, columns), np.float32)


@dataclass(slots=True)
class ImageRecord:
    """One image and its weak annotations.

    `id` is unique in the data set; `name` is what the annotations call the image, empty if nothing; `split` is 'train'
    or 'val'; `tags` are sorted 0-based categories without repeats; `points` is float32 (n, 3): x, y, category, where
    (0, 0) is the center of the first pixel; `boxes` is float32 (n, 5): x1, y1, x2, y2, category in pixels, x2 and y2
    being the last pixel + 1. Both tables may be empty.
    """

    id: str
    split: str
    path: Path
    tags: tuple[int, ...]
    points: np.ndarray = field(default_factory=lambda: no_rows(3))
    boxes: np.ndarray = field(default_factory=lambda: no_rows(5))
    name: str = ""


@dataclass
class TrueInstances:
    """The ground truth masks of one image: COCO RLE dicts with bytes counts, a category (int64, 0-based) and a crowd
    flag (bool) per mask, and the region that scores ignore (VOC's void pixels), or None."""

    masks: list[dict]
    categories: np.ndarray
    crowd: np.ndarray
    ignore: dict | None = None


@dataclass
class Dataset:
    """An imported data set. truth: gives the ground truth masks of a record, None if its split has none. counts:
    figures to keep with the import. omissions: one sentence per reason for leaving something out. left_out: the counts
    by reason. doubts: sentences about annotations that may be wrong."""

    class_names: list[str]
    records: list[ImageRecord]
    truth: Callable[[ImageRecord], TrueInstances | None]
    counts: dict
    omissions: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)


def divide(names: list[str], val_share: float) -> list[str]:
    """The split of each name: the share `val_share` (0 to 1) with the largest hashes is val, whatever the order."""
    order = sorted(range(len(names)), key=lambda k: hashlib.sha256(names[k].encode()).hexdigest())
    val = set(order[len(names) - round(val_share * len(names)) :])
    return ["val" if k in val else "train" for k in range(len(names))]


def check_ids(records: list[ImageRecord], problems: Problems) -> None:
    """Notes every id that two images share."""
    first: dict[str, Path] = {}
    for record in records:
        if record.id in first:
            problems.add(f"{record.path}: its id '{record.id}' is also that of {first[record.id]}.")
        first.setdefault(record.id, record.path)
