import math

import numpy as np
import pytest
from instance_sets import decode, instances, random_set, rectangle

from wsis_steps.evaluation.label_scores import label_scores
from wsis_steps.evaluation.overlaps import overlap_table

ONE, TWO, THREE = rectangle(0, 0, 4, 4), rectangle(4, 0, 8, 4), rectangle(8, 0, 12, 4)


def scores_of(label, truth, class_count=2):
    return label_scores(overlap_table([label], [truth], class_count, "keep"), "argmax")


def test_perfect_labels():
    _, truths = random_set(4)
    scores = label_scores(overlap_table(truths, truths, 3, "keep"), "argmax")
    count = sum(map(len, truths))
    assert scores.pop("instances") == scores.pop("truths") == count
    assert set(scores.values()) == {1.0}


def test_one_label_over_two_objects_labels_one():
    scores = scores_of(instances([ONE | TWO], [0]), instances([ONE, TWO], [0, 0]))
    assert scores["labelled"] == scores["recall50"] == 0.5
    assert scores["precision50"] == 1.0
    assert scores["recall75"] == scores["precision75"] == 0.0
    assert scores["matched_iou"] == 0.5


def test_doubled_and_misplaced_labels_cost_precision():
    labels = instances([ONE, ONE, TWO, THREE], [0, 0, 1, 1])
    scores = scores_of(labels, instances([ONE, TWO], [0, 0]))
    assert (scores["instances"], scores["truths"]) == (4, 2)
    assert scores["precision50"] == 0.25
    assert scores["recall50"] == scores["labelled"] == 0.5


def test_found_truths_as_counted_with_arrays():
    labels, truths = random_set(7, images=10)
    scores = label_scores(overlap_table(labels, truths, 3, "keep"), "argmax")
    found = {0.5: 0, 0.75: 0}
    overlaps = []
    for label, truth in zip(labels, truths, strict=True):
        for mask, category in zip(decode(truth), truth.categories, strict=True):
            own = [m for m, c in zip(decode(label), label.categories, strict=True) if c == category]
            best = max(((mask & m).sum() / (mask | m).sum() for m in own), default=0)
            overlaps.append(best)
            for threshold in found:  # a label covers at most one of disjoint truths by more than half
                found[threshold] += best >= threshold
    for threshold, count in found.items():
        percent = round(threshold * 100)
        assert count > 0
        assert scores[f"recall{percent}"] == pytest.approx(count / len(overlaps))
        assert scores[f"precision{percent}"] == pytest.approx(count / sum(map(len, labels)))
    assert scores["matched_iou"] == pytest.approx(np.mean([o for o in overlaps if o >= 0.5]))


def test_loose_labels_do_not_lower_the_overlap_of_the_others():
    loose = rectangle(8, 0, 12, 1) | rectangle(12, 0, 16, 1)  # IoU 1/5 with THREE
    looser = rectangle(4, 0, 8, 2) | rectangle(4, 4, 8, 5)  # IoU 8/20 with TWO
    labels = instances([rectangle(0, 0, 4, 3), looser, loose], [0, 0, 0])
    scores = scores_of(labels, instances([ONE, TWO, THREE], [0, 0, 0]))
    assert scores["labelled"] == 1.0
    assert scores["recall50"] == pytest.approx(1 / 3)
    assert scores["matched_iou"] == 0.75


def test_matching_is_passed_on():
    between = rectangle(0, 0, 8, 4)  # IoU 1/2 with ONE and with TWO
    table = overlap_table([instances([ONE, between], [0, 0], [0.9, 0.8])], [instances([ONE, TWO], [0, 0])], 1, "keep")
    for matching, share in (("argmax", 0.5), ("uncovered", 1.0)):
        scores = label_scores(table, matching)
        assert scores["recall50"] == scores["precision50"] == scores["mask_ap50"] == share


def test_no_labels():
    scores = scores_of(instances([], []), instances([ONE], [0]))
    assert scores["recall50"] == scores["labelled"] == scores["mask_ap50"] == scores["abo"] == 0
    assert math.isnan(scores["precision50"])
    assert math.isnan(scores["matched_iou"])
