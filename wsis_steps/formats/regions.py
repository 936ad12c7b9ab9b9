"""Encodes drawn shapes (polygons, ellipses, rotated rectangles, mask pieces) as COCO's run-length codes."""

import base64
import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from wsis_steps.formats import places
from wsis_steps.formats.pictures import BROKEN, Header, TooLarge, open_picture
from wsis_steps.formats.rings import shown
from wsis_steps.vision.masks import encode
from wsis_steps.vision.run_lengths import bounds_of_runs, run_bounds

_MOST_PIXELS = (1 << 32) - 1  # of an image; run lengths have 32 bits


def encode_rings(shapes: Sequence[Sequence[np.ndarray]], height: int, width: int) -> list[dict]:
    """The code of each shape, a sequence of rings, float (n, 2) of x, y in pixels, filled as COCO does.

    Callers must refuse corners far outside the image: the memory for filling grows with the polygon.
    """
    flat = [ring.ravel() for rings in shapes for ring in rings]
    if not flat:
        return []
    codes, found, first = coco.frPyObjects(flat, height, width), [], 0
    for rings in shapes:
        own = codes[first : first + len(rings)]
        found.append(own[0] if len(own) == 1 else coco.merge(own))
        first += len(rings)
    return found


def ellipse_extent(values: tuple) -> places.Box:
    """The box of an ellipse (x, y, radius x, radius y, clockwise degrees). Raises ValueError if it is invalid."""
    x, y, across, down, turn = values
    if not all(map(math.isfinite, values)) or across < 0 or down < 0:
        raise ValueError("its ellipse has a value that is no number, or a negative radius")
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    wide, high = math.hypot(across * cos, down * sin), math.hypot(across * sin, down * cos)
    return x - wide, y - high, x + wide, y + high


def encode_ellipse(values: tuple, height: int, width: int) -> dict:
    """The code of an ellipse (x, y, radius x, radius y, clockwise degrees): pixels whose centers lie in it and in the
    image."""
    x, y, across, down, turn = values
    if not across or not down:
        return encode(np.zeros((1, height, width), bool))[0]
    mask = np.zeros((height, width), bool)
    reach = max(across, down) + 1
    left, top = max(int(x - reach), 0), max(int(y - reach), 0)
    right, bottom = min(math.ceil(x + reach), width), min(math.ceil(y + reach), height)
    ys, xs = np.mgrid[top:bottom, left:right] + 0.5
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    along, aside = (xs - x) * cos + (ys - y) * sin, (ys - y) * cos - (xs - x) * sin
    mask[top:bottom, left:right] = (along / across) ** 2 + (aside / down) ** 2 <= 1
    return encode(mask[None])[0]


def turned_rectangle(x: float, y: float, width: float, height: float, turn: float, about: str) -> np.ndarray:
    """The corners float (4, 2) of a rectangle rotated clockwise by `turn` degrees about its `corner` (x, y) or its
    `middle`."""
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    pivot = np.array([0, 0]) if about == "corner" else np.array([width / 2, height / 2])
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    return (corners - pivot) @ np.array([[cos, sin], [-sin, cos]]) + pivot + [x, y]


def paste_mask(piece: np.ndarray, left: int, top: int, height: int, width: int) -> dict:
    """The code of an image with `piece` (h, w) pasted at (left, top). Clips a piece that leaves the image by at most
    the slack; raises `Unusable` if it leaves it by more."""
    down, across = piece.shape
    header = Header(height, width, orientation=1)
    if places.leaves((left, top, left + across, top + down), header):
        raise places.over_the_side(f"mask of {across}x{down} at", f"{left}, {top}", header)
    piece = piece[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    left, top, (down, across) = max(left, 0), max(top, 0), piece.shape
    if height * width > _MOST_PIXELS:
        raise ValueError(f"a picture of {width}x{height} is too large for a mask")
    stride = down + (down < height)  # a zero ends each column, unless the piece fills whole columns
    columns = np.zeros((across, stride), np.int8)
    columns[:, :down] = (piece > 0).T
    column, row = np.divmod(np.flatnonzero(np.diff(columns.ravel(), prepend=0, append=0)), stride)
    runs = np.diff((left + column) * height + top + row, prepend=0, append=height * width).tolist()
    counts = runs if runs[-1] or len(runs) == 1 else runs[:-1]
    return coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)


def read_png(text: object) -> Image.Image:
    """The image in a base64 text, decoded to its end. Raises ValueError if it is not one."""
    try:
        with open_picture(io.BytesIO(base64.b64decode(text if isinstance(text, str) else ""))) as picture:
            picture.load()
            return picture
    except TooLarge as error:
        raise ValueError(f"its mask {error}") from None
    except BROKEN:
        raise ValueError(f"its mask is {shown(text)}, not a PNG in base64") from None


def middle_pixels(codes: Sequence[dict], height: int) -> list[tuple[int, int]]:
    """x and y of the pixel of each mask nearest to its centroid; ties go to the first in reading order. No mask may be
    empty."""
    if not codes:
        return []
    starts, ends, owner = bounds_of_runs(codes)
    first = np.searchsorted(owner, np.arange(len(codes)))
    bounds = np.stack([starts, ends])
    # sums of x and of y over the column-major pixels 0 .. n - 1
    columns, rest = bounds // height, bounds % height
    x = height * columns * (columns - 1) // 2 + rest * columns
    y = columns * (height * (height - 1) // 2) + rest * (rest - 1) // 2
    sums = np.add.reduceat(np.stack([x[1] - x[0], y[1] - y[0], ends - starts]), first, axis=1)
    centers = sums[:2] / sums[2]
    middles = np.rint(centers).astype(np.int64)
    # shift each code's pixels to a separate range, so one search serves all
    apart = (codes[0]["size"][0] * codes[0]["size"][1] + 1) * np.arange(len(codes))
    wanted = middles[0] * height + middles[1] + apart
    run = np.searchsorted(starts + apart[owner], wanted, side="right") - 1
    inside = (run >= 0) & (wanted < (ends + apart[owner])[run])
    found = list(zip(*middles.tolist(), strict=True))
    for k in np.flatnonzero(~inside).tolist():
        own = slice(first[k], first[k + 1] if k + 1 < len(first) else None)
        found[k] = _nearest(starts[own], ends[own], height, *centers[:, k])
    return found


def covers(code: dict, x: float, y: float) -> bool:
    """Whether a mask covers the pixel of a point (x, y), where (0, 0) is the center of the first pixel."""
    starts, ends = run_bounds(code)
    pixel = round(x) * code["size"][0] + round(y)
    return bool(((starts <= pixel) & (pixel < ends)).any())


def _nearest(starts: np.ndarray, ends: np.ndarray, height: int, x: float, y: float) -> tuple[int, int]:
    """x and y of the pixel in these runs nearest to (x, y)."""
    lengths = ends - starts
    pixels = np.arange(lengths.sum()) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    xs, ys = pixels // height, pixels % height
    distance = (xs - x) ** 2 + (ys - y) ** 2
    nearest = np.flatnonzero(distance == distance.min())
    best = nearest[np.lexsort((xs[nearest], ys[nearest]))[0]]
    return int(xs[best]), int(ys[best])
