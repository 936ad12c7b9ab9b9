"""Precision, recall and F1 by score, and the kinds of errors, against nested loops over small sets."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from instance_sets import decode, instances, random_set, rectangle, rectangles

from wsis_steps.evaluation.average_precision import match
from wsis_steps.evaluation.error_kinds import assign, error_kinds
from wsis_steps.evaluation.overlaps import overlap_table
from wsis_steps.evaluation.score_thresholds import GRID, against_tags, curves
from wsis_steps.evaluation.truth_counts import against_truth

CLASSES = 3
NAMES = ("cat", "dog", "owl")


def overlap(a, b):
    union = (a | b).sum()
    return (a & b).sum() / union if union else 0.0


def at_least(prediction, score):
    return prediction.at(np.flatnonzero(prediction.scores >= np.float32(score)))


def in_crowd(prediction, truth, k):
    mask = decode(prediction)[k]
    shares = [
        (mask & other).sum() / max(mask.sum(), 1)
        for other, category, crowd in zip(decode(truth), truth.categories, truth.crowd, strict=True)
        if crowd and category == prediction.categories[k]
    ]
    return max(shares, default=0) >= 0.5


def ranked(predictions):
    rows = [(-one.scores[k], number, k) for number, one in enumerate(predictions) for k in range(len(one))]
    return [(number, k) for _, number, k in sorted(rows)]


def slow_match(predictions, truths, matching):
    """The true instance that each prediction finds, by (image, prediction), one prediction after another."""
    found = {}
    for number, k in ranked(predictions):
        mine, truth = decode(predictions[number])[k], truths[number]
        choices = [
            (overlap(mine, other), -j)
            for j, other in enumerate(decode(truth))
            if truth.categories[j] == predictions[number].categories[k] and not truth.crowd[j]
        ]
        if matching == "uncovered":
            choices = [(iou, j) for iou, j in choices if (number, -j) not in found.values()]
        iou, j = max(choices, default=(0, 0))
        if iou >= 0.5 and (number, -j) not in found.values():
            found[number, k] = (number, -j)
    return found


def slow_counts(predictions, truths, score, matching):
    """Right, kept and wanted instances of each class if everything below the score is removed first."""
    predictions = [at_least(one, score) for one in predictions]
    found = slow_match(predictions, truths, matching)
    right, kept, wanted = np.zeros((3, CLASSES), int)
    for number, (prediction, truth) in enumerate(zip(predictions, truths, strict=True)):
        for k, category in enumerate(prediction.categories):
            right[category] += (number, k) in found
            kept[category] += (number, k) in found or not in_crowd(prediction, truth, k)
        np.add.at(wanted, truth.categories[~truth.crowd], 1)
    return right, kept, wanted


@pytest.mark.parametrize("matching", ["argmax", "uncovered"])
@pytest.mark.parametrize("seed", range(6))
def test_counts_by_score_equal_those_of_sets_from_which_lower_scores_were_removed(seed, matching):
    predictions, truths = random_set(seed, crowd=0.3)
    counts = against_truth(overlap_table(predictions, truths, CLASSES, "keep"), matching)
    for place in (0, 19, 20, 21, 40, 59, 60, 80, 99, 100):
        right, kept, wanted = slow_counts(predictions, truths, place / 100, matching)
        assert counts.right[:, place].tolist() == right.tolist()
        assert counts.kept[:, place].tolist() == kept.tolist()
        assert counts.wanted.tolist() == wanted.tolist()


def test_ratios_and_the_best_score_follow_from_the_counts():
    predictions, truths = random_set(3, images=10)
    counts = against_truth(overlap_table(predictions, truths, CLASSES, "keep"), "argmax")
    pooled = counts.pooled()
    f1 = pooled.f1()[0]
    precision, recall = pooled.precision()[0], pooled.recall()[0]
    assert f1 == pytest.approx(2 * precision * recall / (precision + recall))
    best = pooled.best()[0]
    assert f1[best] == np.nanmax(f1) > 0
    tops = np.flatnonzero(f1 == f1.max())
    assert best == tops[(len(tops) - 1) // 2]
    # scores are fifths, so the best is one of five plateaus of twenty grid scores, and lies in its middle
    assert best % 20 in (9, 10, 11)


def test_nothing_to_keep_or_to_find_has_no_ratio_and_no_best_score():
    nothing = instances([], [])
    one = instances([rectangle(0, 0, 4, 4)], [0], [0.5])
    unfound = against_truth(overlap_table([nothing], [one], 2, "keep"), "argmax")
    assert np.isnan(unfound.precision()).all()
    assert unfound.recall()[0].max() == 0 and np.isnan(unfound.recall()[1]).all()
    assert unfound.best().tolist() == [-1, -1]
    written = curves(unfound, ("cat", "dog"))
    assert written["pooled"]["best"] is None and written["classes"]["dog"]["recall"] == [None] * 19


def test_a_score_equal_to_the_grid_is_kept():
    scores = [0.05, 0.3, 0.7, 1.0]
    predicted = instances([rectangle(0, 0, 4, 4)] * 4, [0] * 4, scores)
    counts = against_truth(overlap_table([predicted], [instances([], [])], 1, "keep"), "argmax")
    for k, score in enumerate(scores):
        place = round(100 * score)
        assert counts.kept[0, place] == 4 - k
        assert place == 100 or counts.kept[0, place + 1] == 3 - k
    assert GRID[30] == np.float32(0.3)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 100)), min_size=6, max_size=6))
def test_tags_are_found_by_the_highest_score_of_their_class(cells):
    tags = np.array([tag for tag, _ in cells]).reshape(2, 3)
    highest = np.array([score for _, score in cells], np.float32).reshape(2, 3) / np.float32(100)
    counts = against_tags(tags, highest)
    for place, score in enumerate(GRID):
        shown = (highest >= score) & (highest > 0)
        assert counts.kept[:, place].tolist() == shown.sum(0).tolist()
        assert counts.right[:, place].tolist() == (shown & tags).sum(0).tolist()
    assert counts.wanted.tolist() == tags.sum(0).tolist()


def slow_kinds(predictions, truths, score, matching):
    """Kind and true instance by (image, prediction), and the kinds of the true instances."""
    kept = [np.flatnonzero(one.scores >= np.float32(score)) for one in predictions]
    shown = [one.at(rows) for one, rows in zip(predictions, kept, strict=True)]
    taken = {key: ("found", true) for key, true in slow_match(shown, truths, matching).items()}
    limits = {"wrong class": (0.5, 2, False), "coarse outline": (0.1, 0.5, True)}
    for kind, (low, high, same) in limits.items():
        for number, k in ranked(shown):
            if (number, k) in taken:
                continue
            truth, mine, used = truths[number], decode(shown[number])[k], {true for _, true in taken.values()}
            choices = [
                (overlap(mine, other), -j)
                for j, other in enumerate(decode(truth))
                if not truth.crowd[j] and (number, j) not in used
                and (truth.categories[j] == shown[number].categories[k]) == same
            ]  # fmt: skip
            choices = [choice for choice in choices if low <= choice[0] < high]
            if choices:
                taken[number, k] = (kind, (number, -max(choices)[1]))
    kinds = {key: kind for key, (kind, _) in taken.items()}
    for number, k in ranked(shown):
        if (number, k) in kinds:
            continue
        truth, mine = truths[number], decode(shown[number])[k]
        ious = [
            (overlap(mine, other), truth.categories[j] == shown[number].categories[k])
            for j, other in enumerate(decode(truth))
            if not truth.crowd[j]
        ]
        on_one = any(iou >= 0.5 or (same and iou >= 0.1) for iou, same in ious)
        ignored = in_crowd(shown[number], truth, k)
        kinds[number, k] = "ignored" if ignored else "doubled" if on_one else "background"
    pairs = [
        (truths[number].categories[j], shown[number].categories[k])
        for (number, k), (kind, (_, j)) in taken.items()
        if kind in ("found", "wrong class")
    ]
    true = {true: kind for kind, true in taken.values()}
    every = [(n, j) for n, truth in enumerate(truths) for j in np.flatnonzero(~truth.crowd)]
    return kinds, {one: true.get(one, "missed") for one in every}, pairs


def check_kinds(predictions, truths, score, matching):
    table = overlap_table(predictions, truths, CLASSES, "keep")
    found = error_kinds(table, assign(table, score, matching), NAMES)
    kinds, true, pairs = slow_kinds(predictions, truths, score, matching)
    for kind, number in found["predicted"].items():
        assert number == list(kinds.values()).count(kind), kind
    for kind, number in found["true"].items():
        assert number == list(true.values()).count(kind), kind
    cells = {(row, column): number for row, column, number in found["confusion"]}
    for (a, name), (b, other) in itertools.product(enumerate(NAMES), repeat=2):
        assert cells.get((name, other), 0) == pairs.count((a, b))
    kept = sum(kind != "ignored" for kind in kinds.values())
    assert sum(found["predicted"].values()) == kept
    assert sum(number for (_, column), number in cells.items() if column) == kept
    assert sum(number for (row, _), number in cells.items() if row) == len(true) == sum(found["true"].values())


@pytest.mark.parametrize("matching", ["argmax", "uncovered"])
@pytest.mark.parametrize("score", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("seed", range(5))
def test_kinds_of_errors_equal_those_of_nested_loops(seed, score, matching):
    check_kinds(*random_set(seed, crowd=0.2), score, matching)


@given(st.lists(st.tuples(rectangles(classes=3), rectangles(classes=3)), min_size=1, max_size=3))
def test_kinds_of_errors_of_overlapping_true_instances_equal_those_of_nested_loops(pairs):
    check_kinds([one for one, _ in pairs], [other for _, other in pairs], 0.5, "argmax")


def test_every_kind_of_error_is_named():
    left, right, far = rectangle(0, 0, 4, 8), rectangle(6, 0, 10, 8), rectangle(12, 0, 16, 4)
    third, off = rectangle(6, 9, 10, 12), rectangle(0, 9, 4, 12)
    truth = instances([left, right, third, off], [0, 1, 2, 2])
    predicted = instances(
        [left, left, right, rectangle(6, 9, 10, 10), far],  # found, doubled, wrong class, coarse, background
        [0, 0, 2, 2, 1], [0.9, 0.8, 0.7, 0.6, 0.5],
    )  # fmt: skip
    table = overlap_table([predicted], [truth], 3, "keep")
    found = error_kinds(table, assign(table, 0.3, "argmax"), NAMES)
    assert found["predicted"] == {
        "found": 1, "wrong class": 1, "coarse outline": 1, "doubled": 1, "background": 1
    }  # fmt: skip
    assert found["true"] == {"found": 1, "wrong class": 1, "coarse outline": 1, "missed": 1}
    assert ["dog", "owl", 1] in found["confusion"] and ["owl", None, 2] in found["confusion"]
    assert [None, "owl", 1] in found["confusion"]


def test_matches_of_higher_scores_do_not_depend_on_lower_ones():
    predictions, truths = random_set(8, images=12)
    whole = overlap_table(predictions, truths, CLASSES, "keep")
    some = overlap_table([at_least(one, 0.6) for one in predictions], truths, CLASSES, "keep")
    kept = whole.prediction_scores >= np.float32(0.6)
    for matching in ("argmax", "uncovered"):
        assert match(whole, "mask", 0.5, matching)[kept].tolist() == match(some, "mask", 0.5, matching).tolist()
