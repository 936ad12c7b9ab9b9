"""The linear head of a classifier whose backbone is frozen: its features, and how it is fitted."""

import json
import logging
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from wsis_steps.classifier.settings import ClassifierExtract, ClassifierTrain
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.provenance import digest
from wsis_steps.vision.backbones import Backbone, state_digest
from wsis_steps.vision.contracts.agreement import check_same_classes, places
from wsis_steps.vision.contracts.features import Features
from wsis_steps.vision.contracts.images import Images

log = logging.getLogger("wsis")
AT_ONCE = 20  # iterations between two checks of the gradient, and two lines of the metrics
MOST = 100  # maximum number of such checks
SMALL_GRADIENT = 1e-7  # gradient of every weight below which the fit has converged
LEAST_SPREAD = 1e-6  # channels with a smaller spread count as constant


def check_features(features: Features, images: Images, settings: ClassifierTrain, backbone: Backbone) -> None:
    """InputError unless the features are those of the training images by the backbone that `settings` describe."""
    check_same_classes(images, features)
    if not np.array_equal(places(images, features), images.members("train")):
        raise InputError(
            f"{features.path} does not belong to the training images of {images.path}; delete it and run again."
        )
    made = json.loads(features.provenance.settings)
    for key in ClassifierExtract.model_fields:
        wanted = settings.model_dump(mode="json")[key]
        if made[key] != wanted:
            raise InputError(f"{features.path} was made with {key} {made[key]}, but {key} is {wanted} here.")
    if features.provenance.inputs.get("images") != digest(images.path):
        raise InputError(f"{features.path} was not made from the current {images.path}; delete it and run again.")
    if settings.weights != "none" and made["weights_digest"] != state_digest(backbone):
        raise InputError(
            f"{features.path} was made with other weights than '{settings.weights}'; delete it and run again."
        )


def fit(
    means: Tensor, tags: Tensor, penalty: float, pause: Callable[[], None] = lambda: None
) -> tuple[Tensor, Tensor, list[dict[str, float]]]:
    """A logistic regression for each class, independent of the others.

    It minimizes the mean cross entropy of the samples (summed over classes: the multi-label soft margin loss times
    their number) plus `penalty` times the squared weights, which apply to standardized features; the bias is not
    penalized. L-BFGS on all samples at once, in double precision.

    Args:
        means: (samples, channels), each the mean over a map of features.
        tags: (samples, classes), 0 or 1.
        penalty: above 0.
        pause: called periodically; may raise to stop.

    Returns:
        Weights (classes, channels) and biases (classes,) for unstandardized features, double, and lines of metrics:
        `iteration` and `total`, the objective averaged over the classes.
    """
    means, tags = means.double(), tags.double()
    count = tags.shape[1]
    center, spread = means.mean(dim=0), means.std(dim=0, correction=0).clamp(min=LEAST_SPREAD)
    standardized = (means - center) / spread
    weights = torch.zeros(count, means.shape[1], dtype=torch.float64, requires_grad=True)
    biases = torch.zeros(count, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weights, biases],
        max_iter=AT_ONCE,
        tolerance_grad=SMALL_GRADIENT,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        entropy = count * functional.multilabel_soft_margin_loss(standardized @ weights.T + biases, tags)
        total = entropy + penalty * weights.square().sum()
        total.backward()
        return total

    lines, gradient = [], 0.0
    for _ in range(MOST):
        pause()
        optimizer.step(loss)
        done = optimizer.state[weights]["n_iter"]
        lines.append({"iteration": done, "total": float(loss().detach()) / count})
        gradient = max(float(one.grad.abs().max()) for one in (weights, biases))
        if gradient <= SMALL_GRADIENT:
            break
    else:
        said = "the head has not converged in %d iterations, its gradient is %.1e; raise l2_penalty (now %g)"
        log.warning(said, done, gradient, penalty)
    log.info("the head's loss is %.4g after %d iterations", lines[-1]["total"], done)
    weights, biases = weights.detach() / spread, biases.detach()
    return weights, biases - weights @ center, lines
