"""The point of an instance, by its definition."""

import numpy as np


def middle_points(id_map: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The pixel of each instance nearest to its centroid: int64 (n, 2) of x, y.

    `id_map` is an integer (h, w) map whose non-zero values are `ids` (n, sorted). The centroid need not belong to the
    instance: a ring's lies in its hole. Ties go to the first pixel in reading order.
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
