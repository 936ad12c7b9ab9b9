"""Converts a mask into one polygon: parts and holes are joined by lines of zero width."""

import cv2
import numpy as np


def outline(mask: np.ndarray) -> np.ndarray:
    """One polygon int (n, 2) of x, y along the border pixels of a binary mask (h, w); n is 0 or at least 3.

    Filled by the even-odd rule with its border, as cv2.fillPoly does, it gives the mask, plus one-pixel lines between
    its parts. Parts and holes are joined where they are nearest, by a line that is followed there and back.
    """
    contours, _ = cv2.findContours(np.ascontiguousarray(mask, np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return np.zeros((0, 2), int)
    rings = [contour[:, 0].astype(int) for contour in contours]
    found = _without_straight_points(_joined(rings))
    # a pixel or a line has fewer than three corners: repeat the last one
    return np.concatenate([found, np.repeat(found[-1:], max(3 - len(found), 0), axis=0)])


def fill_outline(polygon: np.ndarray, height: int, width: int) -> np.ndarray:
    """The mask uint8 (height, width) of a polygon float (n, 2) of x, y in pixels, truncated to whole pixels and filled
    with its border, as Ultralytics does in training."""
    return cv2.fillPoly(np.zeros((height, width), np.uint8), [polygon.astype(np.int32)], 1)


def _joined(rings: list[np.ndarray]) -> np.ndarray:
    """The points of one ring that runs around all rings."""
    points = np.concatenate(rings)
    owner = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    following = np.arange(1, len(points) + 1)
    ends = np.cumsum([len(ring) for ring in rings])
    following[ends - 1] = ends - [len(ring) for ring in rings]
    where, following = list(range(len(points))), following.tolist()
    for one, other in _bridges(points, owner):
        there, back = len(where), len(where) + 1  # copies of the two points: of `other` on arrival, of `one` on return
        where += [other, one]
        following += [following[other], following[one]]
        following[one], following[other] = there, back
    order, node = [], 0
    for _ in where:
        order.append(where[node])
        node = following[node]
    return points[order]


def _bridges(points: np.ndarray, owner: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of nearest points of two rings that connect all rings: the minimum spanning tree."""
    if owner[-1] == 0:
        return []
    pairs = _neighbours(points, owner)
    length = ((points[pairs[:, 0]] - points[pairs[:, 1]]) ** 2).sum(axis=1)
    pairs = pairs[np.argsort(length, kind="stable")]
    rings = np.sort(owner[pairs], axis=1)
    _, shortest = np.unique(rings[:, 0] * (owner[-1] + 1) + rings[:, 1], return_index=True)
    pairs = pairs[np.sort(shortest)]
    tree, found = list(range(owner[-1] + 1)), []

    def top(ring: int) -> int:
        while tree[ring] != ring:
            tree[ring] = tree[tree[ring]]
            ring = tree[ring]
        return ring

    for (one, other), (ring, other_ring) in zip(pairs.tolist(), owner[pairs].tolist(), strict=True):
        first, second = top(ring), top(other_ring)
        if first != second:
            tree[first] = second
            found.append((one, other))
    return found


def _neighbours(points: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Pairs int (n, 2) of points of two rings with no nearer ring between them.

    The pairs are found where the Voronoi regions of two points touch, so the time grows with the number of pixels, not
    with the number of pairs of points.
    """
    x, y = (points - points.min(axis=0)).T
    here = np.full((y.max() + 1, x.max() + 1), -1)
    here[y, x] = np.arange(len(points))
    shared = np.column_stack([np.arange(len(points)), here[y, x]])  # where a wall is thin, a pixel may be on two rings
    _, labels = cv2.distanceTransformWithLabels(
        (here < 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    point_of = np.zeros(labels.max() + 1, int)
    point_of[labels[y, x]] = here[y, x]
    nearest = point_of[labels]
    ring = owner[nearest]
    across, down = ring[:, :-1] != ring[:, 1:], ring[:-1] != ring[1:]
    return np.concatenate(
        [
            shared[owner[shared[:, 0]] != owner[shared[:, 1]]],
            np.column_stack([nearest[:, :-1][across], nearest[:, 1:][across]]),
            np.column_stack([nearest[:-1][down], nearest[1:][down]]),
        ]
    )


def _without_straight_points(ring: np.ndarray) -> np.ndarray:
    """A closed ring without repeated points and without points between two equal one-pixel steps."""
    ring = ring[(ring != np.roll(ring, 1, axis=0)).any(axis=1) | (np.arange(len(ring)) == 0)]
    before, behind = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    straight = (before == behind).all(axis=1) & (abs(before).max(axis=1) <= 1)
    return ring[~straight] if not straight.all() else ring[:1]
