"""The linear head of a frozen classifier, against another solver and what its optimum must be like."""

import re

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit

from wsis_steps.classifier import linear
from wsis_steps.classifier.linear import fit


def samples(count: int = 60, channels: int = 12, classes: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of unequal means and deviations, and tags that depend on them with noise."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, channels))
    tags = features[:, :classes] + rng.normal(size=(count, classes)) > 0.3
    return torch.from_numpy(features * rng.uniform(0.1, 9, channels) + rng.normal(size=channels)), torch.from_numpy(
        tags
    )


def solve(features: np.ndarray, tags: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    """Weights and bias of one class by scipy, in the features' own units: a weight costs more by their deviation."""
    deviations, signs = features.std(axis=0), np.where(tags, 1.0, -1.0)

    def objective(values: np.ndarray) -> tuple[float, np.ndarray]:
        margins = signs * (features @ values[:-1] + values[-1])
        pulls = -signs * expit(-margins) / len(signs)
        costs = values[:-1] * deviations
        gradient = np.append(features.T @ pulls + 2 * penalty * costs * deviations, pulls.sum())
        return np.logaddexp(0, -margins).mean() + penalty * costs @ costs, gradient

    start = np.zeros(features.shape[1] + 1)
    options = {"maxiter": 10_000, "maxfun": 100_000, "ftol": 1e-16, "gtol": 1e-10}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x
    return found[:-1], found[-1]


def test_each_class_is_the_regression_that_another_solver_finds():
    features, tags = samples()
    for penalty in (1e-3, 0.1, 3.0):
        weights, biases, lines = fit(features, tags, penalty)
        for category in range(tags.shape[1]):
            expected, bias = solve(features.numpy(), tags[:, category].numpy(), penalty)
            np.testing.assert_allclose(weights[category], expected, atol=2e-5)
            np.testing.assert_allclose(biases[category], bias, atol=2e-5)
        assert lines[-1]["total"] < np.log(2) and lines[-1]["iteration"] > 0


def test_the_order_of_the_samples_and_the_units_of_the_features_do_not_matter():
    features, tags = samples()
    weights, biases, _ = fit(features, tags, 0.1)
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(1))
    again = fit(features[order], tags[order], 0.1)
    torch.testing.assert_close(again[:2], (weights, biases), rtol=0, atol=1e-6)
    factors = torch.linspace(0.01, 50, features.shape[1], dtype=torch.float64)
    scaled = fit(features * factors - 7, tags, 0.1)
    logits = (features * factors - 7) @ scaled[0].T + scaled[1]
    torch.testing.assert_close(logits, features @ weights.T + biases, rtol=0, atol=1e-5)


def test_planted_directions_come_back():
    rng = np.random.default_rng(2)
    directions = np.linalg.qr(rng.normal(size=(40, 4)))[0].T
    tags = rng.random((600, 4)) < 0.3
    features = 5 * tags @ directions + rng.normal(size=(600, 40))
    weights, biases, _ = fit(torch.from_numpy(features), torch.from_numpy(tags), 1e-2)
    cosines = weights.numpy() @ directions.T / np.linalg.norm(weights.numpy(), axis=1, keepdims=True)
    assert (cosines.diagonal() > 0.9).all() and np.abs(cosines - np.diag(cosines.diagonal())).max() < 0.25
    others = rng.random((200, 4)) < 0.3
    logits = (5 * others @ directions + rng.normal(size=(200, 40))) @ weights.numpy().T + biases.numpy()
    assert ((logits > 0) == others).mean() > 0.97


def test_channels_that_are_constant_and_classes_that_are_on_all_samples_or_none_have_a_finite_answer():
    features, tags = samples()
    features[:, 4], tags[:, 1], tags[:, 2] = 3.0, True, False
    weights, biases, _ = fit(features, tags, 0.1)
    assert weights.isfinite().all() and biases.isfinite().all() and (weights[:, 4] == 0).all()
    probabilities = (features @ weights.T + biases).sigmoid()
    assert (probabilities[:, 1] > 0.999).all() and (probabilities[:, 2] < 0.001).all()
    alone = fit(features, tags[:, :1], 0.1)  # what other classes are does not matter to one
    torch.testing.assert_close(alone[0][0], weights[0], rtol=0, atol=1e-5)


def test_a_fit_that_is_not_done_in_time_says_what_helps(monkeypatch, caplog):
    monkeypatch.setattr(linear, "AT_ONCE", 2)
    monkeypatch.setattr(linear, "MOST", 1)
    fit(*samples(), 1e-3)
    assert re.search(r"not converged in \d+ iterations, .*; raise l2_penalty \(now 0\.001\)", caplog.text)
