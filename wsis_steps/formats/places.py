"""Checks sizes and coordinates from annotation files against the images, for all readers.

Shapes that leave the image by at most 2 pixels or 1 % of the side are clipped, because people draw up to the edge and
tools round. Shapes that reach further are wrong, and their numbers often show why.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from wsis_steps.formats.drawing import Drawing
from wsis_steps.formats.notes import Unusable
from wsis_steps.formats.pictures import Header

SLACK_PIXELS, SLACK_SHARE = 2.0, 0.01
ALIKE = 0.5  # minimum IoU of a stated box with its mask's box
_SURE = 0.75  # minimum IoU for another reading of the numbers
_MANY = 3  # boxes that are not a coincidence
Box = tuple[float, float, float, float]
MAY_BE_SHARES = "may_be_shares"  # a doubt that is reported only if it applies to most shapes
CORNERS = "its numbers look like two corners, not a corner with width and height"
SIZES = "its numbers look like a corner with width and height, not two corners"
SHARES = "its numbers look like shares of the sides, not pixels"
PIXELS = "its numbers look like pixels, not shares of the sides"


def check_size(drawing: Drawing, header: Header) -> str:
    """Compares the stated size with the image's. Returns a kind of doubt if EXIF rotates the image and it is unclear
    whether the annotator saw it rotated, else ''. Raises ValueError if the sizes differ."""
    stated, upright = (drawing.height, drawing.width), (header.height, header.width)
    turned = header.orientation != 1
    if stated == (0, 0):
        return "turned_pictures" if turned else ""
    if stated == upright:
        keeps = header.orientation in (2, 3, 4) or header.height == header.width
        return "turned_pictures" if turned and keeps else ""
    sizes = f"the picture is {header.width}x{header.height}, but {drawing.width}x{drawing.height} by the file"
    if turned and stated == upright[::-1]:
        raise ValueError(f"{sizes}; its EXIF data turn it, but the annotating tool did not")
    ratios = sorted((stated[0] / upright[0], stated[1] / upright[1]))
    if min(stated) > 0 and ratios[1] < 1.02 * ratios[0]:
        how = "shrunk" if ratios[0] > 1 else "enlarged"
        raise ValueError(f"{sizes}; it seems to have been {how} after it was annotated")
    raise ValueError(sizes)


def slack(side: int) -> float:
    """The number of pixels by which a shape may reach beyond a side of `side` pixels."""
    return max(SLACK_PIXELS, SLACK_SHARE * side)


def leaves(box: Box, header: Header) -> bool:
    """Whether a box leaves the image by more than the slack."""
    return not _is_inside(box, header)


def _is_inside(box: Box, header: Header) -> bool:
    x1, y1, x2, y2 = box
    across, down = slack(header.width), slack(header.height)
    return x1 >= -across and y1 >= -down and x2 <= header.width + across and y2 <= header.height + down


def _is_area(box: Box) -> bool:
    return box[2] > box[0] and box[3] > box[1]


def other_reading(box: Box, sized: bool) -> Box:
    """The box of the same four numbers, if corners were written as sizes (`sized`) or sizes as corners."""
    x1, y1, x2, y2 = box
    return (x1, y1, x2 - x1, y2 - y1) if sized else (x1, y1, x1 + x2, y1 + y2)


def _reason(box: Box, header: Header, drawing: Drawing) -> str:
    """'; its numbers look like ...', or ''. box: in the file's unit."""
    if not drawing.shares and min(box) >= 0 and max(box) <= 1:
        return f"; {SHARES}"
    if drawing.shares:
        return f"; {PIXELS}" if max(box) > 2 and _is_inside(box, header) else ""
    other = other_reading(box, drawing.sized)
    if _is_area(other) and _is_inside(other, header):
        return f"; {CORNERS if drawing.sized else SIZES}"
    return ""


def scaled(values: tuple, header: Header, drawing: Drawing) -> tuple:
    """x, y, x, y, ... in pixels."""
    if not drawing.shares:
        return values
    return tuple(value * (header.height if k % 2 else header.width) for k, value in enumerate(values))


def fit_box(stated: Box, header: Header, drawing: Drawing) -> Box | None:
    """A box in pixels, clipped to the image; None if it is less than a pixel wide or high. Raises ValueError."""
    if not all(map(math.isfinite, stated)):
        raise ValueError("its box holds a value that is no number")
    box = scaled(stated, header, drawing)
    x1, y1, x2, y2 = box
    if x2 < x1 or y2 < y1:
        raise ValueError(f"its box {_text(box)} ends before it begins{_reason(stated, header, drawing)}")
    if not _is_inside(box, header):
        raise over_the_side("box", _text(box), header, _reason(stated, header, drawing))
    clipped = (max(x1, 0.0), max(y1, 0.0), min(x2, float(header.width)), min(y2, float(header.height)))
    if clipped[2] - clipped[0] >= 1 and clipped[3] - clipped[1] >= 1:
        return clipped
    return None


def is_tiny(stated: Box, header: Header, drawing: Drawing) -> bool:
    """Whether a box is less than a pixel wide or high, too small to judge."""
    x1, y1, x2, y2 = scaled(stated, header, drawing)
    return 0 <= x2 - x1 < 1 or 0 <= y2 - y1 < 1


