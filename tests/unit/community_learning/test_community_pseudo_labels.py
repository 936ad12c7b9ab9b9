"""Seeds, labels and samples that the detector makes of its own scores: cases by hand, and a plain repetition."""

import community_reference as plain
import numpy as np
import pytest
import torch

from wsis_steps.community_learning import boxes as box_offsets
from wsis_steps.community_learning.pseudo_labels import (
    Seeds,
    best_of_each_class,
    cluster_boxes,
    find_foreground,
    find_seeds,
    label_proposals,
    match,
    sample_proposals,
)
from wsis_steps.community_learning.settings import CommunityLearningTrain

# a, a moved by 1 of 10, a moved by 4, b far away, b's half, one of its own
SETTINGS = CommunityLearningTrain(
    seed_overlap=0.5, min_seed_overlap=0, foreground_nms=0.3, min_foreground_share=0.5, foreground_overlap=0.5,
    background_overlap=0.1, sampled_objects=32, sampled_background=32,
)  # fmt: skip
BOXES = torch.tensor(
    [[0, 0, 10, 10], [1, 0, 11, 10], [4, 0, 14, 10], [50, 50, 60, 60], [50, 50, 55, 60], [90, 0, 95, 5]],
    dtype=torch.float32,
)


def some_boxes(rng: np.random.Generator, count: int) -> torch.Tensor:
    corner, side = rng.uniform(0, 60, (count, 2)), rng.uniform(5, 40, (count, 2))
    return torch.from_numpy(np.hstack([corner, corner + side])).float()


def seeds(rows, categories, scores) -> Seeds:
    return Seeds(torch.tensor(rows), torch.tensor(categories), torch.tensor(scores, dtype=torch.float32))


def test_the_seed_of_a_class_is_its_best_proposal():
    scores = torch.tensor([[0.1, 0.9, 0.3], [0.7, 0.2, 0.1], [0.3, 0.3, 0.8]])
    found = find_seeds(scores, torch.tensor([True, False, True]))
    assert found.rows.tolist() == [1, 2] and found.categories.tolist() == [1, 3]
    assert found.scores.tolist() == pytest.approx([0.7, 0.8])


def test_a_proposal_is_the_seed_of_one_class_only():
    scores = torch.tensor([[0.9, 0.8], [0.1, 0.3], [0.2, 0.4]])
    found = find_seeds(scores, torch.tensor([True, True]))
    assert found.rows.tolist() == [0, 2] and found.scores.tolist() == pytest.approx([0.9, 0.4])
    assert scores[0, 0] == pytest.approx(0.9)  # what was given is not changed


def test_fewer_proposals_than_classes_and_no_class_at_all():
    assert find_seeds(torch.ones(1, 3), torch.ones(3, dtype=torch.bool)).rows.tolist() == [0]
    assert len(find_seeds(torch.ones(4, 3), torch.zeros(3, dtype=torch.bool)).rows) == 0
    assert len(find_seeds(torch.ones(0, 3), torch.ones(3, dtype=torch.bool)).rows) == 0


def test_matches_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    boxes, others = some_boxes(rng, 40), some_boxes(rng, 7)
    overlaps, nearest = match(boxes, others)
    for r in range(40):
        each = [plain.overlap(boxes[r].tolist(), other) for other in others.tolist()]
        assert overlaps[r] == pytest.approx(max(each), abs=1e-5) and nearest[r] == int(np.argmax(each))
    overlaps, nearest = match(boxes, others[:0])
    assert not overlaps.any() and not nearest.any()


def test_proposals_take_the_class_of_their_nearest_seed_and_its_score_as_weight():
    # overlaps with the first seed: 1, 9/11, 6/14; with the second: 1, 1/2
    given = seeds([0, 3], [2, 5], [0.6, 0.3])
    found = label_proposals(BOXES, given, BOXES[given.rows], SETTINGS)
    assert found.categories.tolist() == [2, 2, 0, 5, 5, 0]
    assert found.weights.tolist() == pytest.approx([0.6, 0.6, 0.6, 0.3, 0.3, 0.6])
    ignoring = label_proposals(BOXES, given, BOXES[given.rows], CommunityLearningTrain(min_seed_overlap=0.1))
    assert ignoring.weights.tolist() == pytest.approx([0.6, 0.6, 0.6, 0.3, 0.3, 0])


def test_without_seeds_nothing_has_weight():
    nothing = Seeds(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0))
    found = label_proposals(BOXES, nothing, BOXES[:0], SETTINGS)
    assert not found.weights.any() and not found.categories.any()
    sample = sample_proposals(BOXES, nothing, torch.rand(len(BOXES)), SETTINGS)
    assert len(sample.rows) == 0 and len(sample.categories) == 0


def test_foreground_is_what_is_strong_and_left_by_suppression():
    scores = torch.tensor([[0.8, 0.1], [0.9, 0.1], [0.5, 0.1], [0.6, 0.4], [0.1, 0.5], [0.2, 0.1]])
    # class 1: rows 1, 0 (suppressed by 1), 3, 2 (7/13 with 1: suppressed); row 5 is too weak
    found = find_foreground(scores, BOXES, torch.tensor([True, False]), SETTINGS)
    assert found.rows.tolist() == [1, 3] and found.categories.tolist() == [1, 1]
    both = find_foreground(scores, BOXES, torch.tensor([True, True]), SETTINGS)
    assert both.rows.tolist() == [1, 3, 4] and both.categories.tolist() == [1, 1, 2]
    assert best_of_each_class(both).rows.tolist() == [1, 4]
    assert len(find_foreground(scores, BOXES, torch.tensor([False, False]), SETTINGS).rows) == 0


