"""What a step counts in its results for `engine.verdicts` to judge: integers, which add up over shards."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from pycocotools import mask as coco

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import ImageInstances, Instances
from wsis_steps.vision.masks import UNSURE

FOUND = 0.5  # IoU from which an instance counts as the same as in the previous round
FILLED = 0.8  # share of a label map from which classes fill it


def add_counts(parts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """The counts of all images, from those of their shards."""
    return {name: sum(part.get(name, 0) for part in parts) for name in dict.fromkeys(name for p in parts for name in p)}


def expect_labels(images: Images, members: np.ndarray, supervision: str) -> np.ndarray:
    """Whether each image should have labels, bool (n,): if it has a tag and, with supervision by points, a point.

    members: indices of the images, int64 (n,).
    """
    tagged = images.tags[members].any(axis=1)
    if supervision != "points":
        return tagged
    return tagged & np.array([len(images.points[i]) > 0 for i in members], dtype=bool)


def count_instances(
    found: Iterable[ImageInstances], expected: np.ndarray, name: str, counts: Counter
) -> Iterator[ImageInstances]:
    """Passes instances on, image by image, and adds to `counts`: images, images expected to have instances, those of
    them without any, and the number of instances under `name`, which is `labels` or `predictions`.

    expected: bool (n,), whether each image should have instances.
    """
    counts.update({"images": 0, "expected": 0, "without": 0, name: 0})
    for one, tagged in zip(found, expected.tolist(), strict=True):
        counts.update({"images": 1, "expected": int(tagged), "without": int(tagged and not len(one)), name: len(one)})
        yield one


def compare_rounds(
    found: Iterable[ImageInstances], ids: Sequence[str], before: Instances, counts: Counter
) -> Iterator[ImageInstances]:
    """Passes labels on, image by image, and adds to `counts` the labels of the previous round, and how many of them are
    found again: some label of the same class overlaps them by `FOUND`. InputError if `before` lacks an image."""
    counts.update({"before": 0, "again": 0})
    for one, identity in zip(found, ids, strict=True):
        if identity not in before.index:
            raise InputError(f"{before.path} has no image '{identity}'; it belongs to another data set.")
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
    """Adds a label map uint8 (h, w) to `counts`. If classes are expected: its pixels of background, classes and unsure,
    whether it has no class, and whether classes fill it. Other maps are rightly all background."""
    counts.update({"images": 1, "expected": int(expected)})
    if not expected:
        return
    background, unsure = int((labels == 0).sum()), int((labels == UNSURE).sum())
    inside = labels.size - background - unsure
    counts.update({"background": background, "class": inside, "unsure": unsure})
    counts.update({"without_class": int(not inside), "filled": int(inside > FILLED * labels.size)})
