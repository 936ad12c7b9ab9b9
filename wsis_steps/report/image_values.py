"""One number an image that says how good, or how sure, the result of a run is there: the order of a gallery."""

import numpy as np
from pycocotools import mask as coco

from wsis_steps.vision.contracts.instances import ImageInstances


def agreement(found: ImageInstances, truth: ImageInstances, threshold: float) -> float | None:
    """Mean over the true and the found instances of an image of the best overlap with one of the other side, 0 to 1.

    Overlaps are of masks of one class; what is found with a score below `threshold` is left out, as are crowds and what
    lies in them or in ignored regions by half and more. None where neither side has anything.
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
    """Mean score of what is found on an image; None where nothing is."""
    return float(found.scores.mean()) if len(found) else None
