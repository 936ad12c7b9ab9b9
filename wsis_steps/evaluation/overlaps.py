"""Overlaps of predicted and true instances, computed once and shared by every metric.

Masks stay run-length coded: pycocotools computes their intersections in C, so the cost of an image depends on its
contours, not its pixels.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pycocotools import mask as coco

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.masks import count_pixels

Void = Literal["keep", "drop"]
Shape = Literal["mask", "box"]


@dataclass(frozen=True)
class MaskOverlaps:
    """Overlaps of n predictions with m truths of one image: IoU, float64 (n, m), 0 to 1."""

    masks: np.ndarray
    whole_masks: np.ndarray  # void pixels kept
    boxes: np.ndarray


@dataclass(frozen=True)
class OverlapTable:
    """Overlaps of a whole list of images, flat, without RLEs: the input of the metrics.

    Rows of predictions and truths follow the order of the images, then the order within an image. Crowd truths are left
    out. Pairs are those of one image, of any class, whose masks or boxes overlap at all; they are sorted by prediction,
    then truth. `pair_predictions` and `pair_truths` are row numbers.
    """

    class_count: int
    prediction_images: np.ndarray  # int32 (n,)
    prediction_categories: np.ndarray  # int64 (n,)
    prediction_scores: np.ndarray  # float32 (n,)
    prediction_crowds: np.ndarray  # float64 (n,), largest share of the mask that lies in one crowd of its class
    truth_images: np.ndarray  # int32 (m,)
    truth_categories: np.ndarray  # int64 (m,)
    pair_predictions: np.ndarray  # int32 (p,)
    pair_truths: np.ndarray  # int32 (p,)
    pair_masks: np.ndarray  # float64 (p,), mask IoU
    pair_whole_masks: np.ndarray  # float64 (p,), mask IoU with void pixels kept
    pair_boxes: np.ndarray  # float64 (p,), box IoU

    def pair_ious(self, shape: Shape) -> np.ndarray:
        """IoU of the pairs' masks or boxes, float64 (p,)."""
        return self.pair_masks if shape == "mask" else self.pair_boxes

    def same_class(self) -> np.ndarray:
        """bool (p,): whether both of a pair have the same class."""
        return self.prediction_categories[self.pair_predictions] == self.truth_categories[self.pair_truths]


def _no_crowd(count: int) -> np.ndarray:
    return np.zeros(count, dtype=np.uint8)


def _intersections(rles: list[dict], areas: np.ndarray, others: list[dict]) -> np.ndarray:
    """Intersections of masks in pixels, float64 (n, m); `areas` (n,) are those of `rles`.

    pycocotools divides the intersection with a crowd by the area of the first mask alone, so the product with that area
    is the exact number of shared pixels.
    """
    return np.rint(coco.iou(rles, others, _no_crowd(len(others)) + 1) * areas[:, None])


