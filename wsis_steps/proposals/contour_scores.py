"""How well edge maps find drawn boundaries: the best F-measure at a single threshold for all images.

After Martin, Fowlkes and Malik (PAMI 2004), whose benchmark matches pixels one to one. Here a pixel counts as found if
any other is within the distance, so several may share one: an approximation, a few hundredths above theirs.
"""

from collections.abc import Iterable

import cv2
import numpy as np

TOLERANCE = 0.0075  # of the image's diagonal
LEVELS = 100


def thin(edges: np.ndarray) -> np.ndarray:
    """Edges float32 (h, w), set to 0 where a neighbor across the ridge is higher.

    "Across" is where the smoothed map bends most: the eigenvector of its second derivatives with the eigenvalue of
    largest magnitude, which is negative on the ridge and positive on its flanks.
    """
    smooth = cv2.GaussianBlur(edges, (0, 0), 2)
    xx, yy, xy = (cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=5) for order in ((2, 0), (0, 2), (1, 1)))
    angle = 0.5 * np.arctan2(2 * xy, xx - yy) + np.where(xx + yy < 0, np.float32(np.pi / 2), 0)
    x, y = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in edges.shape[::-1]))
    across = np.cos(angle), np.sin(angle)
    sides = [
        cv2.remap(edges, x + s * across[0], y + s * across[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for s in (-1, 1)
    ]
    return np.where((edges >= sides[0]) & (edges >= sides[1]), edges, 0)


def best_f_measure(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float, float]:
    """The best F-measure over thresholds with its precision and recall, each 0 to 1.

    pairs: for each image the edges float32 (h, w), 0 to 1, of any thickness, and the boundaries (annotators, h, w),
    thin, 0 and 1. Precision: share of edge pixels near a boundary of any annotator. Recall: share of the boundary
    pixels of all annotators near an edge pixel.
    """
    right, found, edge_pixels, boundary_pixels = np.zeros((4, LEVELS), np.int64)
    for edges, boundaries in pairs:
        thinned = thin(edges)
        disc = _disc(TOLERANCE * np.hypot(*edges.shape))
        near = cv2.dilate(boundaries.max(axis=0), disc) > 0
        reach = np.broadcast_to(cv2.dilate(thinned, disc), boundaries.shape)
        for total, values in (
            (right, thinned[near]),
            (edge_pixels, thinned.ravel()),
            (found, reach[boundaries > 0]),
            (boundary_pixels, np.ones(boundaries.sum())),
        ):
            total += _at_least(values)
    precision, recall = right[1:] / np.maximum(edge_pixels[1:], 1), found[1:] / np.maximum(boundary_pixels[1:], 1)
    f_measures = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    best = int(f_measures.argmax())
    return float(f_measures[best]), float(precision[best]), float(recall[best])


def _at_least(values: np.ndarray) -> np.ndarray:
    """The number of values that reach each of the thresholds k / LEVELS, k from 0."""
    levels = np.minimum(values * LEVELS, LEVELS - 1).astype(np.int64)
    return np.bincount(levels, minlength=LEVELS)[::-1].cumsum()[::-1]


def _disc(radius: float) -> np.ndarray:
    offsets = np.arange(-int(radius), int(radius) + 1)
    return (offsets[:, None] ** 2 + offsets**2 <= radius**2).astype(np.uint8)
