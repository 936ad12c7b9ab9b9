"""Binary masks as COCO run-length codes."""

import numpy as np
from pycocotools import mask as coco

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.contracts.instances import ImageInstances

_AT_ONCE = 255  # masks per call
UNSURE = 255  # label of pixels whose class is unknown
MOST_CLASSES = UNSURE - 1  # in a label map: labels are bytes, and 0 is background


def encode(masks: np.ndarray) -> list[dict]:
    """COCO run-length codes (compressed bytes) of binary masks (n, h, w)."""
    if len(masks) == 0:
        return []
    return coco.encode(np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8)))


def decode(rles: list[dict], height: int, width: int) -> np.ndarray:
    """uint8 (n, height, width) with values 0 and 1."""
    if not rles:
        return np.zeros((0, height, width), dtype=np.uint8)
    return np.ascontiguousarray(coco.decode(rles).transpose(2, 0, 1))


def count_pixels(rles: list[dict]) -> np.ndarray:
    """The areas of masks, float64 (n,). pycocotools counts at most 255 masks per call under NumPy 2."""
    parts = [coco.area(rles[first : first + _AT_ONCE]) for first in range(0, len(rles), _AT_ONCE)]
    return np.concatenate([np.zeros(0), *parts])


def split(instance_map: np.ndarray, count: int) -> np.ndarray:
    """Binary masks uint8 (count, h, w) from a map that is k + 1 in instance k and 0 elsewhere."""
    return (instance_map[None] == np.arange(1, count + 1)[:, None, None]).astype(np.uint8)


def paint(instances: ImageInstances, height: int, width: int) -> np.ndarray:
    """Instance map int32 (height, width): k + 1 in instance k, 0 elsewhere; smaller masks cover larger ones."""
    painted = np.zeros((height, width), dtype=np.int32)
    for k in np.argsort(-instances.areas, kind="stable"):
        painted[decode([instances.rles[k]], height, width)[0] > 0] = k + 1
    return painted


def check_class_count(count: int, owner: object) -> None:
    """Raises InputError if label maps cannot hold so many classes. owner: what has them, for the message."""
    if count > MOST_CLASSES:
        raise InputError(
            f"{owner} has {count} classes, but label maps are bytes and hold at most {MOST_CLASSES}; use a run "
            "without semantic maps."
        )


def true_labels(instances: ImageInstances, height: int, width: int) -> np.ndarray:
    """Label map uint8 (height, width) of ground-truth instances: 0 background, 1 + category, 255 crowds and ignored.

    Raises InputError for a category that labels cannot hold.
    """
    check_class_count(int(instances.categories.max(initial=-1)) + 1, "The ground truth")
    values = np.concatenate([[0], np.where(instances.crowd, UNSURE, instances.categories + 1)])
    labels = values[paint(instances, height, width)].astype(np.uint8)
    if instances.ignore:
        labels[decode([instances.ignore], height, width)[0] > 0] = UNSURE
    return labels


def describe(
    rles: list[dict],
    categories: np.ndarray,
    scores: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    crowd: np.ndarray | None = None,
    ignore: dict | None = None,
) -> ImageInstances:
    """Instances from run-length codes, with their boxes and areas; drops empty masks.

    categories (n,); scores (n,), default 1; weights (n,), default 1; crowd (n,), default False.
    """
    count = len(rles)
    boxes = coco.toBbox(rles).reshape(-1, 4) if count else np.zeros((0, 4))
    areas = count_pixels(rles)
    boxes[:, 2:] += boxes[:, :2]  # COCO gives x, y, width, height
    kept = np.flatnonzero(areas > 0)

    def column(values: np.ndarray | None, default: float, dtype: type) -> np.ndarray:
        return np.asarray(np.full(count, default) if values is None else values).astype(dtype)[kept]

    return ImageInstances(
        rles=[rles[k] for k in kept],
        categories=column(categories, 0, np.int64),
        scores=column(scores, 1, np.float32),
        boxes=boxes[kept].astype(np.float32),
        areas=areas[kept],
        crowd=column(crowd, False, bool),
        ignore=ignore,
        weights=column(weights, 1, np.float32),
    )
