"""Reads polygons in the notations of different tools, and COCO's run-length codes; the nesting distinguishes them.

Accepted: a flat list x, y, x, y, ...; pairs [x, y] or {"x": x, "y": y}; OpenCV contours of shape (n, 1, 2); lists of
these; run-length codes, alone or in a list. Numbers may be text. Anything else raises a ValueError that says what is
expected.
"""

import math
from itertools import chain
from reprlib import Repr

import numpy as np
from pycocotools import mask as coco

from wsis_steps.vision.run_lengths import run_lengths, without_empty

EXPECTED = "expected is a list of polygons, each x1, y1, x2, y2, ... with at least three corners, or a run-length code"
_DEEPEST = 5  # lists within lists
_NUMBERS = frozenset({int, float})
_TEXT_OR_NUMBER = (int, float, str)
_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxdict, _SHORT.maxstring, _SHORT.maxother = 3, 8, 4, 60, 60


def read_segmentation(value: object, height: int, width: int, least: int = 3) -> dict | list[np.ndarray] | None:
    """The run-length code of a mask (height, width), or the rings of its polygons, float64 (n, 2) with n >= `least`;
    None if empty. Raises ValueError if it is neither."""
    if is_nothing(value):
        return None
    if isinstance(value, dict) and "counts" in value:
        return read_code(value, height, width)
    if not isinstance(value, list | tuple):
        raise ValueError(f"it is {shown(value)}; {EXPECTED}")
    if all(isinstance(part, dict) and "counts" in part for part in value):
        return coco.merge([read_code(part, height, width) for part in value])
    return read_rings(value, least)


def is_nothing(value: object) -> bool:
    """Whether a segmentation is null or an empty list at any depth; some tools write [[]] for a box."""
    while isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    return value is None or (isinstance(value, list | tuple | dict | str) and not value)


def read_rings(value: list, least: int = 3) -> list[np.ndarray]:
    """The rings of polygons, float64 (n, 2) with n >= `least`. Raises ValueError for invalid parts."""
    try:
        rings = [np.array(ring, np.float64).reshape(-1, 2) for ring in _rings(value, 0)]
    except OverflowError:
        raise ValueError(f"a polygon has a corner that is no number; {EXPECTED}") from None
    if not rings:
        raise ValueError(f"it holds no number; {EXPECTED}")
    for ring in rings:
        if len(ring) < least:
            raise ValueError(few_corners(ring))
        if not np.isfinite(ring).all():
            raise ValueError(f"a polygon has a corner that is no number; {EXPECTED}")
    return rings


def few_corners(ring: np.ndarray) -> str:
    """The error of a ring with fewer than three corners."""
    return f"a polygon has {len(ring)} corner{'s' * (len(ring) > 1)}; {EXPECTED}"


def read_code(value: dict, height: int, width: int) -> dict:
    """COCO's run-length code with bytes counts. Raises ValueError if it is not a mask (height, width).

    `counts` of `value`: the compressed text, or a list of run lengths, column by column, starting with zeros. Empty
    runs are removed.
    """
    size, counts = value.get("size"), value["counts"]
    if not isinstance(size, list | tuple) or list(size) != [height, width]:
        there = f"{size[1]}x{size[0]}" if isinstance(size, list | tuple) and len(size) == 2 else shown(size)
        raise ValueError(f"its mask is {there}, the picture {width}x{height}")
    if isinstance(counts, list):
        if float in set(map(type, counts)):  # as NumPy and JavaScript write them
            counts = [int(run) if type(run) is float and run.is_integer() else run for run in counts]
        if not all(type(run) is int for run in counts):
            odd = next(run for run in counts if type(run) is not int)
            raise ValueError(f"the lengths of its runs are no whole numbers, as {shown(odd)}")
        if min(counts, default=0) < 0 or sum(counts) != height * width:
            raise ValueError("the lengths of its runs do not add up to the picture")
        return _encode_runs(counts, height, width)
    if not isinstance(counts, str | bytes):
        raise ValueError(f"its counts are {shown(counts)}, neither text nor a list of lengths")
    if isinstance(counts, str):
        if not counts.isascii():
            raise ValueError("its counts are not a compressed RLE")
        counts = counts.encode("ascii")
    code = {"size": [height, width], "counts": counts}
    runs = run_lengths(code)  # validates before any library reads it
    return code if all(runs[1:]) else _encode_runs(runs, height, width)


def _encode_runs(runs: list[int], height: int, width: int) -> dict:
    return coco.frPyObjects({"size": [height, width], "counts": without_empty(runs)}, height, width)


def _rings(value: list | tuple, depth: int) -> list[list]:
    """The flat number lists of all rings of a nested list."""
    if depth > _DEEPEST:
        raise ValueError(f"its lists are nested {depth} deep; {EXPECTED}")
    if not value:
        return []
    if _NUMBERS.issuperset(map(type, value)):
        return [_even(value)]
    if all(isinstance(one, _TEXT_OR_NUMBER) for one in value):
        return [_even([number(one) for one in value])]
    if all(
        type(one) is list and len(one) == 2 and type(one[0]) in _NUMBERS and type(one[1]) in _NUMBERS for one in value
    ):
        return [list(chain.from_iterable(value))]  # the common case, several times faster than the code below
    points = [_point(one) for one in value]
    if all(point is not None for point in points):
        return [list(chain.from_iterable(points))]
    if not all(isinstance(one, list | tuple) for one in value):
        odd = [one for one in value if not isinstance(one, list | tuple)]
        odd = next((one for one in odd if not isinstance(one, _TEXT_OR_NUMBER)), odd[0])
        raise ValueError(f"it holds {shown(odd)} between its numbers; {EXPECTED}")
    return [ring for one in value for ring in _rings(one, depth + 1)]


def _even(numbers: list | tuple) -> list | tuple:
    if len(numbers) % 2:
        raise ValueError(f"a polygon has {len(numbers)} numbers, which is odd; {EXPECTED}")
    return numbers


def _point(value: object) -> tuple[float, float] | None:
    """x, y of [x, y], [[x, y]] or {"x": x, "y": y}; None for anything else."""
    while isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict) and {"x", "y"} <= value.keys():
        value = (value["x"], value["y"])
    if isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(v, _TEXT_OR_NUMBER) for v in value):
        return number(value[0]), number(value[1])
    return None


def number(value: object) -> float:
    """A number, which may be written as text. Raises ValueError if it is not one."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{shown(value)} is no number") from None


def numbers(values: object, count: int) -> list[float]:
    """`count` finite numbers of a list, which may be written as text. Raises ValueError if they are invalid."""
    if not isinstance(values, list | tuple) or len(values) != count:
        raise ValueError(f"{shown(values)} is not a list of {count} numbers")
    found = [number(value) for value in values]
    if not all(map(math.isfinite, found)):
        raise ValueError(f"{shown(values)} holds a value that is no number")
    return found


def shown(value: object) -> str:
    """A value for a message, shortened if it is long or deeply nested."""
    return _SHORT.repr(value)
