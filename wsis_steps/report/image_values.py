"""One number per image for the quality, or confidence, of a run's result on it, by which galleries are sorted."""

import numpy as np
from pycocotools import mask as coco

from wsis_steps.vision.contracts.instances import ImageInstances


def agreement(found: ImageInstances, truth: ImageInstances, threshold: float) -> float | None:
    """Mean over the true and the found instances of an image of the best overlap with one of the other side, 0 to 1.

    Overlaps are of masks of one class; found instances with a score below `threshold` are left out, as are crowds and
    instances at least half inside a crowd or ignored region. None if neither side has any.
    """
    true = truth.at(np.flatnonzero(~truth.crowd))
    open_regions = [truth.rles[k] for k in np.flatnonzero(truth.crowd)] + ([truth.ignore] if truth.ignore else [])
    found = found.at(np.flatnonzero(found.scores >= threshold))
    if open_regions and len(found):
        inside = coco.iou(found.rles, open_regions, np.ones(len(open_regions), np.uint8))
        found = found.at(np.flatnonzero((inside < 0.5).all(axis=1)))
    if not len(true) + len(found):
        return None
    if not len(true) or not len(found):
        return 0.0
    overlaps = coco.iou(found.rles, true.rles, np.zeros(len(true), np.uint8))
    overlaps = overlaps * (found.categories[:, None] == true.categories[None])
    return float((overlaps.max(axis=0).sum() + overlaps.max(axis=1).sum()) / (len(true) + len(found)))


def sureness(found: ImageInstances) -> float | None:
    """Mean score of the instances found on an image; None if there are none."""
    return float(found.scores.mean()) if len(found) else None
