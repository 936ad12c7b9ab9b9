"""Packs the annotations of each image, and the masks of all images, into few objects; there may be a million images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsis_steps.formats.fitted import Fitted
from wsis_steps.formats.records import no_rows
from wsis_steps.formats.truth import PackedTruth

_NO_NUMBERS, _NO_FLAGS = np.zeros(0, np.int64), np.zeros(0, bool)  # of all images without masks


@dataclass(slots=True)
class Packed:
    """The content of `Fitted`, with label numbers in place of label names.

    tags: label numbers. points float32 (n, 3), boxes float32 (n, 5): coordinates, then the label. labels int64 (m,),
    crowd bool (m,), codes (concatenated) and lengths int64 (m,): of the masks. The rest is as in `Fitted`.
    """

    height: int
    width: int
    tags: tuple[int, ...]
    points: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    codes: bytes
    lengths: np.ndarray
    ignore: dict | None
    without_mask: Sequence[tuple[str, str]]
    kept: int
    joined: int
    doubts: Sequence[tuple[str, str]]


def pack(found: Fitted, numbers: dict[str, int]) -> Packed:
    """The packed annotations of an image. numbers: label -> number; new labels are added."""

    def number(label: str) -> int:
        return numbers.setdefault(label, len(numbers))

    def table(rows: list[tuple], width: int) -> np.ndarray:
        if not rows:
            return no_rows(width)
        return np.array([(*row[:-1], number(row[-1])) for row in rows], np.float32)

    codes = [rle["counts"] for rle in found.rles]
    return Packed(
        found.height,
        found.width,
        tuple(map(number, sorted(found.tags))),
        table(found.points, 3),
        table(found.boxes, 5),
        np.array([number(label) for label in found.labels], np.int64) if codes else _NO_NUMBERS,
        np.array(found.crowd, bool) if codes else _NO_FLAGS,
        b"".join(codes),
        np.array([len(code) for code in codes], np.int64) if codes else _NO_NUMBERS,
        found.ignore,
        tuple(found.without_mask),
        found.kept,
        found.joined,
        tuple(found.doubts),
    )


def pack_truth(images: Sequence[tuple[str, Packed]], categories: np.ndarray) -> PackedTruth:
    """The masks of images, given as (id, annotations). categories: int64, the category of each label number."""
    found = [one for _, one in images]
    ends = np.cumsum([0, *(len(one.labels) for one in found)]).tolist()
    lengths = np.concatenate([np.zeros(1, np.int64), *(one.lengths for one in found)])
    return PackedTruth(
        {
            name: (first, last, one.height, one.width)
            for (name, one), first, last in zip(images, ends[:-1], ends[1:], strict=True)
        },
        b"".join(one.codes for one in found),
        np.cumsum(lengths),
        categories[np.concatenate([np.zeros(0, np.int64), *(one.labels for one in found)])],
        np.concatenate([np.zeros(0, bool), *(one.crowd for one in found)]),
        {name: one.ignore for name, one in images if one.ignore},
    )
