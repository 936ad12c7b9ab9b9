"""The region classifier's regression: against scipy's minimum."""

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax

from wsis_steps.region_classifier.regression import Samples, fit
from wsis_steps.region_classifier.settings import RegionClassifierTrain


def drawn(seed, count=300, length=4, classes=3):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, count)
    descriptors = rng.normal(size=(classes, length))[targets] + 1.5 * rng.normal(size=(count, length))
    descriptors[:, 0] *= 40
    return descriptors.astype(np.float32), targets, rng.uniform(0.1, 2, count).astype(np.float32)


def test_fit_finds_the_minimum():
    descriptors, targets, weights = drawn(0)
    wanted = RegionClassifierTrain(l2_penalty=0.02, background_weight=2)
    samples = Samples(*(torch.from_numpy(part.copy()) for part in (descriptors, targets, weights)))
    matrix, biases, reached = fit(samples, wanted, 3)

    standardized = (descriptors - descriptors.mean(axis=0)) / descriptors.std(axis=0)
    behind = targets == 0
    balanced = np.where(behind, weights * 2 * weights[~behind].sum() / weights[behind].sum(), weights)

    def loss(values):
        own = values[3:].reshape(3, -1)
        entropy = -log_softmax(standardized @ own.T + values[:3], axis=1)[np.arange(len(targets)), targets]
        return (entropy * balanced).sum() / balanced.sum() + 0.02 * np.square(own).sum()

    best = minimize(loss, np.zeros(3 + 3 * 4), tol=1e-10)
    assert abs(reached - best.fun) < 1e-5
    expected = log_softmax(standardized @ best.x[3:].reshape(3, -1).T + best.x[:3], axis=1)
    found = (torch.from_numpy(descriptors) @ matrix.T + biases).log_softmax(dim=1)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-2)


def test_a_constant_component_changes_nothing():
    descriptors, targets, weights = drawn(1, count=30011)  # so many that the mean of 0.9 is rounded
    constant = np.hstack([descriptors, np.full((len(descriptors), 1), 0.9, np.float32)])
    found = [
        fit(Samples(*(torch.from_numpy(part.copy()) for part in (one, targets, weights))), RegionClassifierTrain(), 3)
        for one in (descriptors, constant)
    ]
    torch.testing.assert_close(found[0][0], found[1][0][:, :4], rtol=1e-3, atol=1e-4)
    assert not found[1][0][:, 4].any()
