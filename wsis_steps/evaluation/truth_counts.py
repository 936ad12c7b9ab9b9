"""Right, kept and wanted instances by score, against ground truth."""

import numpy as np

from wsis_steps.evaluation.average_precision import Matching, match
from wsis_steps.evaluation.overlaps import OverlapTable
from wsis_steps.evaluation.score_thresholds import ThresholdCounts, count_kept

OVERLAP = 0.5  # mask IoU from which an instance finds a true one
IN_CROWD = 0.5  # share of a mask inside a crowd from which the instance counts neither as right nor as wrong


def against_truth(table: OverlapTable, matching: Matching) -> ThresholdCounts:
    """Right are instances that find a true one of their class by a mask IoU of 0.5, each true one once (`match`).

    A match does not depend on instances of lower score, so one matching serves all scores. Instances at least half
    inside a crowd of their class that find nothing else are left out.
    """
    right = match(table, "mask", OVERLAP, matching) >= 0
    kept = right | (table.prediction_crowds < IN_CROWD)
    scores, categories = table.prediction_scores, table.prediction_categories
    return ThresholdCounts(
        count_kept(scores[right], categories[right], table.class_count),
        count_kept(scores[kept], categories[kept], table.class_count),
        np.bincount(table.truth_categories, minlength=table.class_count),
    )
