"""What an image's annotation demands of a labelling of its proposals: the claims of `inference`.

Annotation Consistent Instances (ECCV 2020): with tags, every class of the image is some proposal's, and no other class
is any's; with boxes, every box has a proposal of its class that overlaps it, and (derived, since all objects are
annotated) a proposal has a class only where it overlaps a box of it.
"""

from dataclasses import dataclass

import numpy as np

from wsis_steps.core.regions import box_overlaps
from wsis_steps.settings.annotation_consistency import Scoring


@dataclass(frozen=True)
class Claims:
    """labels: int64 (L,), which of 0 to C may occur, 0 first; the others count labels within these. claimed: int64
    (R,); candidates: bool (R, P), as in `inference.infer`; fits: float32 (R, P), 0 to 1, how well each proposal meets
    each claim; allowed: bool (P, L), labels of each proposal.
    """

    labels: np.ndarray
    claimed: np.ndarray
    candidates: np.ndarray
    fits: np.ndarray
    allowed: np.ndarray


def claims_of(tags: np.ndarray, truth: np.ndarray, boxes: np.ndarray, settings: Scoring) -> Claims:
    """The claims on proposals with boxes (P, 4) xyxy, from tags bool (C,) or annotated boxes (n, 5), the last column
    their categories. Without the higher-order term every class may occur and none must.
    """
    count = len(boxes)
    if not settings.higher_order:
        labels = np.arange(len(tags) + 1)
        return _claims_of_classes(labels, labels[:0], count)
    if settings.supervision == "boxes":
        return _claims_of_boxes(truth, boxes, settings.box_overlap)
    labels = np.concatenate([[0], np.flatnonzero(tags) + 1])
    return _claims_of_classes(labels, np.arange(1, len(labels)), count)


def _claims_of_classes(labels: np.ndarray, claimed: np.ndarray, count: int) -> Claims:
    """Any of `count` proposals may have any label and meets any claim."""
    shape = len(claimed), count
    return Claims(
        labels, claimed, np.ones(shape, bool), np.ones(shape, np.float32), np.ones((count, len(labels)), bool)
    )


def _claims_of_boxes(truth: np.ndarray, boxes: np.ndarray, least: float) -> Claims:
    """A box that no proposal overlaps by `least` is claimed from the proposals that overlap it most."""
    overlaps = box_overlaps(truth[:, :4], boxes)
    reached = np.minimum(least, overlaps.max(axis=1, keepdims=True, initial=0))
    candidates = (overlaps >= reached) & (overlaps > 0)
    classes, claimed = np.unique(truth[:, 4].astype(np.int64), return_inverse=True)
    of_class = claimed[None] == np.arange(len(classes))[:, None]  # (classes, n)
    allowed = np.concatenate([np.ones((1, len(boxes)), bool), of_class @ candidates], axis=0).T
    return Claims(np.concatenate([[0], classes + 1]), claimed + 1, candidates, overlaps.astype(np.float32), allowed)
