"""Exact inference under the annotation: against all labellings of small cases, and against scipy's assignment."""

import itertools

import numpy as np
import pytest
import torch
from consistency_reference import best_score, meets, random_claims
from scipy.optimize import linear_sum_assignment

from wsis_steps.annotation_consistency.annotation import claims_of
from wsis_steps.annotation_consistency.inference import UNMET, assign, forbid, infer
from wsis_steps.annotation_consistency.settings import Scoring


def random_case(seed: int):
    rng = np.random.default_rng(seed)
    proposals, labels = int(rng.integers(1, 6)), int(rng.integers(2, 5))
    scores = rng.normal(size=(3, proposals, labels)).round(1 if seed % 3 else 0)  # often equal ones
    return rng, torch.from_numpy(scores), proposals, labels


@pytest.mark.parametrize("kind", ["tags", "boxes"])
def test_inference_is_as_good_as_the_best_of_all_labellings(kind):
    unmet = 0
    for seed in range(300):
        rng, scores, proposals, labels = random_case(seed)
        if kind == "tags":
            claimed = np.arange(1, labels)
            candidates = np.ones((len(claimed), proposals), bool)
        else:
            claimed, candidates = random_claims(rng, proposals, labels)
        found = infer(scores, torch.from_numpy(claimed), torch.from_numpy(candidates)).numpy()
        for sample, labelling in zip(scores.numpy(), found, strict=True):
            best = best_score(sample, claimed, candidates)
            if np.isinf(best):
                unmet += 1
                continue
            assert meets(labelling, claimed, candidates), seed
            assert sample[np.arange(proposals), labelling].sum() == pytest.approx(best), seed
    assert unmet  # such cases occur, and do not fail


def test_samples_are_inferred_each_by_itself():
    _, scores, proposals, labels = random_case(5)
    claimed, candidates = torch.arange(1, labels), torch.ones(labels - 1, proposals, dtype=torch.bool)
    together = infer(scores, claimed, candidates)
    alone = torch.cat([infer(sample[None], claimed, candidates) for sample in scores])
    assert torch.equal(together, alone)


def test_claims_that_nothing_can_meet_leave_the_others_met():
    scores = torch.tensor([[[1.0, 0.0, 0.0], [1.0, 0.0, 0.5]]])
    candidates = torch.tensor([[False, False], [True, True]])
    assert infer(scores, torch.tensor([1, 2]), candidates).tolist() == [[0, 2]]
    one = torch.tensor([[[0.0, 2.0, 1.0]]])  # two claims, one proposal
    assert infer(one, torch.tensor([1, 2]), torch.ones(2, 1, dtype=torch.bool)).tolist() == [[1]]


def test_forbidden_labels_do_not_occur():
    scores = forbid(torch.zeros(1, 3, 2), torch.tensor([[True, False], [True, True], [True, False]]))
    candidates = torch.ones(1, 3, dtype=torch.bool)
    assert infer(scores, torch.tensor([1]), candidates).tolist() == [[0, 1, 0]]


def test_without_claims_each_proposal_takes_its_best_label():
    _, scores, proposals, _ = random_case(1)
    nothing = torch.zeros(0, dtype=torch.int64), torch.zeros(0, proposals, dtype=torch.bool)
    assert torch.equal(infer(scores, *nothing), scores.argmax(dim=2))


def test_assignment_costs_as_little_as_scipys():
    rng = np.random.default_rng(0)
    for case in range(200):
        batch, rows = rng.integers(1, 5), rng.integers(1, 8)
        shape = batch, rows, rows + rng.integers(0, 6)
        costs = rng.random(shape) if case % 2 else rng.integers(0, 4, shape).astype(float)
        for own, chosen in zip(costs, assign(torch.from_numpy(costs)).numpy(), strict=True):
            assert len(set(chosen)) == rows
            assert own[np.arange(rows), chosen].sum() == pytest.approx(own[linear_sum_assignment(own)].sum())


