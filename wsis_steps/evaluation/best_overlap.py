"""Average best overlap (ABO): how well the best mask covers each true instance, at any score."""

import numpy as np

from wsis_steps.evaluation.overlaps import OverlapTable


def best_overlaps(table: OverlapTable, class_aware: bool) -> np.ndarray:
    """Best mask IoU of each truth, float64 (m,), 0 to 1; 0 if nothing overlaps it.

    class_aware: only predictions of the truth's class count; otherwise all do (proposals).
    """
    pairs = np.flatnonzero(table.same_class()) if class_aware else slice(None)
    best = np.zeros(len(table.truth_categories))
    np.maximum.at(best, table.pair_truths[pairs], table.pair_masks[pairs])
    return best


def average_best_overlap(table: OverlapTable, class_aware: bool = True) -> np.ndarray:
    """Mean best overlap of the truths of each class, float64 (classes,), 0 to 1; NaN without truths.

    The mean over classes (`class_mean`) is the ABO of the proposal literature. Community Learning and PRM do not say
    whether classes must agree; compare their figures with the class-aware one first.
    """
    counts = np.bincount(table.truth_categories, minlength=table.class_count)
    sums = np.bincount(table.truth_categories, best_overlaps(table, class_aware), minlength=table.class_count)
    return np.divide(sums, counts, out=np.full(table.class_count, np.nan), where=counts > 0)
