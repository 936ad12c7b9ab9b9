"""Figures that the papers print, to stand beside ours in a summary.

Fractions, keyed by data set, run, stage and split as they are named in `summary.csv`. BESTIE's protocol is
that of `average_precision` with its defaults. Its inputs differ from ours: its semantic maps come from DRS
with saliency, and the recipe of its Mask R-CNN is not published.
"""

from dataclasses import dataclass, field

_VOC_METRICS = ("mask_ap25", "mask_ap50", "mask_ap70", "mask_ap75")
_COCO_METRICS = ("coco_ap", "coco_ap50", "coco_ap75")


@dataclass(frozen=True)
class PublishedResult:
    """What a paper prints for one run: metric names to fractions, and where; some also print a figure a class."""

    values: dict[str, float]
    source: str
    per_class: dict[str | None, float] = field(default_factory=dict)  # IoU of semantic maps; None: the background


def _percent(metrics: tuple[str | None, ...], *figures: float) -> dict[str | None, float]:
    return {name: round(figure / 100, 4) for name, figure in zip(metrics, figures, strict=True)}


def _voc(source: str, *figures: float) -> PublishedResult:
    return PublishedResult(_percent(_VOC_METRICS, *figures), source)


def _coco(source: str, *figures: float) -> PublishedResult:
    return PublishedResult(_percent(_COCO_METRICS, *figures), source)


def _ap50(source: str, figure: float) -> PublishedResult:
    return PublishedResult(_percent(("mask_ap50",), figure), source)


_TABLE1 = "BESTIE, table 1"
_COCO_TABLE = "BESTIE, COCO table; whether with Mask R-CNN is not stated"
_ABLATION = "BESTIE, supplement, table 1, without Mask R-CNN"
_POSITION = "BESTIE, supplement, table 3, without Mask R-CNN"
_COMMUNITY = "Deep Community Learning, table 1"
_CONSISTENCY = "Annotation Consistent Instances, in BESTIE, table 1"
_VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_LEARNING_TO_SEGMENT = PublishedResult(
    _percent(("miou",), 51.6),
    "Learning to segment with image-level supervision, results on val",
    _percent(
        (None, *_VOC_CLASSES),
        *(85.4, 68.4, 28.3, 63.6, 42.9, 54.4, 62.7, 62.9, 67.5, 10.6, 46.3, 37.2, 48.7, 53.8, 57.3, 64.7, 44.3, 58.2),
        *(35.8, 43.6, 47.4),
    ),
)

PUBLISHED: dict[tuple[str, str, str, str], PublishedResult] = {
    ("voc2012", "supervised", "predictions", "val"): _voc(_TABLE1, 76.7, 67.9, 52.5, 44.9),
    ("voc2012", "bestie", "predictions_direct", "val"): _voc(_TABLE1, 53.5, 41.8, 28.3, 24.2),
    ("voc2012", "bestie", "predictions", "val"): _voc(_TABLE1, 61.2, 51.0, 31.9, 26.6),
    ("voc2012", "bestie_points", "predictions_direct", "val"): _voc(_TABLE1, 58.6, 46.7, 33.1, 26.3),
    ("voc2012", "bestie_points", "predictions", "val"): _voc(_TABLE1, 66.4, 56.1, 36.5, 30.2),
    ("voc2012", "bestie_cam", "predictions_direct", "val"): PublishedResult(
        _percent(("mask_ap25", "mask_ap50", "mask_ap75"), 40.2, 34.7, 19.6), _POSITION
    ),
    ("voc2012", "bestie_no_refinement", "predictions_direct", "val"): _ap50(_ABLATION, 39.2),
    ("voc2012", "bestie_no_iag", "predictions_direct", "val"): _ap50(_ABLATION, 27.8),
    ("voc2012", "bestie_no_iag_no_refinement", "predictions_direct", "val"): _ap50(_ABLATION, 29.3),
    ("voc2012", "annotation_consistency", "predictions", "val"): _voc(_CONSISTENCY, 59.7, 50.9, 30.2, 28.5),
    ("voc2012", "annotation_consistency_boxes", "predictions", "val"): _ap50(
        "Annotation Consistent Instances, supplement, table 1", 58.2
    ),
    ("voc2012", "community_learning", "predictions", "val"): PublishedResult(
        _percent(("mask_ap25", "mask_ap50", "mask_ap75", "abo", "box_ap50"), 57.0, 35.9, 5.8, 43.8, 53.2),
        f"{_COMMUNITY} and 3",
    ),
    ("voc2012", "community_learning", "predictions_mcg", "val"): PublishedResult(
        _percent(("mask_ap25", "mask_ap50", "mask_ap75", "abo"), 56.6, 38.1, 12.3, 48.2), _COMMUNITY
    ),
    ("voc2012", "community_learning", "predictions", "train"): PublishedResult(
        _percent(("corloc",), 70.8), "Deep Community Learning, table 3 (70.1 in table 6)"
    ),
    ("voc2012", "learning_to_segment", "semantic", "val"): _LEARNING_TO_SEGMENT,
    ("voc2012_imagenet", "learning_to_segment", "semantic", "val"): _LEARNING_TO_SEGMENT,
    ("coco2017", "supervised", "predictions", "val"): _coco(_COCO_TABLE, 35.4, 57.3, 37.5),
    ("coco2017", "bestie", "predictions", "val"): _coco(_COCO_TABLE, 14.3, 28.0, 13.2),
    ("coco2017", "bestie_points", "predictions", "val"): _coco(_COCO_TABLE, 17.7, 34.0, 16.4),
}


def published_value(dataset: str, run: str, stage: str, split: str, metric: str) -> float | None:
    """The paper's figure, a fraction from 0 to 1, or None where no paper prints one."""
    result = PUBLISHED.get((dataset, run, stage, split))
    return result.values.get(metric) if result else None


def published_classes(dataset: str, run: str, stage: str, split: str) -> dict[str | None, float]:
    """The paper's figures by class (None: the background), fractions from 0 to 1; empty where no paper prints any."""
    result = PUBLISHED.get((dataset, run, stage, split))
    return result.per_class if result else {}
