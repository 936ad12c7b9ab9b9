"""The meaning of a box's four numbers, inferred from the image sizes: their order, their kind, their origin.

Files rarely state it. Among many boxes read the wrong way, some soon lie outside an image or have no area.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wsis_steps.engine.errors import InputError

_REACH = 0.9  # share of the image sides that good proposals reach
_MANY = 20  # number of boxes from which some should


@dataclass(frozen=True)
class Reading:
    """A reading of four numbers.

    rows_first: y before x. sizes: width and height instead of the last corner. start: the number of the first pixel.
    included: the last corner is the last pixel, not one past it.
    """

    rows_first: bool
    sizes: bool
    start: int
    included: bool

    @property
    def order(self) -> str:
        """Such as 'y1, x1, y2, x2'."""
        names = ("x", "y", "width", "height") if self.sizes else ("x1", "y1", "x2", "y2")
        return ", ".join(names[k] for k in self._columns)

    @property
    def title(self) -> str:
        """Such as 'y1, x1, y2, x2 from 1, the last included'."""
        last = "" if self.sizes else f", the last {'included' if self.included else 'excluded'}"
        return f"{self.order} from {self.start}{last}"

    @property
    def _columns(self) -> Sequence[int]:
        return (1, 0, 3, 2) if self.rows_first else (0, 1, 2, 3)

    def boxes(self, rows: np.ndarray) -> np.ndarray:
        """float64 (n, 4) x1, y1, x2, y2 from 0, x2 and y2 one past the last pixel."""
        rows = rows[:, self._columns].astype(np.float64)
        first = rows[:, :2] - self.start
        last = first + rows[:, 2:] if self.sizes else rows[:, 2:] - self.start + self.included
        return np.hstack([first, last])

    def misfits(self, rows: np.ndarray, height: int, width: int) -> np.ndarray:
        """bool (n,): boxes without area, with fractions of pixels, or not inside a picture of that size."""
        boxes = self.boxes(rows)
        inside = (boxes[:, :2] >= 0).all(1) & (boxes[:, 2:] <= [width, height]).all(1)
        return ~inside | (boxes[:, :2] >= boxes[:, 2:]).any(1) | (boxes != np.rint(boxes)).any(1)


PUBLISHED = Reading(True, False, 1, True)
# The first that fits is used; those of equal order differ by a pixel.
READINGS = (
    PUBLISHED,
    *(Reading(True, False, 0, included) for included in (True, False)),
    *(Reading(False, False, start, included) for start, included in ((1, True), (0, True), (0, False))),
    *(Reading(rows_first, True, start, False) for rows_first in (False, True) for start in (1, 0)),
)


def tell_reading(
    name: str, boxes: Mapping[str, np.ndarray], sizes: Mapping[str, tuple[int, int]]
) -> tuple[Reading, list[str]]:
    """How to read the boxes (n, 4) of images, and sentences about possible errors. If no reading fits, it is the
    published one, and the reader of the boxes reports the misfit.

    name: of the file. sizes: height and width of each image.

    Raises InputError if corners do not fit, but more than one order of sizes does.
    """
    if not any(map(len, boxes.values())):
        return PUBLISHED, []
    fitting = [one for one in READINGS if not any(one.misfits(rows, *sizes[k]).any() for k, rows in boxes.items())]
    if not fitting:
        return PUBLISHED, []
    chosen, orders = fitting[0], list(dict.fromkeys(one.order for one in fitting))
    others = _either(orders[1:])
    if chosen.sizes and others:
        raise InputError(f"{name}: its boxes may be '{chosen.order}' or {others}; write them as {PUBLISHED.title}.")
    doubts = _shrunk(name, chosen, boxes, sizes)
    if chosen != PUBLISHED:
        doubts.append(f"{name}: its boxes are read as {chosen.title}, since they do not fit as {PUBLISHED.title}.")
    if others:
        doubts.append(f"{name}: its boxes are read as {chosen.title}, but would fit their pictures as {others}, too.")
    return chosen, doubts


def _shrunk(
    name: str, reading: Reading, boxes: Mapping[str, np.ndarray], sizes: Mapping[str, tuple[int, int]]
) -> list[str]:
    """A sentence if no box comes near the far sides of its picture."""
    ends = [reading.boxes(rows)[:, 2:] / sizes[k][::-1] for k, rows in boxes.items() if len(rows)]
    across, down = np.concatenate(ends).max(axis=0)
    if max(across, down) >= _REACH or sum(map(len, ends)) < _MANY:
        return []
    return [
        f"{name}: its boxes end at {across:.0%} of the width and {down:.0%} of the height of their pictures; were "
        "these smaller when the boxes were made?"
    ]


def _either(orders: Iterable[str]) -> str:
    """'x1, y1, x2, y2' or 'x, y, width, height'."""
    return " or ".join(f"'{order}'" for order in orders)
