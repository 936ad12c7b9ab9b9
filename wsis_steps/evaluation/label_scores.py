"""Quality of pseudo labels on training images, against ground truth that training never sees."""

import numpy as np

from wsis_steps.evaluation.average_precision import Matching, best_truths, mask_ap, match
from wsis_steps.evaluation.best_overlap import average_best_overlap, best_overlaps
from wsis_steps.evaluation.class_means import class_mean
from wsis_steps.evaluation.overlaps import OverlapTable


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def label_scores(table: OverlapTable, matching: Matching) -> dict[str, float]:
    """Figures of pseudo labels (the predictions of `table`); shares are 0 to 1, NaN for 0 / 0.

    - `instances`, `truths`: their numbers, without crowds.
    - `labelled`: share of truths that are the best-overlapping truth of some label of their class, however loosely: one
      label over two objects labels one of them.
    - `recall50`, `recall75`, `precision50`, `precision75`: share of truths found and of labels that find one at this
      mask IoU, pooled over all classes; `matching` as in `average_precision.match`.
    - `matched_iou`: mean IoU, with their best label, of the truths that a label of their class covers by 0.5.
    - `mask_ap25` ... `mask_ap75` and `abo`: means over classes, as for predictions.

    With `argmax`, only the AP depends on the labels' scores.
    """
    instances, truths = len(table.prediction_scores), len(table.truth_categories)
    best, _ = best_truths(table, "mask")
    scores: dict[str, float] = {"instances": instances, "truths": truths}
    scores["labelled"] = _share(len(np.unique(best[best >= 0])), truths)
    for percent in (50, 75):
        found = int((match(table, "mask", percent / 100, matching) >= 0).sum())
        scores[f"recall{percent}"] = _share(found, truths)
        scores[f"precision{percent}"] = _share(found, instances)
    covered = best_overlaps(table, class_aware=True)
    covered = covered[covered >= 0.5]
    scores["matched_iou"] = float(covered.mean()) if len(covered) else float("nan")
    scores |= {name: class_mean(values) for name, values in mask_ap(table, matching).items()}
    scores["abo"] = class_mean(average_best_overlap(table))
    return scores
