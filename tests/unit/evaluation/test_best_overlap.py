import numpy as np
import pytest
from instance_sets import decode, instances, random_set, rectangle

from wsis_steps.evaluation.best_overlap import average_best_overlap, best_overlaps
from wsis_steps.evaluation.overlaps import overlap_table


def slow_best(predictions, truths, class_aware):
    """Best IoU of every truth by loops over arrays, and the truths' classes."""
    best, categories = [], []
    for prediction, truth in zip(predictions, truths, strict=True):
        for mask, category in zip(decode(truth), truth.categories, strict=True):
            ious = [0.0]
            for other, guess in zip(decode(prediction), prediction.categories, strict=True):
                if guess == category or not class_aware:
                    ious.append((mask & other).sum() / max((mask | other).sum(), 1))
            best.append(max(ious))
            categories.append(category)
    return np.array(best), np.array(categories)


@pytest.mark.parametrize("class_aware", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_as_nested_loops(seed, class_aware):
    predictions, truths = random_set(seed, classes=3)
    table = overlap_table(predictions, truths, 4, "keep")
    best, categories = slow_best(predictions, truths, class_aware)
    np.testing.assert_allclose(best_overlaps(table, class_aware), best, atol=1e-12)
    means = [best[categories == c].mean() if (categories == c).any() else np.nan for c in range(4)]
    np.testing.assert_allclose(average_best_overlap(table, class_aware), means, atol=1e-12)


def test_classes_count_alike_however_many_truths_they_have():
    one, two, three = rectangle(0, 0, 4, 4), rectangle(4, 0, 8, 4), rectangle(0, 4, 4, 8)
    truth, prediction = instances([one, two, three], [0, 0, 1]), instances([one, three], [0, 1])
    scores = average_best_overlap(overlap_table([prediction], [truth], 3, "keep"))
    np.testing.assert_array_equal(scores, [0.5, 1.0, np.nan])


def test_only_the_class_agnostic_score_forgives_a_wrong_class():
    mask = rectangle(0, 0, 4, 4)
    table = overlap_table([instances([mask], [1])], [instances([mask], [0])], 2, "keep")
    assert average_best_overlap(table, class_aware=True)[0] == 0
    assert average_best_overlap(table, class_aware=False)[0] == 1
