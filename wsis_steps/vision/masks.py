"""Binary masks as COCO run-length codes."""

import numpy as np
from pycocotools import mask as coco

from wsis_steps.vision.contracts.instances import ImageInstances

UNSURE = 255  # the label of pixels of which it is not known what they show
_FAR = 10  # sides of a picture; the memory that filling a polygon takes grows with its size, in the picture or not


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


def encode_segmentation(segmentation: list | dict, height: int, width: int) -> dict | None:
    """Compressed COCO RLE of what a COCO file holds: polygons, uncompressed counts or an RLE; None for polygons of no
    area. Raises `ValueError` where it is no mask of that size; the bytes of an RLE are checked by `run_bounds`."""
    try:
        if isinstance(segmentation, list):
            polygons = [polygon for polygon in segmentation if len(polygon) >= 6]
            if polygons and not np.abs(np.concatenate(polygons).astype(float)).max() < _FAR * max(height, width):
                raise ValueError("its polygon has a corner that is no number or far outside")
            return coco.merge(coco.frPyObjects(polygons, height, width)) if polygons else None
        size, counts = list(segmentation["size"]), segmentation["counts"]
        if size != [height, width]:
            raise ValueError(f"its mask is {size[1]}x{size[0]}")
        if isinstance(counts, list):
            if sum(counts) != height * width:
                raise ValueError(f"its mask's runs cover {sum(counts)} pixels")
            return coco.frPyObjects(segmentation, height, width)
        if not isinstance(counts, str):
            raise ValueError("its counts are neither a list nor text")
        return {"size": size, "counts": counts.encode("ascii")}
    except (TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


def run_bounds(rle: dict) -> tuple[np.ndarray, np.ndarray]:
    """Where the runs of ones of a compressed COCO RLE begin and end: int64 (n,) each, in column-major pixels.

    The bytes are base-32 digits, least first, offset by 48; bit 5 says that the number goes on and bit 4 of
    its last digit is its sign. From the fourth number on each is the difference to the one before the last
    (the format of cocoapi's maskApi). Decoding only the runs spares COCO's 860,000 masks 300 kB of pixels
    each. Raises `ValueError` for bytes that are no runs of a mask of that size.
    """
    digits = np.frombuffer(rle["counts"], np.uint8).astype(np.int64) - 48
    if len(digits) == 0 or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        raise ValueError("its counts are not a compressed RLE")
    last = (digits & 32) == 0
    firsts = np.flatnonzero(np.concatenate([[True], last[:-1]]))
    place = np.arange(len(digits)) - np.repeat(firsts, np.diff([*firsts, len(digits)]))
    numbers = np.add.reduceat((digits & 31) << (5 * place), firsts)
    numbers -= np.where(digits[last] & 16, 1 << (5 * (place[last] + 1)), 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    bounds = np.cumsum(numbers)
    if numbers.min() < 0 or bounds[-1] != rle["size"][0] * rle["size"][1]:  # fewer would leave pixels unset
        raise ValueError("its runs do not fit its size")
    return bounds[: len(bounds) // 2 * 2 : 2], bounds[1::2]


def split(instance_map: np.ndarray, count: int) -> np.ndarray:
    """Binary masks uint8 (count, h, w) of a map that holds k + 1 where instance k is, else 0."""
    return (instance_map[None] == np.arange(1, count + 1)[:, None, None]).astype(np.uint8)


def paint(instances: ImageInstances, height: int, width: int) -> np.ndarray:
    """Instance map int32 (height, width): k + 1 where instance k is, 0 elsewhere; small masks lie on top."""
    painted = np.zeros((height, width), dtype=np.int32)
    for k in np.argsort(-instances.areas, kind="stable"):
        painted[decode([instances.rles[k]], height, width)[0] > 0] = k + 1
    return painted


def true_labels(instances: ImageInstances, height: int, width: int) -> np.ndarray:
    """Label map uint8 (height, width) of true instances: 0 background, 1 + category, 255 crowds and ignored pixels."""
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
    """Completes run-length codes with their boxes and areas; empty masks are dropped.

    categories (n,), scores (n,) default 1, weights (n,) default 1, crowd (n,) default False.
    """
    count = len(rles)
    boxes = coco.toBbox(rles).reshape(-1, 4) if count else np.zeros((0, 4))
    areas = coco.area(rles).astype(np.float64) if count else np.zeros(0)
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
