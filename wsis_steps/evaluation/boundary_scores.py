"""How well semantic maps follow outlines: the boundary F-measure.

Csurka et al. (BMVC 2013): precision is the share of predicted boundary pixels near a true one of the class, recall the
reverse. Counted over the whole data set, so images with long outlines weigh more.
"""

from collections.abc import Iterable

import cv2
import numpy as np

from wsis_steps.vision.masks import UNSURE

RADIUS = 2.0  # pixels


def boundary_f_measures(
    predictions: Iterable[np.ndarray], truths: Iterable[np.ndarray], class_count: int, radius: float = RADIUS
) -> np.ndarray:
    """F-measure of each class, float64 (class_count,), 0 to 1; NaN for classes neither true nor predicted.

    Maps are uint8 (h, w): 0 background, 1 + category, 255 unsure; read once, pair by pair. A boundary pixel of a class
    has one of its four neighbors outside the class; the border of the image is not a boundary, and pixels that are
    unsure in the truth, or next to one that is, do not count. Near: within `radius` pixels (Euclidean).
    """
    hits, totals = np.zeros((2, class_count), np.int64), np.zeros((2, class_count), np.int64)
    for predicted, true in zip(predictions, truths, strict=True):
        open_pixels = cv2.dilate((true == UNSURE).astype(np.uint8), _CROSS) > 0
        for category in np.union1d(np.unique(predicted), np.unique(true)):
            if not 0 < category <= class_count:
                continue
            outlines = [_boundary(labels == category) & ~open_pixels for labels in (predicted, true)]
            for side, (own, other) in enumerate((outlines, outlines[::-1])):
                totals[side, category - 1] += own.sum()
                hits[side, category - 1] += (_distance(other)[own] <= radius).sum()
    precision, recall = np.divide(hits, totals, out=np.zeros(hits.shape), where=totals > 0)
    both = precision + recall
    measures = np.divide(2 * precision * recall, both, out=np.zeros(class_count), where=both > 0)
    return np.where(totals.sum(axis=0) > 0, measures, np.nan)


_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def _boundary(mask: np.ndarray) -> np.ndarray:
    """Pixels of a bool (h, w) mask with a neighbor outside it, bool; beyond the image everything counts as inside."""
    inner = cv2.erode(mask.astype(np.uint8), _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return mask & (inner == 0)


def _distance(pixels: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the nearest one set in a bool (h, w) map; infinite if none is set."""
    if not pixels.any():
        return np.full(pixels.shape, np.inf)
    return cv2.distanceTransform((~pixels).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
