"""A linear classifier of pixels, background included, that learns from activation maps and then from itself."""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from wsis_steps.classifier.settings import ClassifierLearnPixels
from wsis_steps.engine.errors import InputError

log = logging.getLogger("wsis")
OPEN = -1  # label of pixels that are ignored
ITERATIONS = 30  # L-BFGS iterations per round; labels are too noisy for more
HEAVIEST = 10.0  # upper limit of the ratio of mean to own number of pixels of a class, before the square root
LEAST_SPREAD = 1e-6  # channels with a smaller spread count as constant


@dataclass(frozen=True)
class Samples:
    """Pixels of all images.

    features: float32 (n, channels); allowed: bool (n, 1 + classes), the background and the image's tags; activation:
    float32 (n,), 0 to 1, of the most active tagged class; category: int64 (n,), that class, from 0.
    """

    features: Tensor
    allowed: Tensor
    activation: Tensor
    category: Tensor


@dataclass(frozen=True)
class PixelClassifier:
    """weights (1 + classes, channels) and biases (1 + classes,), float32, background first."""

    weights: Tensor
    biases: Tensor

    def probabilities(self, features: Tensor, allowed: Tensor) -> Tensor:
        """Softmax over the allowed classes: features (n, channels), allowed bool (n, 1 + classes) or (1 + classes,)."""
        logits = features @ self.weights.T + self.biases
        return logits.masked_fill(~allowed, -torch.inf).softmax(dim=1)


def first_labels(samples: Samples, settings: ClassifierLearnPixels) -> Tensor:
    """Labels int64 (n,): 0 for the pixels of lowest activation, 1 + category for those of highest. Pixels that tie with
    the last of the lowest are among them.

    The limits are shares of all pixels, since activation values mean different things with different networks.
    """
    low, high = torch.quantile(
        samples.activation[:: max(len(samples.activation) // 1_000_000, 1)],  # torch sorts at most 16 million
        torch.tensor([settings.least_active, 1 - settings.most_active]),
    )
    labels = torch.full((len(samples.activation),), OPEN)
    labels[samples.activation <= low] = 0
    above = samples.activation > high
    labels[above] = samples.category[above] + 1
    return labels


def next_labels(classifier: PixelClassifier, samples: Samples, certainty: float) -> Tensor:
    """Labels int64 (n,): the most probable class that the image's tags allow, if it is certain enough."""
    probability, labels = classifier.probabilities(samples.features, samples.allowed).max(dim=1)
    return labels.masked_fill(probability < certainty, OPEN)


def standardize(features: Tensor) -> tuple[Tensor, Tensor]:
    """Standardizes each channel of features (n, channels) in place; returns the previous means and deviations."""
    center, spread = features.mean(dim=0), features.std(dim=0, correction=0).clamp(min=LEAST_SPREAD)
    features.sub_(center).div_(spread)
    return center, spread


def fit(standardized: Tensor, labels: Tensor, count: int, penalty: float) -> PixelClassifier:
    """Multinomial logistic regression by L-BFGS on all labeled pixels.

    It minimizes the weighted mean cross entropy over all classes, allowed or not, plus `penalty` times the squared
    weights. The weight of a class is one over the square root of its number of pixels, up to a limit.

    standardized: (n, channels); labels: int64 (n,), OPEN or 0 to `count` - 1.
    """
    numbers = torch.bincount(labels[labels != OPEN], minlength=count).float()
    rarity = (numbers.mean() / numbers.clamp(min=1)).clamp(max=HEAVIEST).sqrt()
    weights = torch.zeros(count, standardized.shape[1], requires_grad=True)
    biases = torch.zeros(count, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, biases], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = standardized @ weights.T + biases
        total = functional.cross_entropy(logits, labels, weight=rarity, ignore_index=OPEN)
        total = total + penalty * weights.square().sum()
        total.backward()
        return total

    optimizer.step(loss)
    return PixelClassifier(weights.detach(), biases.detach())


def learn(samples: Samples, settings: ClassifierLearnPixels) -> PixelClassifier:
    """The classifier after all rounds, for unstandardized features; the samples' own are standardized in place.

    The first round learns from activation, each later one from the previous. A class without certain pixels keeps its
    first labels, since a class that is not learned gets a bias from which it never recovers.

    InputError if there is nothing to separate.
    """
    center, spread = standardize(samples.features)
    first, count = first_labels(samples, settings), samples.allowed.shape[1]
    if len(first[first != OPEN].unique()) < 2:
        raise InputError(
            "The activation maps are nearly constant, so no pixels can be separated from the background; check "
            "classifier_train first."
        )
    labels = first
    for number in range(settings.rounds):
        classifier = fit(samples.features, labels, count, settings.l2_penalty)
        if number + 1 < settings.rounds:
            labels = next_labels(classifier, samples, settings.certainty)
            kept = (labels == OPEN) & ~torch.isin(first, labels)
            labels = torch.where(kept, first, labels)
            log.info("round %d: certain of %.0f %% of the pixels", number + 1, 100 * (labels != OPEN).float().mean())
    weights = classifier.weights / spread
    return PixelClassifier(weights, classifier.biases - weights @ center)


def maps_of(classifier: PixelClassifier, features: list[np.ndarray], tags: np.ndarray) -> np.ndarray:
    """Probabilities float32 (tagged classes, h, w) of an image, at the size of its largest features, averaged over all
    sizes.

    features: float16 (channels, h, w) each; tags: bool (classes,).
    """
    allowed = torch.from_numpy(np.concatenate([[True], tags]))
    largest = max((one.shape[1:] for one in features), key=np.prod)
    total = torch.zeros(1, int(allowed.sum()), *largest)
    for one in features:
        seen = torch.from_numpy(one).float().flatten(1).T
        found = classifier.probabilities(seen, allowed).T[allowed]
        total += functional.interpolate(found.view(1, -1, *one.shape[1:]), largest, mode="bilinear")
    return (total[0, 1:] / len(features)).numpy()
