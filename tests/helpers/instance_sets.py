"""Small sets of instances for the tests of evaluation: built from arrays, read back as arrays."""

import numpy as np
from hypothesis import strategies as st
from pycocotools import mask as coco

from wsis_steps.vision.contracts.instances import ImageInstances

SIZE = (12, 16)


def rectangle(x1: int, y1: int, x2: int, y2: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    mask = np.zeros(size, dtype=bool)
    mask[y1:y2, x1:x2] = True
    return mask


def encode(mask: np.ndarray) -> dict:
    return coco.encode(np.asfortranarray(mask.astype(np.uint8)))


def decode(instances: ImageInstances) -> list[np.ndarray]:
    return [coco.decode(rle).astype(bool) for rle in instances.rles]


def instances(masks, categories, scores=None, crowd=None, ignore=None) -> ImageInstances:
    n = len(masks)
    boxes = np.zeros((n, 4), dtype=np.float32)
    for k, mask in enumerate(masks):
        rows, columns = np.nonzero(mask)
        if len(rows):
            boxes[k] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return ImageInstances(
        rles=[encode(mask) for mask in masks],
        categories=np.array(categories, dtype=np.int64).reshape(n),
        scores=np.ones(n, np.float32) if scores is None else np.array(scores, dtype=np.float32).reshape(n),
        boxes=boxes,
        areas=np.array([mask.sum() for mask in masks], dtype=np.float64).reshape(n),
        crowd=np.zeros(n, bool) if crowd is None else np.array(crowd, dtype=bool).reshape(n),
        ignore=None if ignore is None else encode(ignore),
    )


def random_set(seed: int, images: int = 6, classes: int = 3, crowd: float = 0.0):
    """Predictions and ground truth, some with void; true masks are disjoint, predictions are shifted copies and blobs.

    There are few different scores, so that they tie; one image has no ground truth, one no predictions.
    """
    rng = np.random.default_rng(seed)
    predictions, truths = [], []
    for number in range(images):
        height, width = (int(side) for side in rng.integers(20, 40, 2))
        taken, true = np.zeros((height, width), dtype=bool), []
        for _ in range(0 if number == 0 else rng.integers(1, 5)):
            true.append(_blob(rng, height, width) & ~taken)
            taken |= true[-1]
        categories = rng.integers(0, classes, len(true))
        predicted, guesses = [], []
        for k in np.repeat(np.arange(len(true)), 2):
            reach = rng.integers(0, 4)
            shifted = np.roll(true[k], rng.integers(-reach, reach + 1, 2), axis=(0, 1))
            predicted.append(shifted & (rng.random(shifted.shape) < 0.95))
            guesses.append(categories[k] if rng.random() < 0.8 else rng.integers(0, classes))
        predicted += [_blob(rng, height, width) for _ in range(3)]
        guesses += list(rng.integers(0, classes, 3))
        if number == 1:
            predicted, guesses = [], []
        scores = rng.integers(1, 6, len(predicted)) / 5
        void = _blob(rng, height, width) if number % 2 else None
        predictions.append(instances(predicted, guesses, scores))
        truths.append(instances(true, categories, crowd=rng.random(len(true)) < crowd, ignore=void))
    return predictions, truths


def _blob(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    y, x, a, b = rng.random(4) * (height, width, height / 3, width / 3) + (0, 0, 2, 2)
    return ((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 < 1


@st.composite
def rectangles(draw, most: int = 6, classes: int = 2, ignore: bool = False) -> ImageInstances:
    """Instances of one image: rectangles (some empty) on a grid of `SIZE`, scores in steps of 1 / 8."""
    height, width = SIZE
    corner = st.tuples(st.integers(0, width), st.integers(0, height), st.integers(0, width), st.integers(0, height))
    rows = draw(st.lists(st.tuples(corner, st.integers(0, classes - 1), st.integers(1, 8)), max_size=most))
    void = rectangle(*draw(corner)) if ignore else None
    return instances(
        [rectangle(*box) for box, _, _ in rows],
        [category for _, category, _ in rows],
        [score / 8 for _, _, score in rows],
        ignore=void,
    )
