"""Class probabilities that follow the outlines of regions, and the most likely superpixels of a class."""

import numpy as np

from wsis_steps.vision.region_means import region_sums
from wsis_steps.vision.regions import RegionProposals


def vote(sums: np.ndarray, regions: RegionProposals, confidence: float) -> np.ndarray:
    """Class probabilities of superpixels from those of all regions that contain them, float32 (k, superpixels).

    A region's probabilities are the means over its pixels; a superpixel's are the means over its regions, each weighted
    by exp(confidence x its highest probability), so regions that cross an outline, which are uncertain, have little
    weight. A superpixel in no region keeps its own.

    sums: float32 (k, superpixels), of probabilities that sum to 1, over each superpixel.
    """
    if not len(regions):
        return sums / regions.sizes
    means = region_sums(sums, regions) / regions.areas
    weights = np.exp(confidence * means.max(axis=0))
    members = regions.members.astype(np.float32)
    total = weights @ members
    held = total > 0
    votes = np.divide((means * weights) @ members, total, out=np.zeros_like(sums), where=held)
    return np.where(held, votes, sums / regions.sizes)


def most_likely_extent(probabilities: np.ndarray, sizes: np.ndarray, missed: float) -> np.ndarray:
    """Which superpixels belong to the set of largest expected overlap with a class, bool (n,).

    With probabilities p (n,) in 0..1 and sizes s (n,) in pixels, the set S maximizes

        sum of p s in S / (sum of s in S + missed x sum of p s outside S),

    which for missed = 1 is intersection over union with each sum replaced by its expectation. Such a set contains all
    superpixels above some probability, so it is found by sorting. A small, faint object gets a low threshold, a large
    and certain one a high one.
    """
    order = np.argsort(-probabilities, kind="stable")
    inside = np.cumsum(probabilities[order] * sizes[order], dtype=np.float64)
    area = np.cumsum(sizes[order], dtype=np.float64)
    chosen = np.zeros(len(probabilities), dtype=bool)
    if inside[-1] > 0:
        chosen[order[: np.argmax(inside / (area + missed * (inside[-1] - inside))) + 1]] = True
    return chosen


def label_superpixels(probabilities: np.ndarray, sizes: np.ndarray, power: float, missed: float) -> np.ndarray:
    """The class of each superpixel, int64 (n,): 0 background, k the k-th class.

    probabilities: float (1 + k, n), background first. Of the classes whose extent contains a superpixel, the most
    probable one gets it; `power` sharpens probabilities before extents are found.
    """
    if len(probabilities) < 2:
        return np.zeros(probabilities.shape[1], dtype=np.int64)
    classes = probabilities[1:]
    extents = np.stack([most_likely_extent(own**power, sizes, missed) for own in classes])
    own = np.where(extents, classes, -1)
    return np.where(extents.any(axis=0), own.argmax(axis=0) + 1, 0)
