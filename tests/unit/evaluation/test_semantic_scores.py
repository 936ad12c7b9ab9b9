import numpy as np
import pytest

from wsis_steps.engine.errors import InputError
from wsis_steps.evaluation.class_means import class_mean
from wsis_steps.evaluation.semantic_scores import class_ious, confusion_matrix


def random_maps(seed, labels, size=(9, 13)):
    rng = np.random.default_rng(seed)
    return [rng.choice(np.array(labels, dtype=np.uint8), size) for _ in range(3)]


def test_iou_counts_pixels():
    predictions, truths = random_maps(0, [0, 1, 2, 255]), random_maps(1, [0, 1, 2, 255])
    found = class_ious(confusion_matrix(predictions, truths, class_count=3))
    predicted, true = np.stack(predictions), np.stack(truths)
    valid = true != 255
    for label in range(3):
        p, t = (predicted == label) & valid, (true == label) & valid
        assert found[label] == pytest.approx((p & t).sum() / (p | t).sum())
    assert np.isnan(found[3])


def test_confusion_rows_are_true_labels_and_void_is_not_counted():
    truth = np.array([[0, 0, 1, 255]], dtype=np.uint8)
    prediction = np.array([[0, 1, 255, 1]], dtype=np.uint8)
    confusion = confusion_matrix([prediction], [truth], class_count=1)
    np.testing.assert_array_equal(confusion, [[1, 1, 0], [0, 0, 1]])
    np.testing.assert_array_equal(class_ious(confusion), [0.5, 0.0])


def test_perfect_maps_score_one_and_absent_classes_do_not_count():
    maps = random_maps(2, [0, 2, 5])
    scores = class_ious(confusion_matrix(maps, maps, class_count=20))
    np.testing.assert_array_equal(np.flatnonzero(~np.isnan(scores)), [0, 2, 5])
    assert class_mean(scores) == 1.0


@pytest.mark.parametrize("where", ["true", "predicted"])
def test_labels_out_of_range_are_refused(where):
    good, bad = np.zeros((2, 2), np.uint8), np.full((2, 2), 4, np.uint8)
    prediction, truth = (good, bad) if where == "true" else (bad, good)
    with pytest.raises(InputError, match=f"label 4 in the {where} label maps"):
        confusion_matrix([prediction], [truth], class_count=3)


def test_maps_of_two_sizes_are_refused():
    with pytest.raises(InputError, match="image 0"):
        confusion_matrix([np.zeros((2, 3), np.uint8)], [np.zeros((3, 2), np.uint8)], class_count=1)


def test_lists_of_unequal_length_are_refused():
    one = np.zeros((2, 2), np.uint8)
    with pytest.raises(ValueError, match="longer|shorter"):
        confusion_matrix([one, one], [one], class_count=1)
