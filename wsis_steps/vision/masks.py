"""Binary masks as COCO run-length codes."""

from pathlib import Path

import numpy as np
from pycocotools import mask as coco

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.contracts.instances import ImageInstances

_AT_ONCE = 255  # masks
_LONGEST = 7  # digits of a number, which hold the difference of two lengths of 32 bits
UNSURE = 255  # the label of pixels of which it is not known what they show
MOST_CLASSES = UNSURE - 1  # of a label map: its labels are bytes, 0 is background


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
    """The areas of masks, float64 (n,). pycocotools itself counts at most 255 masks at once under NumPy 2."""
    parts = [coco.area(rles[first : first + _AT_ONCE]) for first in range(0, len(rles), _AT_ONCE)]
    return np.concatenate([np.zeros(0), *parts])


def run_bounds(rle: dict) -> tuple[np.ndarray, np.ndarray]:
    """Where the runs of ones of a compressed COCO RLE begin and end: int64 (n,) each, in column-major pixels. Raises
    `ValueError` for bytes that are no runs of a mask of that size."""
    starts, ends, _ = bounds_of_runs([rle])
    return starts, ends


def bounds_of_runs(rles: list[dict]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`run_bounds` of several masks (n >= 1) at once: starts, ends, and the place of the mask of each run.

    From the fourth number of a code on each is the difference to the one before the last (the format of cocoapi's
    maskApi). Decoding only the runs spares COCO's 860,000 masks 300 kB of pixels each.
    """
    numbers, first, owner = _numbers([rle["counts"] for rle in rles])
    place = np.arange(len(numbers)) - first[owner]
    odd, head = (place & 1).astype(bool), numbers[first]
    numbers[first] = 0  # no sum holds it
    runs = np.where(odd, _sums(np.where(odd, numbers, 0), first, owner), _sums(np.where(odd, 0, numbers), first, owner))
    runs[first] = head
    bounds = _sums(runs, first, owner)
    pixels = np.array([rle["size"][0] * rle["size"][1] for rle in rles])
    last = np.append(first[1:], len(numbers)) - 1
    if runs.min() < 0 or (bounds[last] != pixels).any():  # fewer would leave pixels unset
        raise ValueError("its runs do not fit its size")
    ends = np.flatnonzero(odd)
    return bounds[ends - 1], bounds[ends], owner[ends]


def _numbers(codes: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The numbers of several codes, one after the other, the place of the first of each, and the code of each number.

    The bytes are base-32 digits, least first, offset by 48; bit 5 says that the number goes on and bit 4 of its last
    digit is its sign.
    """
    lengths = np.array([len(code) for code in codes])
    digits = np.frombuffer(b"".join(codes), np.uint8).astype(np.int64) - 48
    stops = np.flatnonzero((digits & 32) == 0)  # the last digit of each number
    code_ends = np.cumsum(lengths)
    if lengths.min() == 0 or digits.min() < 0 or digits.max() > 63 or (digits[code_ends - 1] & 32).any():
        raise ValueError("its counts are not a compressed RLE")
    starts = np.append(0, stops[:-1] + 1)
    sizes = stops - starts + 1
    if sizes.max() > _LONGEST:
        raise ValueError("its counts are not a compressed RLE")
    place = np.arange(len(digits)) - np.repeat(starts, sizes)
    numbers = np.add.reduceat((digits & 31) << (5 * place), starts)
    numbers -= np.where(digits[stops] & 16, 1 << (5 * sizes), 0)
    first = np.searchsorted(starts, code_ends - lengths)
    return numbers, first, np.repeat(np.arange(len(codes)), np.diff(first, append=len(numbers)))


def _sums(values: np.ndarray, first: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """The sum of the values up to each, of its own code; `first`: the place of the first of each code."""
    total = np.cumsum(values)
    return total - (total[first] - values[first])[owner]


def split(instance_map: np.ndarray, count: int) -> np.ndarray:
    """Binary masks uint8 (count, h, w) of a map that holds k + 1 where instance k is, else 0."""
    return (instance_map[None] == np.arange(1, count + 1)[:, None, None]).astype(np.uint8)


def paint(instances: ImageInstances, height: int, width: int) -> np.ndarray:
    """Instance map int32 (height, width): k + 1 where instance k is, 0 elsewhere; small masks lie on top."""
    painted = np.zeros((height, width), dtype=np.int32)
    for k in np.argsort(-instances.areas, kind="stable"):
        painted[decode([instances.rles[k]], height, width)[0] > 0] = k + 1
    return painted


def check_class_count(count: int, owner: Path | str) -> None:
    """Raises InputError where label maps cannot hold so many classes. owner: what has them."""
    if count > MOST_CLASSES:
        raise InputError(
            f"{owner} has {count} classes, but label maps are bytes and hold at most {MOST_CLASSES}; take a run "
            "without semantic maps."
        )


def true_labels(instances: ImageInstances, height: int, width: int) -> np.ndarray:
    """Label map uint8 (height, width) of true instances: 0 background, 1 + category, 255 crowds and ignored pixels.

    Raises InputError for a category that no label stands for.
    """
    check_class_count(int(instances.categories.max(initial=-1)) + 1, "The truth")
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
