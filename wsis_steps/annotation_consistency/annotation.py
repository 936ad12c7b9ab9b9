"""The claims of an image's annotation on its proposals (for `inference`), and the labels that it forbids.

Annotation Consistent Instances (ECCV 2020): with tags, some proposal has every class of the image; with boxes, every
box has a proposal of its class that overlaps it. Derived, since all objects are annotated: with tags, no proposal has
any other class; with boxes, a proposal has a class only if it overlaps a box of it.
"""

from dataclasses import dataclass, replace

import numpy as np

from wsis_steps.annotation_consistency.settings import Scoring
from wsis_steps.vision.regions import box_overlaps


@dataclass(frozen=True)
class Claims:
    """labels: int64 (L,), the possible ones of 0 to C, 0 first; the others index these labels. claimed: int64 (R,);
    candidates: bool (R, P), as in `inference.infer`; fits: float32 (R, P), 0 to 1, how well each proposal meets each
    claim; allowed: bool (P, L), labels of each proposal.
    """

    labels: np.ndarray
    claimed: np.ndarray
    candidates: np.ndarray
    fits: np.ndarray
    allowed: np.ndarray


def claims_of(tags: np.ndarray, truth: np.ndarray, boxes: np.ndarray, settings: Scoring) -> Claims:
    """The claims on proposals with boxes (P, 4) xyxy, from tags bool (C,) or annotated boxes (n, 5), the last column
    their categories. Without the higher-order term nothing is claimed; with `absent_classes: allowed` nothing is
    forbidden.
    """
    if settings.supervision == "boxes":
        claims = _claims_of_boxes(truth, boxes, settings.box_overlap)
    else:
        claims = _claims_of_tags(tags, len(boxes))
    if settings.absent_classes == "allowed":
        labels = np.arange(len(tags) + 1)
        allowed = np.ones((len(boxes), len(labels)), bool)
        claims = replace(claims, labels=labels, claimed=claims.labels[claims.claimed], allowed=allowed)
    if not settings.higher_order:
        claims = replace(claims, claimed=claims.claimed[:0], candidates=claims.candidates[:0], fits=claims.fits[:0])
    return claims


def _claims_of_tags(tags: np.ndarray, count: int) -> Claims:
    """Every proposal may have any class of the tags and meet its claim."""
    labels = np.concatenate([[0], np.flatnonzero(tags) + 1])
    candidates = np.ones((len(labels) - 1, count), bool)
    fits, allowed = candidates.astype(np.float32), np.ones((count, len(labels)), bool)
    return Claims(labels, np.arange(1, len(labels)), candidates, fits, allowed)


def _claims_of_boxes(truth: np.ndarray, boxes: np.ndarray, least: float) -> Claims:
    """If no proposal overlaps a box by `least`, its candidates are those that overlap it most."""
    overlaps = box_overlaps(truth[:, :4], boxes)
    reached = np.minimum(least, overlaps.max(axis=1, keepdims=True, initial=0))
    candidates = (overlaps >= reached) & (overlaps > 0)
    classes, claimed = np.unique(truth[:, 4].astype(np.int64), return_inverse=True)
    of_class = claimed[None] == np.arange(len(classes))[:, None]  # (classes, n)
    allowed = np.concatenate([np.ones((1, len(boxes)), bool), of_class @ candidates], axis=0).T
    return Claims(np.concatenate([[0], classes + 1]), claimed + 1, candidates, overlaps.astype(np.float32), allowed)
