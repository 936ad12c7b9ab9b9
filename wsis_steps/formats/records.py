"""The contract between the importers (voc, coco, folder) and the import step: what an imported data set is.

An importer reads annotations and lists, checks all of them, and hands back a `Dataset`; it decodes no
picture. The step then loads pictures and true masks record by record, in a process pool if it likes: records
and `truth` pickle.
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


def no_truth(record: ImageRecord) -> None:
    """The `truth` of a data set without masks."""


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
            problems.add(f"{record.path}: its id '{record.id}' is also that of {first[record.id]}")
        first.setdefault(record.id, record.path)


def middle_points(id_map: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The centroid of each instance moved to its nearest own pixel: int64 (n, 2) of x, y.

    `id_map` is an integer HxW map whose non-zero values are `ids` (n, sorted). A ring's centroid lies in its
    hole, so the centroid itself need not belong to the instance; of equally near pixels the first in reading
    order wins.
    """
    ids = np.asarray(ids)
    if len(ids) == 0:
        return np.zeros((0, 2), np.int64)
    ys, xs = np.nonzero(id_map)
    which = np.searchsorted(ids, id_map[ys, xs])
    area = np.bincount(which, minlength=len(ids))
    cx = np.bincount(which, xs, len(ids)) / area
    cy = np.bincount(which, ys, len(ids)) / area
    points = np.stack([np.rint(cx), np.rint(cy)], axis=1).astype(np.int64)
    outside = id_map[points[:, 1], points[:, 0]] != ids
    if outside.any():
        # The rounded centroid, where it lies inside, is the nearest pixel already: sort only the others'
        # pixels.
        kept = outside[which]
        ys, xs, which = ys[kept], xs[kept], which[kept]
        distance = (xs - cx[which]) ** 2 + (ys - cy[which]) ** 2
        order = np.lexsort((distance, which))
        first = order[np.searchsorted(which[order], np.flatnonzero(outside))]
        points[outside] = np.stack([xs[first], ys[first]], axis=1)
    return points
