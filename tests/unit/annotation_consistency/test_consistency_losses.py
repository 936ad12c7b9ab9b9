"""Diversities against enumeration of all labellings, and the surrogate of direct loss minimization against the written
gradient."""

from functools import partial

import numpy as np
import pytest
import torch
from consistency_reference import labellings

from wsis_steps.annotation_consistency.inference import forbid, infer
from wsis_steps.annotation_consistency.losses import (
    cross_diversity,
    direct_loss,
    exact_self_diversity,
    label_losses,
    mask_self_diversity,
    ordered_pairs,
    sampled_self_diversity,
    score_of,
    task_losses,
)
from wsis_steps.annotation_consistency.prediction import diversity_reward

P, L, K = 3, 3, 4


def random_probabilities(seed: int, proposals: int = P, labels: int = L) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(proposals, labels, generator=generator, dtype=torch.float64).mul(2).softmax(dim=1)


def enumerated(probabilities: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """All labellings with their probabilities under independent proposals."""
    found = labellings(*probabilities.shape)
    return found, probabilities.numpy()[np.arange(len(probabilities)), found].prod(axis=1)


def hamming(first, second) -> int:
    return int((np.asarray(first) != np.asarray(second)).sum())


@pytest.mark.parametrize("seed", range(5))
def test_exact_terms_equal_enumeration(seed):
    p = random_probabilities(seed)
    found, weights = enumerated(p)
    pairs = sum(a * b * hamming(x, y) for x, a in zip(found, weights) for y, b in zip(found, weights))  # noqa: B905
    assert float(exact_self_diversity(p).sum()) == pytest.approx(pairs)
    samples = torch.from_numpy(np.random.default_rng(seed).integers(0, L, (K, P)))
    cross = np.mean([sum(w * hamming(y, s) for y, w in zip(found, weights)) for s in samples.numpy()])  # noqa: B905
    assert float(cross_diversity(1 - p, samples)) == pytest.approx(cross)
    own = [hamming(samples[a], samples[b]) for a in range(K) for b in range(K) if a != b]
    assert float(sampled_self_diversity(samples)) == pytest.approx(np.mean(own))


def test_the_dissimilarity_of_a_distribution_with_itself_is_0_and_of_others_above():
    p, q = random_probabilities(0), random_probabilities(1)
    found, weights = enumerated(q)
    cross = sum(w * float(cross_diversity(1 - p, torch.from_numpy(y)[None])) for y, w in zip(found, weights))  # noqa: B905
    of_q, of_p = (exact_self_diversity(distribution).sum() for distribution in (q, p))
    assert cross - 0.5 * float(of_q + of_p) > 0.01
    itself = sum(w * float(cross_diversity(1 - p, torch.from_numpy(y)[None])) for y, w in zip(*enumerated(p)))  # noqa: B905
    assert itself - float(of_p) == pytest.approx(0)


def test_sampled_diversities_are_unbiased():
    """Means over many draws of K samples lie within four standard errors of the enumerated expectation."""
    p, q = random_probabilities(0), random_probabilities(1)
    generator = torch.Generator().manual_seed(0)
    draws, expected_own = 4000, float(exact_self_diversity(q).sum())
    samples = torch.multinomial(q, draws * K, replacement=True, generator=generator).T.reshape(draws, K, P)
    own = torch.stack([sampled_self_diversity(labels) for labels in samples]).double()
    cross = torch.stack([cross_diversity(1 - p, labels) for labels in samples])
    expected_cross = float((1 - (p * q).sum(dim=1)).sum())
    for values, expected in ((own, expected_own), (cross, expected_cross)):
        error = float(values.std()) / draws**0.5
        assert abs(float(values.mean()) - expected) < 4 * error
        assert error < 0.02 * expected
    with_equal_pairs = own * (K - 1) / K  # what counting k = k' would give is far off
    assert abs(float(with_equal_pairs.mean()) - expected_own) > 10 * float(own.std()) / draws**0.5


def test_mask_diversity_equals_enumeration():
    m = random_probabilities(3, 2, 4).reshape(2, 2, 2)
    expected = [np.mean([2 * float(x) * (1 - float(x)) for x in mask.flatten()]) for mask in m]
    assert mask_self_diversity(m).tolist() == pytest.approx(expected)


def test_the_task_loss_counts_a_mask_where_the_class_is_right():
    p = torch.tensor([[0.2, 0.8], [1.0, 0.0]])
    masks = torch.tensor([[0.9, 0.5], [0.9, 0.7]])
    found = task_losses(p, masks, mask_weight=0.5, missed_cost=3)
    torch.testing.assert_close(found, torch.tensor([[3 * 0.8, 0.2 + 0.5 * 0.8 * 0.5], [0.0, 1.0]]))


def test_the_reward_of_diversity_weighs_a_region_as_its_loss_does():
    p, m = random_probabilities(0), random_probabilities(1, 2, 4).reshape(2, 2, 2)
    weights, labels = torch.tensor([1.0, 0.1, 0.0]), torch.tensor([2, 1])
    masks = torch.zeros(2, L, 2, 2, dtype=torch.float64)
    masks[[0, 1], labels] = m.logit()
    found = diversity_reward(0.25)(p.log(), weights, masks, labels, torch.tensor([0.1, 1.0]))["self_diversity"]
    classes = [w * (1 - float(row.square().sum())) for w, row in zip([1, 0.1, 0], p, strict=True)]
    of_masks = [w * float((2 * x * (1 - x)).mean()) for w, x in zip([0.1, 1], m, strict=True)]
    assert float(found) == pytest.approx(-0.75 * (sum(classes) / 3 + sum(of_masks) / 2))


def written_gradient(scores, losses, best, gamma, epsilon) -> torch.Tensor:
    """Algorithm 1, step 8, in loops: the gradient of S at a labelling is 1 at its labels."""

    def one_hot(labelling):
        return torch.nn.functional.one_hot(labelling, scores.shape[2]).to(scores.dtype)

    samples = len(scores)
    labels = [best(scores[k : k + 1])[0] for k in range(samples)]
    found = torch.zeros_like(scores)
    for k in range(samples):
        toward = best(scores[k : k + 1] + epsilon * losses)[0]
        found[k] += (one_hot(toward) - one_hot(labels[k])) / samples
        for other in range(samples):
            if other != k:
                delta = 1 - one_hot(labels[other])
                apart = best(scores[k : k + 1] + epsilon * delta)[0]
                factor = gamma * 2 / (samples * (samples - 1))
                found[k] -= factor * one_hot(apart)
                found[other] += factor * one_hot(labels[other])  # S^k'(y_c'), as printed
    return found / epsilon


@pytest.mark.parametrize("epsilon", [1.0, -1.0, 3.0])
@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_the_surrogates_gradient_is_the_written_one(gamma, epsilon):
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        scores = torch.randn(K, 6, L, generator=generator, dtype=torch.float64, requires_grad=True)
        allowed = torch.rand(6, L, generator=generator) < 0.8
        allowed[:, 0] = True
        best = partial(infer, claimed=torch.tensor([1, 2]), candidates=allowed.T[1:])
        losses = 1 - random_probabilities(seed, 6)
        found = direct_loss(forbid(scores, allowed), losses, best, gamma, epsilon)
        found["total"].backward()
        expected = written_gradient(forbid(scores.detach(), allowed), losses, best, gamma, epsilon) / 6
        torch.testing.assert_close(scores.grad, expected)


def test_the_gradient_goes_through_to_the_networks_parameters():
    weight = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    inputs = torch.randn(K, 5, L, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    best = partial(infer, claimed=torch.tensor([1]), candidates=torch.ones(1, 5, dtype=torch.bool))
    losses = 1 - random_probabilities(0, 5)
    direct_loss(inputs @ weight, losses, best, 0.5, 1.0)["total"].backward()
    by_scores = written_gradient((inputs @ weight).detach(), losses, best, 0.5, 1.0) / 5
    torch.testing.assert_close(weight.grad, torch.einsum("kpl,kplc->c", by_scores, inputs))


@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_the_diversity_of_samples_is_told_with_and_without_its_reward(gamma):
    scores = torch.randn(K, 6, L, generator=torch.Generator().manual_seed(1))
    best = partial(infer, claimed=torch.zeros(0, dtype=torch.int64), candidates=torch.zeros(0, 6, dtype=torch.bool))
    found = direct_loss(scores, 1 - random_probabilities(1, 6).float(), best, gamma, 1.0)["sample_diversity"]
    labels = scores.argmax(dim=2).tolist()
    pairs = [(a, b) for a in range(K) for b in range(K) if a != b]
    expected = np.mean([x != y for a, b in pairs for x, y in zip(labels[a], labels[b], strict=True)])
    assert float(found) == pytest.approx(expected) and expected > 0


def test_a_labelling_close_to_a_worse_one_moves_away_from_it():
    scores = torch.tensor([[[0.0, 0.5]], [[0.0, 0.5]]], requires_grad=True)  # label 1 is best, and right
    best = partial(infer, claimed=torch.zeros(0, dtype=torch.int64), candidates=torch.zeros(0, 1, dtype=torch.bool))
    direct_loss(scores, torch.tensor([[1.0, 0.0]]), best, 0.0, 1.0)["total"].backward()
    assert (scores.grad[:, 0, 0] > 0).all() and (scores.grad[:, 0, 1] < 0).all()


def test_helpers():
    first, second = ordered_pairs(3, torch.device("cpu"))
    assert sorted(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    assert label_losses(torch.tensor([[0, 2]]), 3).tolist() == [[[0, 1, 1], [1, 1, 0]]]
    assert score_of(torch.arange(6.0).reshape(1, 2, 3), torch.tensor([[2, 0]])).tolist() == [5]
