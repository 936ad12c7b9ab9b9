"""The regions that the classifier learns: those on labels and, as background, some of those that avoid them."""

from typing import NamedTuple

import numpy as np

from wsis_steps.region_classifier.settings import RegionClassifierTrain
from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.masks import decode
from wsis_steps.vision.regions import RegionProposals

LEAST_WEIGHT = 0.05  # of a label with a lower score


class Chosen(NamedTuple):
    """rows: of the proposals, int64 (n,); targets: 0 background, 1 + category, int64 (n,); weights: float32 (n,)."""

    rows: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


def choose_regions(
    regions: RegionProposals,
    labels: ImageInstances,
    settings: RegionClassifierTrain,
    most: int,
    rng: np.random.Generator,
    complete: bool = True,
) -> Chosen:
    """At most `most` regions of an image, up to half of them on labels.

    Each belongs to the label that it overlaps most. Its weight is the label's score and weight, divided by the root of
    the number of regions on that label, so an object with many regions counts more, but not in proportion. Crowds are
    no objects, and regions that lie mostly in the ignored pixels are no background. No region is if the labels are not
    `complete`, as of an image with a tag that no label has.
    """
    height, width = regions.superpixels.shape
    overlaps = regions.overlaps(decode(labels.rles, height, width))
    owner = overlaps.argmax(axis=1) if len(labels) else np.zeros(len(regions), np.int64)
    best = overlaps.max(axis=1, initial=0)
    found = np.flatnonzero(best >= settings.positive)
    found = found[~labels.crowd[owner[found]]]
    numbers = np.bincount(owner[found], minlength=len(labels))
    half = max(most // 2, 1)
    found = rng.permutation(found)[:half] if len(found) > half else found
    given = np.clip(labels.scores, LEAST_WEIGHT, 1) * (1 if labels.weights is None else labels.weights)
    free = best < settings.negative
    if labels.ignore:
        void = regions.intersections(decode([labels.ignore], height, width))[:, 0]
        free &= void < 0.5 * regions.areas
    limit = min(settings.background, most - len(found)) if complete else 0
    background = rng.permutation(np.flatnonzero(free))[:limit]
    rows = np.concatenate([found, background])
    targets = np.concatenate([labels.categories[owner[found]] + 1, np.zeros(len(background), np.int64)])
    weights = np.concatenate([given[owner[found]] / np.sqrt(numbers[owner[found]]), np.ones(len(background))])
    return Chosen(rows, targets, weights.astype(np.float32))
