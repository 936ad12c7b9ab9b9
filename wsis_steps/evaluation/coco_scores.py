"""COCO average precision of instance masks, from the overlaps that all metrics share."""

import numpy as np

from wsis_steps.evaluation.average_precision import cover, ranking
from wsis_steps.evaluation.overlaps import OverlapTable

MAX_DETECTIONS = 100  # per image and class
THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)


def coco_ap(table: OverlapTable) -> dict[str, np.ndarray]:
    """COCO mask AP per class: `coco_ap` (mean over IoU 0.50 to 0.95), `coco_ap50`, `coco_ap75`.

    Values are float64 (classes,), 0 to 1, NaN for classes without truth (crowds do not count). 101 recall points, the
    100 best-scored predictions of a class in an image, areas of any size; predictions in a crowd are ignored. Void
    pixels are kept, since COCO has none.
    """
    order = ranking(table.prediction_scores)
    within = _places(table) < MAX_DETECTIONS
    kept = order[within[order]]
    pairs = np.flatnonzero(table.same_class() & within[table.pair_predictions])
    pairs = pairs[::-1]  # COCO's code gives ties to the last truth
    ious = table.pair_whole_masks
    positives = np.bincount(table.truth_categories, minlength=table.class_count)
    scores = np.full((len(THRESHOLDS), table.class_count), np.nan)
    for row, threshold in zip(scores, THRESHOLDS, strict=True):
        hits = cover(table, pairs[ious[pairs] >= threshold], ious) >= 0
        counted = kept[hits[kept] | (table.prediction_crowds[kept] < threshold)]
        for category in np.flatnonzero(positives):
            ranked = hits[counted[table.prediction_categories[counted] == category]]
            row[category] = _interpolated_precision(ranked, positives[category])
    return {"coco_ap": scores.mean(axis=0), "coco_ap50": scores[0], "coco_ap75": scores[5]}


def _places(table: OverlapTable) -> np.ndarray:
    """Rank by score of each prediction among those of its image and class, int64 (n,), from 0."""
    order = ranking(table.prediction_scores)
    group = (table.prediction_images * table.class_count + table.prediction_categories)[order]
    by_group = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[by_group], group[by_group])
    places = np.empty(len(order), dtype=np.int64)
    places[order[by_group]] = np.arange(len(order)) - starts
    return places


def _interpolated_precision(hits: np.ndarray, positives: int) -> float:
    """Mean over 101 recalls of the best precision at that recall or above; hits bool (n,), from high to low score."""
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return envelope[np.searchsorted(found / positives, RECALLS)].mean()
