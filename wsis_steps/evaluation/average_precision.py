"""Average precision of instances as VOC papers report it, on masks or boxes, and CorLoc.

Ties: predictions of equal score keep the order of their images, then their order within the image; a prediction that
overlaps two truths equally takes the first. So results never depend on a sorting algorithm. Crowd truths are neither
required nor matched (VOC has none).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from wsis_steps.evaluation.overlaps import OverlapTable, Shape

Matching = Literal["argmax", "uncovered"]

MASK_THRESHOLDS = {"mask_ap25": 0.25, "mask_ap50": 0.5, "mask_ap70": 0.7, "mask_ap75": 0.75}
# VOC's rule for boxes is IoU above one half, chainercv's for masks IoU of at least the threshold.
ABOVE_HALF = float(np.nextafter(0.5, 1.0))


def ranking(scores: np.ndarray) -> np.ndarray:
    """Indices int64 (n,) that sort scores from high to low; equal scores keep their order."""
    return np.argsort(-scores, kind="stable")


def best_truths(table: OverlapTable, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """For each prediction its best truth of the same class and image.

    Returns row numbers of truths int64 (n,), -1 if nothing overlaps, and IoU float64 (n,), then 0.
    """
    ious = table.pair_ious(shape)
    pairs = np.flatnonzero(table.same_class() & (ious > 0))
    pairs = pairs[np.lexsort((-ious[pairs], table.pair_predictions[pairs]))]  # stable, so ties go to the first truth
    owners, first = np.unique(table.pair_predictions[pairs], return_index=True)
    truths = np.full(len(table.prediction_scores), -1, dtype=np.int64)
    best = np.zeros(len(truths))
    truths[owners] = table.pair_truths[pairs[first]]
    best[owners] = ious[pairs[first]]
    return truths, best


def _match_best_only(table: OverlapTable, shape: Shape, threshold: float) -> np.ndarray:
    """A prediction may match only its best truth; the highest-ranked prediction gets it."""
    truths, ious = best_truths(table, shape)
    order = ranking(table.prediction_scores)
    asking = order[ious[order] >= threshold]
    _, first = np.unique(truths[asking], return_index=True)
    matched = np.full(len(truths), -1, dtype=np.int64)
    winners = asking[first]
    matched[winners] = truths[winners]
    return matched


def _match_uncovered(table: OverlapTable, shape: Shape, threshold: float) -> np.ndarray:
    """In ranking order, each prediction takes the best truth that is still uncovered."""
    ious = table.pair_ious(shape)
    return cover(table, np.flatnonzero(table.same_class() & (ious >= threshold)), ious)


def cover(table: OverlapTable, pairs: np.ndarray, ious: np.ndarray, group: np.ndarray | None = None) -> np.ndarray:
    """In ranking order, each prediction takes the best truth that is still uncovered, out of `pairs` int64 (q,) of the
    table; ties go to the first pair. ious: float64 (p,) of all pairs.

    group: int (m,), of the truths; no prediction may have pairs in two groups. By default the image and class, for
    pairs of one class; `table.truth_images` if a prediction may take a truth of another class.

    Returns row numbers of truths int64 (n,), -1 for none. Each round settles one truth of each group at once, so there
    are at most as many rounds as a group has truths.
    """
    rank = np.empty(len(table.prediction_scores), dtype=np.int64)
    rank[ranking(table.prediction_scores)] = np.arange(len(rank))
    if group is None:
        group = table.truth_images * table.class_count + table.truth_categories
    pairs = pairs[np.lexsort((-ious[pairs], rank[table.pair_predictions[pairs]], group[table.pair_truths[pairs]]))]
    matched = np.full(len(rank), -1, dtype=np.int64)
    covered = np.zeros(len(group), dtype=bool)
    while len(pairs):
        _, first = np.unique(group[table.pair_truths[pairs]], return_index=True)
        taken = pairs[first]
        matched[table.pair_predictions[taken]] = table.pair_truths[taken]
        covered[table.pair_truths[taken]] = True
        pairs = pairs[(matched[table.pair_predictions[pairs]] < 0) & ~covered[table.pair_truths[pairs]]]
    return matched


def match(table: OverlapTable, shape: Shape, threshold: float, matching: Matching) -> np.ndarray:
    """The truth that each prediction detects: row numbers int64 (n,), -1 for a false positive.

    A truth is detected at most once and only by IoU >= threshold (above 0). `argmax`: a prediction can match only the
    truth that it overlaps most (chainercv, used by IRN and BESTIE); `uncovered`: the best one that no prediction of
    higher score has taken (SDS, BBTP).
    """
    matchers = {"argmax": _match_best_only, "uncovered": _match_uncovered}
    return matchers[matching](table, shape, threshold)


def area_under_envelope(hits: np.ndarray, positives: int) -> np.ndarray:
    """Average precision of ranked predictions, float64 (...): the area under the monotone precision curve.

    hits: bool (..., n), true positives from high to low score. positives: number of truths, above 0. Recall
    rises by 1 / positives at each hit and nowhere else, so the area is the sum of the envelope at the hits,
    divided by `positives` (VOC from 2010 on, not the eleven-point rule).
    """
    precision = np.cumsum(hits, axis=-1) / np.arange(1, hits.shape[-1] + 1)
    envelope = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    return (envelope * hits).sum(axis=-1) / positives


def average_precision(table: OverlapTable, shape: Shape, thresholds: Sequence[float], matching: Matching) -> np.ndarray:
    """Average precision per threshold and class, float64 (thresholds, classes), 0 to 1.

    0 for classes with truths but no prediction; NaN for classes without truths, predicted or not, since recall is
    undefined (as in chainercv). `class_mean` gives the mAP.
    """
    order = ranking(table.prediction_scores)
    order = order[np.argsort(table.prediction_categories[order], kind="stable")]
    hits = np.stack([match(table, shape, threshold, matching) >= 0 for threshold in thresholds])[:, order]
    classes = np.arange(table.class_count + 1)
    edges = np.searchsorted(table.prediction_categories[order], classes)
    positives = np.bincount(table.truth_categories, minlength=table.class_count)
    scores = np.full((len(thresholds), table.class_count), np.nan)
    for category in np.flatnonzero(positives):
        ranked = hits[:, edges[category] : edges[category + 1]]
        scores[:, category] = area_under_envelope(ranked, positives[category])
    return scores


def mask_ap(table: OverlapTable, matching: Matching) -> dict[str, np.ndarray]:
    """VOC mask AP per class, `mask_ap25` to `mask_ap75`: float64 (classes,), 0 to 1 or NaN."""
    scores = average_precision(table, "mask", tuple(MASK_THRESHOLDS.values()), matching)
    return dict(zip(MASK_THRESHOLDS, scores, strict=True))


def box_ap50(table: OverlapTable) -> np.ndarray:
    """VOC box AP per class at IoU above 0.5, area under the curve, float64 (classes,), 0 to 1 or NaN."""
    return average_precision(table, "box", (ABOVE_HALF,), "argmax")[0]


def corloc(table: OverlapTable) -> np.ndarray:
    """Correct localization per class, float64 (classes,), 0 to 1; NaN for classes that no image contains.

    Of the images that contain the class, the share whose best-scored box of that class has IoU above 0.5 with any true
    box of it. As OICR measures it on training images; only the top box counts, so no suppression.
    """
    _, ious = best_truths(table, "box")
    order = ranking(table.prediction_scores)
    place = table.prediction_images * table.class_count + table.prediction_categories
    places, first = np.unique(place[order], return_index=True)
    correct = places[ious[order[first]] >= ABOVE_HALF]  # a box is compared only with truths of its class and image
    present = np.unique(table.truth_images * table.class_count + table.truth_categories)
    hits = np.bincount(correct % table.class_count, minlength=table.class_count)
    images = np.bincount(present % table.class_count, minlength=table.class_count)
    return np.divide(hits, images, out=np.full(table.class_count, np.nan), where=images > 0)
