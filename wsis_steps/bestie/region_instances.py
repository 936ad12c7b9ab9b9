"""Pseudo labels from region proposals: for each class of an image, the regions that best fit its map.

Components of a semantic map merge touching objects; proposals hold them both separately and together.
"""

import numpy as np

from wsis_steps.bestie.settings import BestieLabel
from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.masks import describe
from wsis_steps.vision.region_means import region_sums, superpixel_sums, with_background
from wsis_steps.vision.regions import RegionProposals, apart

CONSIDERED = 200  # best-scoring regions per class; more than this do not fit side by side


def region_scores(sums: np.ndarray, regions: RegionProposals, beta: float) -> np.ndarray:
    """F-measure of each region as a detection of a class, float32 (n,), 0 to 1.

    Precision is the mean of the class's probabilities in the region, recall the share of their sum that lies in it;
    beta below 1 weights precision more, so one of two objects scores higher than both together.

    sums: float32 (superpixels,), of the probabilities over each superpixel.
    """
    inside = region_sums(sums[None], regions)[0]
    precision, recall = inside / regions.areas, inside / max(float(sums.sum()), 1e-6)
    weighted = beta**2 * precision + recall
    return np.divide((1 + beta**2) * precision * recall, weighted, out=np.zeros_like(inside), where=weighted > 0)


def region_instances(
    maps: np.ndarray, categories: np.ndarray, regions: RegionProposals, background: float, settings: BestieLabel
) -> ImageInstances:
    """Instances of an image, each a region, with the regions' F-measures as scores.

    maps: (k, any size), 0 to 1, of its classes `categories` (k,); background: its minimum value. For each class the
    best region is kept, and further ones that overlap better ones by less than `max_overlap`, at most `max_instances`,
    with a score of at least `min_share` of the best one's.
    """
    rows, found, scores = [], [], []
    sums = superpixel_sums(with_background(maps, background)[1:], regions) if len(maps) else ()
    for category, own in zip(categories, sums, strict=True):
        score = region_scores(own, regions, settings.beta)
        best = np.argsort(-score, kind="stable")[:CONSIDERED]
        best = best[(score[best] > 0) & (score[best] >= settings.min_share * score.max(initial=0))]
        best = best[apart(regions.at(best).pairwise(), settings.max_overlap, settings.max_instances)]
        rows.append(best)
        found.append(np.full(len(best), category))
        scores.append(score[best])
    if not rows:
        return describe([], np.zeros(0, np.int64))
    return describe(regions.codes(np.concatenate(rows)), np.concatenate(found), scores=np.concatenate(scores))
