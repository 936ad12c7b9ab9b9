"""From a labeling of the proposals to instances: the best of those that overlap.

A labeling gives an object's class to all proposals on it. Annotation Consistent Instances (ECCV 2020) does not say how
instances are derived from it. Here those of a class are chosen in order of quality, leaving out those that overlap a
better one; with boxes, each box gets the best proposal that meets its claim, which also takes into account how well it
fits the box.
"""

import numpy as np

from wsis_steps.annotation_consistency.annotation import Claims
from wsis_steps.annotation_consistency.settings import AnnotationConsistencySample
from wsis_steps.engine.compiled import compiled


def quality(margins: np.ndarray, areas: np.ndarray, prior: np.ndarray, settings: AnnotationConsistencySample):
    """Quality of proposals as instances, float32 of the shape of `margins`, at least 0.

    margins (..., P): scores of their labels minus those of the background; areas (P,): shares of the image; prior (P,):
    scores of the proposals in standard deviations. A margin alone prefers small parts of an object, which are all of
    its class.
    """
    weights = areas**settings.area_power * np.exp(settings.prior_weight * prior)
    return (np.maximum(margins, 0) * weights).astype(np.float32)


def choose(
    labels: np.ndarray,
    qualities: np.ndarray,
    claims: Claims,
    members: np.ndarray,
    sizes: np.ndarray,
    settings: AnnotationConsistencySample,
) -> np.ndarray:
    """The instances of K labelings, bool (K, P).

    Args:
        labels, qualities: int64 and float32 (K, P).
        members: bool (P, S); sizes: float32 (S,), pixels of the superpixels.
    """
    if settings.supervision == "boxes" and settings.higher_order:
        return _best_of_each_claim(labels, qualities, claims, settings.fit_power)
    samples, count = labels.shape
    ranked = np.argsort(-qualities, axis=1, kind="stable")
    chosen = np.zeros((samples, count), bool)
    looked_at = np.zeros((samples, count), bool)
    for label in range(1, len(claims.labels)):
        has = labels == label
        place = np.cumsum(np.take_along_axis(has, ranked, axis=1), axis=1)
        np.put_along_axis(looked_at, ranked, place <= settings.candidates, axis=1)
        chosen |= has & looked_at
    rows = np.flatnonzero(chosen.any(axis=0))
    if not len(rows):
        return chosen
    overlap = overlaps_among(members[rows].astype(np.float32), sizes, settings.overlap)
    order = np.argsort(-qualities[:, rows], axis=1, kind="stable")
    kept = suppress(
        order, labels[:, rows], chosen[:, rows], qualities[:, rows], overlap, settings.nms, settings.min_share,
        settings.instances, len(claims.labels),
    )  # fmt: skip
    result = np.zeros_like(chosen)
    result[:, rows] = kept
    return result


def overlaps_among(members: np.ndarray, sizes: np.ndarray, kind: str) -> np.ndarray:
    """Overlaps float32 (n, n) of proposals over superpixels (n, S): intersection over union, or over the smaller."""
    shared = (members * sizes) @ members.T
    areas = np.diagonal(shared)
    whole = areas[:, None] + areas - shared if kind == "union" else np.minimum(areas[:, None], areas)
    return shared / np.maximum(whole, 1e-6)


@compiled
def suppress(order, labels, chosen, qualities, overlap, most_overlap, min_share, most, label_count):
    """bool (K, n): of the candidates of each sample, best first, those that overlap no better one of their label by
    more than `most_overlap`, have at least `min_share` of the quality of their label's best, and are among the first
    `most`."""
    samples, count = labels.shape
    kept = np.zeros((samples, count), np.bool_)
    found = np.empty(count, np.int64)
    for sample in range(samples):
        end = 0
        best = np.zeros(label_count, np.float32)
        number = np.zeros(label_count, np.int64)
        for row in order[sample]:
            label = labels[sample, row]
            if not chosen[sample, row] or number[label] >= most:
                continue
            best[label] = max(best[label], qualities[sample, row])
            free = qualities[sample, row] >= min_share * best[label]
            for place in range(end):
                other = found[place]
                if labels[sample, other] == label and overlap[row, other] > most_overlap:
                    free = False
                    break
            if free:
                kept[sample, row] = True
                found[end] = row
                end += 1
                number[label] += 1
    return kept


def _best_of_each_claim(labels: np.ndarray, qualities: np.ndarray, claims: Claims, power: float) -> np.ndarray:
    """bool (K, P): for each box, the best of its candidates that have its class, by quality and fit; none for a claim
    that is not met."""
    chosen = np.zeros(labels.shape, bool)
    for label, candidates, fits in zip(claims.claimed, claims.candidates, claims.fits**power, strict=True):
        able = candidates & (labels == label)
        best = np.where(able, qualities * fits, -1).argmax(axis=1)
        chosen[np.arange(len(labels)), best] |= able.any(axis=1)
    return chosen