def fit_point(stated: tuple[float, float], header: Header, drawing: Drawing) -> tuple[float, float]:
    """A point in pixels, clipped to the image. Raises ValueError if it is too far outside."""
    if not all(map(math.isfinite, stated)):
        raise ValueError("its point holds a value that is no number")
    x, y = scaled(stated, header, drawing)
    if not _is_inside((x, y, x, y), header):
        text = f"its point {x:g}, {y:g} lies outside the picture of {header.width}x{header.height}"
        raise Unusable(text, "shapes_over_the_side")
    return min(max(x, 0.0), header.width - 1.0), min(max(y, 0.0), header.height - 1.0)


def over_the_side(what: str, place: str, header: Header, reason: str = "") -> ValueError:
    """The error of a shape that leaves its image. reason: another reading of its numbers, '; ...'. With a reason, it is
    probably not the only such shape, so it cannot be skipped."""
    text = f"its {what} {place} leaves the picture of {header.width}x{header.height}{reason}"
    return ValueError(text) if reason else Unusable(text, "shapes_over_the_side")


def check_extents(low: np.ndarray, high: np.ndarray, header: Header, drawing: Drawing) -> list[ValueError | None]:
    """The error of each polygon, or None. low, high: float (n, 2), the extents in x and y in pixels."""
    size = np.array([header.width, header.height])
    over = [slack(header.width), slack(header.height)]
    outside = ((low < -np.array(over)) | (high > size + over)).any(axis=1)
    found: list[ValueError | None] = [None] * len(low)
    for k in np.flatnonzero(outside).tolist():
        box = (*low[k].tolist(), *high[k].tolist())
        unit = (header.width, header.height) * 2
        pixels = tuple(value / side for value, side in zip(box, unit, strict=True)) if drawing.shares else box
        reason = f"; {PIXELS}" if drawing.shares and max(pixels) > 2 else ""
        found[k] = over_the_side("polygon", _text(box), header, reason)
    return found


def may_be_shares(values: Sequence[float]) -> bool:
    """Whether numbers read as pixels may be shares of the sides: all lie in the first pixel, counted from its corner or
    its center, and not all are multiples of one half."""
    return min(values) >= -0.5 and max(values) <= 1 and not all(float(2 * value).is_integer() for value in values)


def iou(a: Box, b: Box) -> float:
    """The intersection of two boxes over their union."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inner = max(across, 0) * max(down, 0)
    areas = sum(max(x2 - x1, 0) * max(y2 - y1, 0) for x1, y1, x2, y2 in (a, b))
    return inner / (areas - inner) if areas > inner else 0.0


def ious(box: Box, boxes: np.ndarray) -> np.ndarray:
    """`iou` of a box with each of several, float (n, 4)."""
    inner = (np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])).clip(0).prod(axis=1)
    outer = (box[2] - box[0]) * (box[3] - box[1]) + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - inner
    return inner / np.maximum(outer, 1e-9)


def box_of_mask(stated: Box, mask: Box, header: Header, drawing: Drawing) -> Box | None:
    """The stated box of a mask, clipped; None if it does not match and the mask's own box is to be used. Raises
    ValueError if the numbers match the mask in another reading."""
    other = other_reading(stated, drawing.sized)
    if _is_area(other) and iou(stated, mask) < ALIKE and iou(other, mask) > _SURE:
        raise ValueError(f"its box {_text(stated)} does not match its mask; {CORNERS if drawing.sized else SIZES}")
    try:
        fitted = fit_box(stated, header, drawing)
    except Unusable:
        return None
    return fitted if fitted and iou(fitted, mask) >= ALIKE else None


def doubt_of_area(box: Box, area: float, drawing: Drawing) -> str:
    """The doubt about a box whose area differs from the stated one, '' if it agrees. The kind depends on whether
    another reading of the box fits. A single case is no error: the area may be that of a mask missing in the file."""

    def size(box: Box) -> float:
        return (box[2] - box[0]) * (box[3] - box[1])

    def is_near(value: float) -> bool:
        return min(value, area) > 0.9 * max(value, area)

    if area <= 0 or is_near(size(box)):
        return ""
    other = other_reading(box, drawing.sized)
    is_other = _is_area(other) and is_near(size(other))
    return "areas_of_other_boxes" if is_other else "areas_unlike_their_boxes"


def may_be_corners(drawings: Iterable[Drawing]) -> bool:
    """Whether boxes read as corner and size could just as well be two corners.

    True if there are at least three, all numbers fit both readings, no box has a mask or an area to compare with, and
    none ends at an image side, where some of many objects would be cut off."""
    count = 0
    for drawing in drawings:
        for shape in drawing.shapes:
            if shape.kind != "box":
                if shape.box:
                    return False
                continue
            _, _, x2, y2 = shape.geometry
            ends_inside = x2 < drawing.width - 1 and y2 < drawing.height - 1
            if shape.area or not ends_inside or not _is_area(other_reading(shape.geometry, sized=True)):
                return False
            count += 1
    return count >= _MANY


def is_area_of_mask(stated: float, pixels: int, box: Box) -> bool:
    """Whether a stated area fits a mask of this many pixels with this box. Half of the border pixels may count or not,
    because outlines run through them; some tools state the box's area instead."""
    across, down = box[2] - box[0], box[3] - box[1]

    def is_near(value: float) -> bool:
        return abs(stated - value) <= 0.1 * max(stated, value) + (across + down) / 2

    return stated <= 0 or is_near(pixels) or is_near(across * down)


def _text(box: Box) -> str:
    """x1, y1, x2, y2 as shown in messages."""
    return "(" + ", ".join(f"{value:.6g}" for value in box) + ")"
