"""Semantic segmentation scores: the confusion matrix of label maps and IoU from it."""

from collections.abc import Iterable

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.masks import UNSURE

_LABELS = 256  # of a uint8 map


def _check_labels(name: str, counts: np.ndarray, class_count: int) -> None:
    wrong = np.flatnonzero(counts[class_count + 1 : UNSURE])
    if len(wrong):
        stray = wrong[0] + class_count + 1
        raise InputError(f"label {stray} in the {name} label maps is not one of 0 to {class_count} or {UNSURE}.")


def confusion_matrix(predictions: Iterable[np.ndarray], truths: Iterable[np.ndarray], class_count: int) -> np.ndarray:
    """Pixel counts of all images, int64 (class_count + 1, class_count + 2): rows true, columns predicted.

    Maps are uint8 (h, w): 0 background, 1 + category, 255 unsure. Unsure pixels of the truth are not counted; the last
    column counts pixels that the prediction leaves unsure. Maps are read once, pair by pair. Raises InputError for maps
    of different sizes or labels out of range, ValueError if one list is longer.
    """
    # Counting all 256 x 256 pairs of labels needs no mask of valid pixels and reveals invalid labels at no cost.
    counts = np.zeros(_LABELS * _LABELS, dtype=np.int64)
    for number, (predicted, true) in enumerate(zip(predictions, truths, strict=True)):
        if predicted.shape != true.shape:
            raise InputError(f"image {number}: the label maps are of sizes {predicted.shape} and {true.shape}.")
        pairs = (true.astype(np.uint16) << 8) | predicted
        counts += np.bincount(pairs.ravel(), minlength=_LABELS * _LABELS)
    counts = counts.reshape(_LABELS, _LABELS)
    _check_labels("true", counts.sum(axis=1), class_count)
    _check_labels("predicted", counts.sum(axis=0), class_count)
    columns = [*range(class_count + 1), UNSURE]
    return counts[: class_count + 1, columns]


def class_ious(confusion: np.ndarray) -> np.ndarray:
    """IoU per label (background first), float64 (class_count + 1,), 0 to 1; NaN for labels that never occur.

    confusion: from `confusion_matrix`; pixels that a prediction leaves unsure count as missed. VOC's definition:
    diagonal / (row + column - diagonal). `class_mean` gives the mIoU.
    """
    diagonal = np.diagonal(confusion)
    union = confusion.sum(axis=1) + confusion[:, :-1].sum(axis=0) - diagonal
    return np.divide(diagonal, union, out=np.full(len(diagonal), np.nan), where=union > 0)
