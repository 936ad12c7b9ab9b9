"""Multinomial logistic regression of weighted samples."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from wsis_steps.region_classifier.settings import RegionClassifierTrain

ITERATIONS = 80  # of L-BFGS; labels are too noisy for more
LEAST_SPREAD = 1e-5  # components with a smaller spread, relative to a mean above 1, count as constant


class Samples(NamedTuple):
    """descriptors: float32 (n, length); targets: int64 (n,), 0 background; weights: float32 (n,)."""

    descriptors: Tensor
    targets: Tensor
    weights: Tensor


def fit(samples: Samples, settings: RegionClassifierTrain, count: int) -> tuple[Tensor, Tensor, float]:
    """Weights (count, length) and biases (count,) for unstandardized descriptors, and the objective that was reached.

    The objective is the weighted mean cross entropy plus `l2_penalty` times the squared weights, which apply to
    standardized descriptors. The background's weights are scaled to `background_weight` times the sum of the others.
    Both background and others must occur. The samples' descriptors are standardized in place.
    """
    descriptors, targets, weights = samples
    center, spread = descriptors.mean(dim=0), descriptors.std(dim=0, correction=0)
    constant = spread < LEAST_SPREAD * center.abs().clamp(min=1)
    spread[constant] = 1
    descriptors.sub_(center).div_(spread)
    descriptors[:, constant] = 0  # what is left of a mean that is rounded
    behind = targets == 0
    scale = settings.background_weight * weights[~behind].sum() / weights[behind].sum()
    weights = torch.where(behind, weights * scale, weights)
    weights = weights / weights.sum()
    matrix = torch.zeros(count, descriptors.shape[1], requires_grad=True)
    biases = torch.zeros(count, requires_grad=True)
    optimizer = torch.optim.LBFGS([matrix, biases], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def objective() -> Tensor:
        optimizer.zero_grad()
        entropy = functional.cross_entropy(descriptors @ matrix.T + biases, targets, reduction="none")
        total = entropy @ weights + settings.l2_penalty * matrix.square().sum()
        total.backward()
        return total

    optimizer.step(objective)
    reached = float(objective().detach())
    matrix, biases = matrix.detach() / spread, biases.detach()
    return matrix, biases - matrix @ center, reached
