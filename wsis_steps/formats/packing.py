"""The annotations of an image in few objects, since there may be a million images, and the masks of all in one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsis_steps.formats.fitted import Fitted
from wsis_steps.formats.truth import PackedTruth


@dataclass(slots=True)
class Packed:
    """What `Fitted` holds, with numbers of labels in place of them.

    tags: int64 (n,). points float32 (n, 3), boxes float32 (n, 5): places and, last, the label. labels int64 (m,), crowd
    bool (m,), codes: of the masks, whose lengths are int64 (m,). The rest is as in `Fitted`.
    """

    height: int
    width: int
    tags: np.ndarray
    points: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    codes: bytes
    lengths: np.ndarray
    ignore: dict | None
    without_mask: list[tuple[str, str]]
    kept: int
    joined: int
    doubts: list[tuple[str, str]]


def pack(found: Fitted, numbers: dict[str, int]) -> Packed:
    """The annotations of an image; `numbers`: those of all labels up to now, to which new ones are added."""

    def number(label: str) -> int:
        return numbers.setdefault(label, len(numbers))

    def table(rows: list[tuple], width: int) -> np.ndarray:
        return np.array([(*row[:-1], number(row[-1])) for row in rows], np.float32).reshape(-1, width)

    codes = [rle["counts"] for rle in found.rles]
    return Packed(
        found.height,
        found.width,
        np.array([number(label) for label in sorted(found.tags)], np.int64),
        table(found.points, 3),
        table(found.boxes, 5),
        np.array([number(label) for label in found.labels], np.int64),
        np.array(found.crowd, bool),
        b"".join(codes),
        np.array([len(code) for code in codes], np.int64),
        found.ignore,
        found.without_mask,
        found.kept,
        found.joined,
        found.doubts,
    )


def pack_truth(images: Sequence[tuple[str, Packed]], categories: np.ndarray) -> PackedTruth:
    """The masks of images, id and annotations, one after another; `categories`: of each label, by its number."""
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
