"""COCO average precision of instance masks, by faster-coco-eval."""

import logging
from collections.abc import Iterable

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from wsis_steps.core.store import ImageInstances

log = logging.getLogger(__name__)

MAX_DETECTIONS = 100  # per image and class


def _annotations(images: list[ImageInstances], true: bool) -> list[dict]:
    """COCO's annotation dictionaries; ids start at 1 because 0 means 'unmatched' to the evaluator."""
    rows = []
    for image_id, image in enumerate(images, start=1):
        columns = (
            image.categories.tolist(),
            image.scores.tolist(),
            image.areas.tolist(),
            image.crowd.tolist(),
        )
        for rle, category, score, area, crowd in zip(image.rles, *columns, strict=True):
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": image_id,
                    "category_id": category + 1,
                    "segmentation": rle,
                    "area": area,
                    "iscrowd": int(true and crowd),
                    **({} if true else {"score": score}),
                }
            )
    return rows


def _dataset(images: list[ImageInstances], sizes: list[tuple[int, int]], class_count: int, true: bool) -> COCO:
    return COCO(
        {
            "images": [
                {"id": number, "height": height, "width": width}
                for number, (height, width) in enumerate(sizes, start=1)
            ],
            "categories": [{"id": category + 1, "name": str(category)} for category in range(class_count)],
            "annotations": _annotations(images, true),
        },
        print_function=log.debug,
    )


def coco_ap(
    predictions: Iterable[ImageInstances], truths: Iterable[ImageInstances], class_count: int
) -> dict[str, np.ndarray]:
    """COCO mask AP per class: `coco_ap` (mean over IoU 0.50 to 0.95), `coco_ap50`, `coco_ap75`.

    Values are float64 (classes,), 0 to 1, NaN for classes without truth (crowds do not count). 101 recall
    points, the 100 best-scored predictions of a class in an image, areas of any size; what lies in a crowd
    counts neither way. Void pixels are left in, as COCO has none.
    Raises ValueError where one list is longer than the other.
    """
    predictions, truths = list(predictions), list(truths)
    if len(predictions) != len(truths):
        raise ValueError(f"{len(predictions)} images with predictions, {len(truths)} with truths")
    sizes = [
        next((tuple(rle["size"]) for image in pair for rle in image.rles), (1, 1))
        for pair in zip(truths, predictions, strict=True)
    ]
    evaluation = COCOeval_faster(
        _dataset(truths, sizes, class_count, true=True),
        _dataset(predictions, sizes, class_count, true=False),
        iouType="segm",
        print_function=log.debug,
        rle_iou_max_workers=1,
    )
    evaluation.params.maxDets = [MAX_DETECTIONS]
    evaluation.params.areaRng = evaluation.params.areaRng[:1]
    evaluation.params.areaRngLbl = evaluation.params.areaRngLbl[:1]
    evaluation.evaluate()
    evaluation.accumulate()
    # (thresholds, recalls, classes, areas, detections), -1 where a class has no truth
    precision = np.asarray(evaluation.eval["precision"])[:, :, :, 0, 0]
    per_threshold = np.where((precision < 0).all(axis=1), np.nan, precision.mean(axis=1))
    by_threshold = {round(float(t), 2): row for t, row in zip(evaluation.params.iouThrs, per_threshold, strict=True)}
    return {
        "coco_ap": per_threshold.mean(axis=0),
        "coco_ap50": by_threshold[0.5],
        "coco_ap75": by_threshold[0.75],
    }
