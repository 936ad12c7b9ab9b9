"""Instances of large pictures, found tile by tile; those that a border cuts are put together again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pycocotools import mask as coco
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.masks import decode, describe

SAME = 0.5  # share of pixels, where two tiles overlap, from which two instances are one object
NEAR = 64  # an instance that ends within this fraction of a tile's side of a border is cut by it


@dataclass(frozen=True)
class Tile:
    """A rectangle of a picture, its corners x1, y1, x2, y2, and the instances in it."""

    corners: tuple[int, int, int, int]
    instances: ImageInstances

    @cached_property
    def boxes(self) -> np.ndarray:
        """The boxes of the instances in the picture, int64 (n, 4) as x1, y1, x2, y2."""
        return self.instances.boxes.astype(np.int64) + np.tile(self.corners[:2], 2)

    def cut_inside(self, other: "Tile") -> np.ndarray:
        """Whether each instance reaches a border of this tile that runs through the other one, bool (n,).

        Never between tiles of different rows and columns: a tile beside both shows all that they share, and there a few
        pixels of a cut object may lie on another object.
        """
        x1, y1, x2, y2 = self.corners
        left, top, right, bottom = other.corners
        inside = np.array([left < x1 < right, top < y1 < bottom, left < x2 < right, top < y2 < bottom])
        inside &= x1 == left or y1 == top
        return ((np.abs(self.boxes - self.corners) <= max(x2 - x1, y2 - y1) // NEAR) & inside).any(axis=1)

    def masks(self, rows: Sequence[int], part: tuple[int, int, int, int]) -> np.ndarray:
        """Some masks in a part of the tile, given in the picture, uint8 (n, h, w)."""
        x1, y1, x2, y2 = self.corners
        whole = decode([self.instances.rles[row] for row in rows], y2 - y1, x2 - x1)
        return whole[:, part[1] - y1 : part[3] - y1, part[0] - x1 : part[2] - x1]


def windows(height: int, width: int, side: int, overlap: float) -> list[tuple[int, int, int, int]]:
    """Rectangles x1, y1, x2, y2 of at most `side` pixels that cover a picture, spaced evenly.

    overlap: neighbors share at least this fraction of `side`, rounded up to whole pixels.
    """
    rows, columns = (_starts(length, side, overlap) for length in (height, width))
    return [(x, y, min(x + side, width), min(y + side, height)) for y in rows for x in columns]


def _starts(length: int, side: int, overlap: float) -> list[int]:
    if length <= side:
        return [0]
    step = side - int(np.ceil(side * overlap))
    count = -(-(length - side) // step) + 1
    return [k * (length - side) // (count - 1) for k in range(count)]


def detect_in_tiles(
    picture: np.ndarray, side: int, overlap: float, find: Callable[[np.ndarray], ImageInstances]
) -> ImageInstances:
    """The instances of a picture (h, w, 3), each tile of which is given to `find`; from high to low scores.

    Where two tiles overlap, both see the same pixels. Two instances of one class from there are one object if they
    share half of the pixels that either covers there; for an instance that a border between the two cuts, half of its
    own are enough. An object has all pixels of its parts and the highest of their scores.

    Args:
        side: of a tile, in pixels; a picture that is no larger is one tile.
        overlap: above 0 and at most 0.5, as in `windows`.
        find: instances of a picture, in its own pixels.
    """
    height, width = picture.shape[:2]
    tiles = []
    for x1, y1, x2, y2 in windows(height, width, side, overlap):
        found = find(np.ascontiguousarray(picture[y1:y2, x1:x2]))
        tiles.append(Tile((x1, y1, x2, y2), found))
    if len(tiles) == 1:
        return tiles[0].instances
    first = np.cumsum([0, *(len(tile.instances) for tile in tiles)])
    pairs = [np.zeros((0, 2), np.int64)]
    for b, later in enumerate(tiles):
        pairs += [_same_objects(tiles[a], later) + (first[a], first[b]) for a in range(b)]
    objects = _groups(int(first[-1]), np.concatenate(pairs))
    parts = [(tile, row) for tile in tiles for row in range(len(tile.instances))]
    categories = np.concatenate([tile.instances.categories for tile in tiles])
    scores = np.concatenate([tile.instances.scores for tile in tiles])
    objects.sort(key=lambda members: -scores[members].max())
    return describe(
        [_unite([parts[member] for member in members], height, width) for members in objects],
        np.array([categories[members[0]] for members in objects], dtype=np.int64),
        scores=np.array([scores[members].max() for members in objects], dtype=np.float32),
    )


def _same_objects(a: Tile, b: Tile) -> np.ndarray:
    """Pairs of an instance of a and one of b that are one object, int64 (n, 2)."""
    part = (*np.maximum(a.corners[:2], b.corners[:2]), *np.minimum(a.corners[2:], b.corners[2:]))
    none = np.zeros((0, 2), np.int64)
    if part[0] >= part[2] or part[1] >= part[3]:
        return none
    rows = [np.flatnonzero(_meet(tile.boxes, part)) for tile in (a, b)]
    if not (len(rows[0]) and len(rows[1])):
        return none
    masks = [tile.masks(own, part).reshape(len(own), -1) for tile, own in zip((a, b), rows, strict=True)]
    shared = masks[0].astype(np.float32) @ masks[1].astype(np.float32).T
    areas_a, areas_b = (mask.sum(axis=1, dtype=np.float32) for mask in masks)
    same = shared >= SAME * (areas_a[:, None] + areas_b - shared)
    same |= a.cut_inside(b)[rows[0]][:, None] & (shared >= SAME * areas_a[:, None])
    same |= b.cut_inside(a)[rows[1]] & (shared >= SAME * areas_b)
    same &= a.instances.categories[rows[0]][:, None] == b.instances.categories[rows[1]]
    found_a, found_b = np.nonzero(same & (shared > 0))
    return np.stack([rows[0][found_a], rows[1][found_b]], axis=1)


def _meet(boxes: np.ndarray, part: tuple[int, int, int, int]) -> np.ndarray:
    """Whether each box (n, 4) has pixels in a rectangle."""
    return (boxes[:, :2] < part[2:]).all(axis=1) & (boxes[:, 2:] > part[:2]).all(axis=1)


def _groups(count: int, pairs: np.ndarray) -> list[np.ndarray]:
    """The numbers below `count` in groups that pairs (n, 2) connect, by the first of each group."""
    links = coo_array((np.ones(len(pairs), bool), tuple(pairs.T)), shape=(count, count))
    owner = connected_components(links, directed=False)[1] if count else np.zeros(0, int)
    order = np.argsort(owner, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(owner[order])) + 1) if count else []
    return sorted(groups, key=lambda members: members[0])


def _unite(parts: list[tuple[Tile, int]], height: int, width: int) -> dict:
    """The run-length code, in the picture, of an object with these parts."""
    boxes = np.array([tile.boxes[row] for tile, row in parts])
    x1, y1, x2, y2 = *boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)
    mask = np.zeros((y2 - y1, x2 - x1), np.uint8)
    for (tile, row), (left, top, right, bottom) in zip(parts, boxes, strict=True):
        mask[top - y1 : bottom - y1, left - x1 : right - x1] |= tile.masks([row], (left, top, right, bottom))[0]
    return _place(mask, x1, y1, height, width)


def _place(mask: np.ndarray, x: int, y: int, height: int, width: int) -> dict:
    """The run-length code of a mask (h, w) at (x, y) in a picture, without drawing the whole picture."""
    steps = np.diff(np.pad(mask.T, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    bounds = [(x + column) * height + y + row for column, row in (np.nonzero(steps == sign) for sign in (1, -1))]
    ends = np.stack(bounds, axis=1).ravel()
    going_on = np.flatnonzero(ends[1:-1:2] == ends[2::2])  # runs over the last row go on in the next column
    ends = np.delete(ends, np.concatenate([2 * going_on + 1, 2 * going_on + 2]))
    counts = np.diff(np.concatenate([[0], ends, [height * width]]))
    counts = counts[: len(counts) - (counts[-1] == 0)]
    return coco.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