def _mask_iou_outside(predicted: list[dict], true: list[dict], void: dict) -> np.ndarray:
    """Mask IoU over the pixels outside `void`, float64 (n, m)."""
    predicted_areas, true_areas = count_pixels(predicted), count_pixels(true)
    shared = _intersections(predicted, predicted_areas, true)
    predicted_void = _intersections(predicted, predicted_areas, [void])[:, 0]
    true_void = _intersections(true, true_areas, [void])[:, 0]
    # VOC's truths never reach into void; COCO's may overlap a crowd.
    within = np.flatnonzero(true_void)
    if len(within):
        parts = [coco.merge([true[k], void], intersect=True) for k in within]
        shared[:, within] -= _intersections(predicted, predicted_areas, parts)
    union = (predicted_areas - predicted_void)[:, None] + (true_areas - true_void)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _widths_and_heights(boxes: np.ndarray) -> np.ndarray:
    """xyxy to pycocotools' xywh, float64 (n, 4)."""
    boxes = boxes.astype(np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def image_overlaps(prediction: ImageInstances, truth: ImageInstances, void: Void) -> MaskOverlaps:
    """IoU of every predicted with every true instance of one image, of any class.

    void: `drop` removes the pixels of `truth.ignore` from the masks before the IoU (the protocol of WISE and BBTP),
    `keep` leaves them in (chainercv, used by IRN and BESTIE). Boxes ignore void. Raises InputError unless all masks are
    of one size.
    """
    n, m = len(prediction.rles), len(truth.rles)
    if n == 0 or m == 0:
        return MaskOverlaps(*np.zeros((3, n, m)))
    ignored = [truth.ignore] if void == "drop" and truth.ignore is not None else []
    sizes = sorted({tuple(rle["size"]) for rle in (*prediction.rles, *truth.rles, *ignored)})
    if len(sizes) > 1:
        found = " and ".join(f"{height}x{width}" for height, width in sizes)
        raise InputError(f"predicted and true masks of one image are of different sizes: {found} pixels.")
    whole_masks = coco.iou(prediction.rles, truth.rles, _no_crowd(m))
    masks = _mask_iou_outside(prediction.rles, truth.rles, ignored[0]) if ignored else whole_masks
    boxes = coco.iou(_widths_and_heights(prediction.boxes), _widths_and_heights(truth.boxes), _no_crowd(m))
    return MaskOverlaps(masks, whole_masks, boxes)


def _share_in_crowd(prediction: ImageInstances, truth: ImageInstances) -> np.ndarray:
    """Largest share of each prediction that lies in one crowd of its class, float64 (n,)."""
    crowds = np.flatnonzero(truth.crowd)
    if not len(crowds) or not len(prediction.rles):
        return np.zeros(len(prediction.rles))
    shares = coco.iou(prediction.rles, [truth.rles[k] for k in crowds], _no_crowd(len(crowds)) + 1)
    return (shares * (prediction.categories[:, None] == truth.categories[crowds])).max(axis=1)


def _without_crowd(truth: ImageInstances) -> ImageInstances:
    kept = np.flatnonzero(~truth.crowd)
    if len(kept) == len(truth.rles):
        return truth
    return ImageInstances(
        rles=[truth.rles[k] for k in kept],
        categories=truth.categories[kept],
        scores=truth.scores[kept],
        boxes=truth.boxes[kept],
        areas=truth.areas[kept],
        crowd=truth.crowd[kept],
        ignore=truth.ignore,
    )


def _check_categories(name: str, categories: np.ndarray, class_count: int) -> None:
    wrong = categories[(categories < 0) | (categories >= class_count)]
    if len(wrong):
        raise InputError(f"category {wrong[0]} of the {name} is not one of the {class_count} classes.")


def overlap_table(
    predictions: Iterable[ImageInstances],
    truths: Iterable[ImageInstances],
    class_count: int,
    void: Void,
) -> OverlapTable:
    """Overlaps of the predictions with the truths of the same images, in the same order.

    Both iterables are read once, image by image. Raises ValueError if one is longer than the other, and InputError if
    masks of an image (numbered from 0) differ in size or a category is not below `class_count`.
    """
    dtypes = (np.int32, np.int64, np.float32, np.float64, np.int32, np.int64, *[np.int32] * 2, *[np.float64] * 3)
    columns = [bytearray() for _ in dtypes]  # half the memory of one array per image
    first_prediction = first_truth = 0
    for number, (prediction, truth) in enumerate(zip(predictions, truths, strict=True)):
        everything, truth = truth, _without_crowd(truth)
        try:
            overlaps = image_overlaps(prediction, truth, void)
        except InputError as error:
            raise InputError(f"image {number}: {error}") from error
        rows, places = np.nonzero((overlaps.masks > 0) | (overlaps.boxes > 0))
        found = (
            np.full(len(prediction.rles), number),
            prediction.categories,
            prediction.scores,
            _share_in_crowd(prediction, everything),
            np.full(len(truth.rles), number),
            truth.categories,
            first_prediction + rows,
            first_truth + places,
            overlaps.masks[rows, places],
            overlaps.whole_masks[rows, places],
            overlaps.boxes[rows, places],
        )
        for column, values, dtype in zip(columns, found, dtypes, strict=True):
            column += values.astype(dtype).tobytes()
        first_prediction += len(prediction.rles)
        first_truth += len(truth.rles)
    table = OverlapTable(class_count, *map(np.frombuffer, columns, dtypes))
    _check_categories("predictions", table.prediction_categories, class_count)
    _check_categories("truths", table.truth_categories, class_count)
    return table
