"""What an imported data set is: what `dataset.py` makes of a reader's drawings, whatever the format.

Pictures are not decoded yet. The import step loads them and the true masks record by record, in a process pool if it
likes: records and `truth` pickle.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wsis_steps.engine.problems import Problems

SPLITS = ("train", "val")


def no_rows(columns: int) -> np.ndarray:
    """An empty float32 table of shape (0, columns)."""
    return np.zeros((0, columns), np.float32)


@dataclass
class ImageRecord:
    """One image and its weak annotations.

    `id` is unique in the data set; `split` is 'train' or 'val'; `tags` are sorted 0-based categories without
    repeats; `points` is float32 (n, 3): x, y, category, where (0, 0) is the middle of the first pixel;
    `boxes` is float32 (n, 5): x1, y1, x2, y2, category in pixels, x2 and y2 being the last pixel + 1. Both
    tables may be empty.
    """

    id: str
    split: str
    path: Path
    tags: tuple[int, ...]
    points: np.ndarray = field(default_factory=lambda: no_rows(3))
    boxes: np.ndarray = field(default_factory=lambda: no_rows(5))


@dataclass
class TrueInstances:
    """The true masks of one image: COCO RLE dicts with bytes counts, one category (int64, 0-based) and one
    crowd flag (bool) a mask, and the region that no score may count (VOC's void pixels), or None where there
    is none."""

    masks: list[dict]
    categories: np.ndarray
    crowd: np.ndarray
    ignore: dict | None = None


@dataclass
class Dataset:
    """An imported data set. `truth(record)` gives the true masks, or None where the split has none. `counts` are
    figures worth keeping with the import; `omissions` a sentence for each reason for which something is left out,
    `left_out` how much by reason; `doubts` sentences about annotations that may be wrong."""

    class_names: list[str]
    records: list[ImageRecord]
    truth: Callable[[ImageRecord], TrueInstances | None]
    counts: dict
    omissions: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)


def divide(names: list[str], val_share: float) -> list[str]:
    """The split of each name: the `val_share` (0 to 1) whose hashes come last go to val, whatever their order."""
    order = sorted(range(len(names)), key=lambda k: hashlib.sha256(names[k].encode()).hexdigest())
    val = set(order[len(names) - round(val_share * len(names)) :])
    return ["val" if k in val else "train" for k in range(len(names))]


def check_ids(records: list[ImageRecord], problems: Problems) -> None:
    """Notes every id that more than one image has."""
    first: dict[str, Path] = {}
    for record in records:
        if record.id in first:
            problems.add(f"{record.path}: its id '{record.id}' is also that of {first[record.id]}.")
        first.setdefault(record.id, record.path)