def test_costs_of_unmet_claims_leave_the_digits_of_the_others():
    rng = np.random.default_rng(0)
    for _ in range(200):
        rows, columns = rng.integers(2, 6), rng.integers(1, 4)
        costs = np.full((rows, columns + rows), UNMET, np.float32)
        costs[:, :columns] = np.where(rng.random((rows, columns)) < 0.7, rng.random((rows, columns)), UNMET)
        chosen = assign(torch.from_numpy(costs)[None])[0].numpy()
        ours, best = (costs[np.arange(rows), found] for found in (chosen, linear_sum_assignment(costs)[1]))
        assert (ours < UNMET).sum() == (best < UNMET).sum()
        assert ours[ours < UNMET].sum() == pytest.approx(best[best < UNMET].sum(), abs=1e-5)


BOXES = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30], [0, 0, 40, 40]], np.float32)
TAGS = np.array([False, True, True, False])


def test_tags_claim_each_class_once_and_allow_no_other():
    claims = claims_of(TAGS, np.zeros((0, 5), np.float32), BOXES, Scoring())
    assert claims.labels.tolist() == [0, 2, 3] and claims.claimed.tolist() == [1, 2]
    assert claims.candidates.all() and claims.candidates.shape == (2, 4) and claims.allowed.all()


def test_boxes_claim_what_overlaps_them():
    truth = np.array([[0, 0, 10, 10, 2], [21, 21, 30, 30, 1], [0, 0, 9, 9, 1]], np.float32)
    claims = claims_of(TAGS, truth, BOXES, Scoring(supervision="boxes"))
    assert claims.labels.tolist() == [0, 2, 3] and claims.claimed.tolist() == [2, 1, 1]
    assert claims.fits[0].tolist() == pytest.approx([1, 0.9, 0, 1 / 16])
    expected = [[True, True, False, False], [False, False, True, False], [True, True, False, False]]
    assert claims.candidates.tolist() == expected
    assert claims.allowed.tolist() == [
        [True, True, True],
        [True, True, True],
        [True, True, False],
        [True, False, False],
    ]


def test_a_box_that_nothing_overlaps_enough_takes_the_nearest():
    far = np.array([[0, 0, 30, 30, 1], [100, 100, 110, 110, 1]], np.float32)
    claims = claims_of(TAGS, far, BOXES, Scoring(supervision="boxes", box_overlap=0.9))
    assert claims.candidates.tolist() == [[False, False, False, True], [False] * 4]


@pytest.mark.parametrize("supervision", ["tags", "boxes"])
def test_a_picture_without_annotation_claims_nothing(supervision):
    for higher_order, absent_classes in itertools.product((True, False), ("forbidden", "allowed")):
        settings = Scoring(supervision=supervision, higher_order=higher_order, absent_classes=absent_classes)
        claims = claims_of(np.zeros(4, bool), np.zeros((0, 5), np.float32), BOXES, settings)
        assert claims.labels.tolist() == ([0] if absent_classes == "forbidden" else [0, 1, 2, 3, 4])
        assert claims.candidates.shape == claims.fits.shape == (0, 4) and claims.claimed.shape == (0,)
        assert claims.allowed.all() and claims.allowed.shape == (4, len(claims.labels))


@pytest.mark.parametrize("supervision", ["tags", "boxes"])
def test_what_is_claimed_and_what_is_forbidden_are_two_settings(supervision):
    truth = np.array([[0, 0, 10, 10, 2], [21, 21, 30, 30, 1], [0, 0, 9, 9, 1]], np.float32)
    both = claims_of(TAGS, truth, BOXES, Scoring(supervision=supervision))

    unclaimed = claims_of(TAGS, truth, BOXES, Scoring(supervision=supervision, higher_order=False))
    assert unclaimed.labels.tolist() == both.labels.tolist() and (unclaimed.allowed == both.allowed).all()
    assert unclaimed.claimed.shape == (0,) and unclaimed.candidates.shape == unclaimed.fits.shape == (0, 4)

    any_class = claims_of(TAGS, truth, BOXES, Scoring(supervision=supervision, absent_classes="allowed"))
    assert any_class.labels.tolist() == [0, 1, 2, 3, 4] and any_class.allowed.tolist() == [[True] * 5] * 4
    assert any_class.labels[any_class.claimed].tolist() == both.labels[both.claimed].tolist()
    assert (any_class.candidates == both.candidates).all() and (any_class.fits == both.fits).all()

    neither = claims_of(
        TAGS, truth, BOXES, Scoring(supervision=supervision, higher_order=False, absent_classes="allowed")
    )
    assert neither.labels.tolist() == [0, 1, 2, 3, 4] and not len(neither.claimed) and neither.allowed.all()