@pytest.mark.parametrize("seed", range(5))
def test_foreground_of_many_is_that_of_a_loop(seed):
    rng = np.random.default_rng(seed)
    boxes, scores = some_boxes(rng, 60), torch.from_numpy(rng.uniform(0, 1, (60, 3))).float()
    found = find_foreground(
        scores,
        boxes,
        torch.tensor([True, False, True]),
        CommunityLearningTrain(foreground_nms=0.3, min_foreground_share=0.4),
    )
    expected = []
    for c in (0, 2):
        strong = [r for r in range(60) if scores[r, c] >= 0.4 * scores[:, c].max()]
        kept = plain.suppressed(boxes[strong].tolist(), scores[strong, c].tolist(), 0.3)
        expected += [(strong[k], c + 1) for k in kept]
    assert sorted(zip(found.rows.tolist(), found.categories.tolist(), strict=True)) == sorted(expected)
    assert (found.scores.diff() <= 0).all()


def test_samples_are_objects_first_and_background_of_some_overlap():
    found = sample_proposals(BOXES, seeds([0, 3], [2, 5], [0.6, 0.3]), torch.rand(len(BOXES)), SETTINGS)
    assert found.rows[:2].tolist() == [0, 3]  # the foreground itself, best first
    assert dict(zip(found.rows.tolist(), found.categories.tolist(), strict=True)) == {0: 2, 1: 2, 3: 5, 4: 5, 2: 0}
    assert found.foreground.tolist() == found.selected.tolist() == [True, True, False, False, False]


def test_samples_are_at_most_as_many_as_asked_and_drawn_at_random():
    rng = np.random.default_rng(0)
    boxes = some_boxes(rng, 300)
    foreground = seeds([7, 9], [1, 2], [0.9, 0.8])
    drawn = set()
    for k in range(4):
        luck = torch.rand(len(boxes), generator=torch.Generator().manual_seed(k))
        sample = sample_proposals(
            boxes, foreground, luck, CommunityLearningTrain(sampled_objects=5, sampled_background=6)
        )
        overlaps, nearest = match(boxes, boxes[foreground.rows])
        objects = sample.rows[:5]
        assert len(sample.rows) == 11 and objects[:2].tolist() == [7, 9]
        assert (overlaps[objects] >= 0.5).all() and (sample.categories[:5] == nearest[objects] + 1).all()
        assert ((overlaps[sample.rows[5:]] >= 0.1) & (overlaps[sample.rows[5:]] < 0.5)).all()
        assert not sample.categories[5:].any() and len(set(sample.rows.tolist())) == 11
        drawn.add(tuple(sample.rows.tolist()))
    assert len(drawn) == 4


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_of_a_cluster_is_that_of_the_boxes_near_its_best_one(seed):
    rng = np.random.default_rng(seed)
    boxes, scores = some_boxes(rng, 30), torch.from_numpy(rng.uniform(0, 1, (30, 3))).float()
    truths = Seeds(torch.tensor([4, 9]), torch.tensor([1, 3]), torch.tensor([0.9, 0.8]))
    found = cluster_boxes(boxes, scores, truths, 0.3)
    for mean, row, category in zip(found, [4, 9], [1, 3], strict=True):
        near = [r for r in range(30) if plain.overlap(boxes[r].tolist(), boxes[row].tolist()) > 0.3]
        assert row in near
        wanted = np.average(boxes[near].numpy(), axis=0, weights=scores[near, category - 1].numpy())
        assert mean.tolist() == pytest.approx(wanted, rel=1e-4)
    alone = cluster_boxes(boxes, torch.zeros(30, 3), truths, 0.999)
    torch.testing.assert_close(alone, boxes[truths.rows])


@pytest.mark.parametrize("seed", range(3))
def test_mixed_precision_shifts_no_mean_of_a_cluster(seed):
    rng = np.random.default_rng(seed)
    boxes, scores = 800 + some_boxes(rng, 30), torch.from_numpy(rng.uniform(0, 1, (30, 3))).float()
    truths = Seeds(torch.tensor([4, 9]), torch.tensor([1, 3]), torch.tensor([0.9, 0.8]))
    with torch.autocast("cpu", torch.bfloat16):  # whose numbers near 800 are 4 apart
        found = cluster_boxes(boxes, scores, truths, 0.3)
    assert found.dtype == torch.float32
    for mean, row, category in zip(found, [4, 9], [1, 3], strict=True):
        near = [r for r in range(30) if plain.overlap(boxes[r].tolist(), boxes[row].tolist()) > 0.3]
        wanted = np.average(boxes[near].numpy(), axis=0, weights=scores[near, category - 1].numpy())
        assert mean.tolist() == pytest.approx(wanted, abs=1e-3)


def test_offsets_are_those_of_the_equation_and_lead_back():
    rng = np.random.default_rng(1)
    proposals, targets = some_boxes(rng, 20), some_boxes(rng, 20)
    std = (0.1, 0.1, 0.2, 0.25)
    offsets = box_offsets.to_offsets(proposals, targets, std)
    for row, p, g in zip(offsets, proposals.tolist(), targets.tolist(), strict=True):
        wanted = np.array(plain.offsets(plain.centered(p), plain.centered(g))) / std
        assert row.tolist() == pytest.approx(wanted, abs=1e-4)
    back = box_offsets.apply_offsets(proposals, offsets, std)
    torch.testing.assert_close(back, targets, atol=1e-3, rtol=1e-4)
    assert box_offsets.mirror(torch.tensor([[1.0, 2, 5, 6]]), 10).tolist() == [[5, 2, 9, 6]]
