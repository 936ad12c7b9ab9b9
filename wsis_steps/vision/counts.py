"""What a step counts of what it makes, for `engine.verdicts` to judge: whole numbers, which add up over shards."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from pycocotools import mask as coco

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import ImageInstances, Instances
from wsis_steps.vision.masks import UNSURE

FOUND = 0.5  # IoU from which an instance is the one of the round before
FILLED = 0.8  # of a label map, from which classes fill it


def add_counts(parts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """The counts of all images from those of their shards."""
    return {name: sum(part.get(name, 0) for part in parts) for name in dict.fromkeys(name for p in parts for name in p)}


def expect_labels(images: Images, members: np.ndarray, supervision: str) -> np.ndarray:
    """Of which images labels are expected, bool (n,): those that have a tag and, under supervision by points, a point.

    members: int64 (n,), their places in `images`.
    """
    tagged = images.tags[members].any(axis=1)
    if supervision != "points":
        return tagged
    return tagged & np.array([len(images.points[i]) > 0 for i in members], dtype=bool)


def count_instances(
    found: Iterable[ImageInstances], expected: np.ndarray, name: str, counts: Counter
) -> Iterator[ImageInstances]:
    """Passes instances on, image by image, and adds them to `counts`: images, those of which some are expected,
    those of these without any, and under `name`, `labels` or `predictions`, the instances.

    expected: bool (n,), of which images some are expected.
    """
    counts.update({"images": 0, "expected": 0, "without": 0, name: 0})
    for one, tagged in zip(found, expected.tolist(), strict=True):
        counts.update({"images": 1, "expected": int(tagged), "without": int(tagged and not len(one)), name: len(one)})
        yield one


def compare_rounds(
    found: Iterable[ImageInstances], ids: Sequence[str], before: Instances, counts: Counter
) -> Iterator[ImageInstances]:
    """Passes labels on, image by image, and adds to `counts` those of the round before and how many of these are found
    again: some label of their class overlaps them by `FOUND`. InputError where `before` lacks an image."""
    counts.update({"before": 0, "again": 0})
    for one, identity in zip(found, ids, strict=True):
        if identity not in before.index:
            raise InputError(f"{before.path} holds no image '{identity}'; it is of other data.")
        then = before.read(before.index[identity])
        counts.update({"before": len(then), "again": _found_again(then, one)})
        yield one


def _found_again(then: ImageInstances, now: ImageInstances) -> int:
    if not len(then) or not len(now):
        return 0
    overlaps = coco.iou(then.rles, now.rles, np.zeros(len(now), np.uint8))
    same = then.categories[:, None] == now.categories[None]
    return int(((overlaps >= FOUND) & same).any(axis=1).sum())


def count_map(labels: np.ndarray, expected: bool, counts: Counter) -> None:
    """Adds a label map uint8 (h, w) to `counts`. Where some of a class are expected: its pixels of background, classes
    and unsure, whether there is nothing of a class, and whether classes fill it. Other maps are background, rightly."""
    counts.update({"images": 1, "expected": int(expected)})
    if not expected:
        return
    background, unsure = int((labels == 0).sum()), int((labels == UNSURE).sum())
    inside = labels.size - background - unsure
    counts.update({"background": background, "class": inside, "unsure": unsure})
    counts.update({"without_class": int(not inside), "filled": int(inside > FILLED * labels.size)})
