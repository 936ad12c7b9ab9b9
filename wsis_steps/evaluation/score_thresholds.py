"""Precision, recall and F1 of instances by the score below which they are left out, and the score with the best F1."""

from dataclasses import dataclass
from typing import Any

import numpy as np

GRID = np.arange(101, dtype=np.float32) / np.float32(100)  # scores that are tried: 0, 0.01, ..., 1
_LISTED = slice(5, 100, 5)  # scores of the written curves: 0.05, 0.10, ..., 0.95


@dataclass(frozen=True)
class ThresholdCounts:
    """Counts by class and score of `GRID`: what is kept if everything below the score is left out.

    right, kept: int64 (classes, 101), kept instances that are right, and all kept ones; wanted: int64 (classes,), how
    many there are to find.
    """

    right: np.ndarray
    kept: np.ndarray
    wanted: np.ndarray

    def pooled(self) -> "ThresholdCounts":
        """The counts of all classes together, as one class."""
        return ThresholdCounts(self.right.sum(0, keepdims=True), self.kept.sum(0, keepdims=True),
                               self.wanted.sum(keepdims=True))  # fmt: skip

    def precision(self) -> np.ndarray:
        """float64 (classes, 101), 0 to 1; NaN where nothing is kept."""
        return _ratio(self.right, self.kept)

    def recall(self) -> np.ndarray:
        """float64 (classes, 101), 0 to 1; NaN where there is nothing to find."""
        return _ratio(self.right, np.broadcast_to(self.wanted[:, None], self.right.shape))

    def f1(self) -> np.ndarray:
        """float64 (classes, 101), 0 to 1: twice the right ones over all kept and all wanted; NaN for 0 / 0."""
        return _ratio(2 * self.right, self.kept + self.wanted[:, None])

    def best(self) -> np.ndarray:
        """The places in `GRID` with the highest F1, int64 (classes,): the middle one of equal ones, -1 where no F1 is
        above 0."""
        f1 = np.nan_to_num(self.f1())
        top = f1.max(axis=1, keepdims=True)
        is_top = (f1 == top) & (top > 0)
        rank = np.cumsum(is_top, axis=1)
        middle = (rank == (is_top.sum(axis=1, keepdims=True) + 1) // 2) & is_top
        return np.where(is_top.any(axis=1), middle.argmax(axis=1), -1)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def count_kept(scores: np.ndarray, categories: np.ndarray, class_count: int) -> np.ndarray:
    """How many instances of each class have at least each score of `GRID`, int64 (classes, 101)."""
    # the number of grid scores that an instance reaches, from 0 to 101
    reached = np.searchsorted(GRID, scores.astype(np.float32), side="right")
    places = np.bincount(categories * (len(GRID) + 1) + reached, minlength=class_count * (len(GRID) + 1))
    counts = places.reshape(class_count, len(GRID) + 1)
    return counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]


def against_tags(tags: np.ndarray, highest: np.ndarray) -> ThresholdCounts:
    """Counts pairs of an image and a class: kept if any instance of the class is, right if the image also has its tag.

    tags: bool (images, classes); highest: highest score of the instances of each class on each image, float32
    (images, classes), 0 where there are none.
    """
    (_, found), class_count = np.nonzero(highest > 0), tags.shape[1]
    right = tags & (highest > 0)
    return ThresholdCounts(
        count_kept(highest[right], np.nonzero(right)[1], class_count),
        count_kept(highest[highest > 0], found, class_count),
        tags.sum(axis=0),
    )


def curves(counts: ThresholdCounts, class_names: tuple[str, ...]) -> dict[str, Any]:
    """The curves of each class and of all together (`pooled`), as JSON values: precision, recall and F1 at each of
    `scores`, and the score with the best F1. None for NaN."""

    def values(one: ThresholdCounts, row: int) -> dict[str, Any]:
        best, parts = int(one.best()[row]), {"precision": one.precision(), "recall": one.recall(), "f1": one.f1()}
        at_best = {name: _json(part[row, best]) for name, part in parts.items()} if best >= 0 else {}
        listed = {name: list(map(_json, part[row, _LISTED])) for name, part in parts.items()}
        return {**listed, "best": {"score": best / 100, **at_best} if at_best else None}

    return {
        "scores": [round(float(score), 2) for score in GRID[_LISTED]],
        "pooled": values(counts.pooled(), 0),
        "classes": {name: values(counts, row) for row, name in enumerate(class_names)},
    }


def _json(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
