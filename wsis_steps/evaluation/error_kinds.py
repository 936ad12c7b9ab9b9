"""What is wrong with predicted instances: kinds of errors, and which class is taken for which."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from wsis_steps.evaluation.average_precision import Matching, cover, match
from wsis_steps.evaluation.overlaps import OverlapTable
from wsis_steps.evaluation.truth_counts import IN_CROWD, OVERLAP

COARSE = 0.1  # mask IoU from which an instance lies on a true one, if below OVERLAP

FOUND, WRONG_CLASS, COARSE_OUTLINE, MISSED = range(4)  # of a true instance
DOUBLED, BACKGROUND, IGNORED = range(3, 6)  # of a predicted one, besides the first three
TRUTH_KINDS = ("found", "wrong class", "coarse outline", "missed")
KINDS = ("found", "wrong class", "coarse outline", "doubled", "background")


@dataclass(frozen=True)
class Assignment:
    """What became of every predicted and every true instance.

    kinds: int64 (n,), of the predictions, -1 below the score; truth_kinds: int64 (m,); partners: int64 (n,), the true
    instance of a found one, a wrong class or a coarse outline, -1 for the others.
    """

    kinds: np.ndarray
    truth_kinds: np.ndarray
    partners: np.ndarray


def assign(table: OverlapTable, score: float, matching: Matching) -> Assignment:
    """Assigns the predictions of at least `score`, each true instance to one of them at most, in this order:

    - found: a true instance of its class by a mask IoU of 0.5, as for average precision (`match`);
    - wrong class: one of another class by 0.5; the higher score first;
    - coarse outline: one of its class by 0.1 to 0.5; the higher score first;
    - doubled: overlaps one as above, but another prediction has it;
    - background: everything else. Predictions at least half inside a crowd of their class are ignored instead of
      doubled or background.

    True instances without a prediction are missed.
    """
    shown = table.prediction_scores >= np.float32(score)
    partners = np.where(shown, match(table, "mask", OVERLAP, matching), -1)
    kinds = np.where(partners >= 0, FOUND, -1)
    truth_kinds = np.full(len(table.truth_categories), MISSED)
    truth_kinds[partners[partners >= 0]] = FOUND
    same, ious = table.same_class(), table.pair_masks
    close = ious >= OVERLAP
    near = same & (ious >= COARSE)
    for kind, fits in ((WRONG_CLASS, ~same & close), (COARSE_OUTLINE, near & ~close)):
        free = shown[table.pair_predictions] & (kinds[table.pair_predictions] < 0)
        free &= truth_kinds[table.pair_truths] == MISSED
        taken = cover(table, np.flatnonzero(fits & free), ious, table.truth_images)
        kinds[taken >= 0] = kind
        truth_kinds[taken[taken >= 0]] = kind
        partners = np.where(taken >= 0, taken, partners)
    left = shown & (kinds < 0)
    kinds[left] = BACKGROUND
    on_one = np.unique(table.pair_predictions[close | near])
    kinds[on_one[left[on_one]]] = DOUBLED
    kinds[left & (table.prediction_crowds >= IN_CROWD)] = IGNORED
    return Assignment(kinds, truth_kinds, partners)


def error_kinds(table: OverlapTable, assignment: Assignment, class_names: tuple[str, ...]) -> dict[str, Any]:
    """How many instances are of each kind, and the confusion matrix, as JSON values.

    `predicted`: predictions by `KINDS`; `true`: true instances by `TRUTH_KINDS`; `confusion`: rows (true class,
    predicted class, number), without zeros. The true class is None for predictions that have none (coarse outline,
    doubled, background), the predicted class for true instances without one (coarse outline, missed).
    """
    kinds, count = assignment.kinds, table.class_count
    known = (kinds == FOUND) | (kinds == WRONG_CLASS)
    matrix = np.zeros((count + 1, count + 1), dtype=np.int64)
    true = table.truth_categories[assignment.partners[known]]
    np.add.at(matrix, (true, table.prediction_categories[known]), 1)
    alone = (kinds >= COARSE_OUTLINE) & (kinds <= BACKGROUND)
    np.add.at(matrix[count], table.prediction_categories[alone], 1)
    np.add.at(matrix[:, count], table.truth_categories[assignment.truth_kinds >= COARSE_OUTLINE], 1)
    names = [*class_names, None]
    return {
        "predicted": dict(zip(KINDS, np.bincount(kinds[kinds >= 0], minlength=6).tolist(), strict=False)),
        "true": dict(zip(TRUTH_KINDS, np.bincount(assignment.truth_kinds, minlength=4).tolist(), strict=True)),
        "confusion": [[names[row], names[column], int(matrix[row, column])] for row, column in np.argwhere(matrix)],
    }
