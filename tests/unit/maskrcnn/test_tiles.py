"""Instances of tiles, put together, against those of the whole picture."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from wsis_steps.maskrcnn.tiles import _place, detect_in_tiles, windows
from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.masks import decode, describe, encode

CLASSES = 3


def see(picture: np.ndarray) -> ImageInstances:
    """What a perfect network finds: the first channel numbers the objects from 1, and gives their classes."""
    numbers = np.unique(picture[..., 0])[0 if picture[..., 0].all() else 1 :].astype(int)
    masks = picture[None, ..., 0] == numbers[:, None, None]
    return describe(encode(masks), numbers % CLASSES, scores=numbers / 255)


def draw(objects: list[tuple[int, int, int, int]], height: int, width: int) -> np.ndarray:
    """A picture with ellipses x, y, half width, half height; later ones hide earlier ones."""
    picture = np.zeros((height, width, 3), np.uint8)
    for number, (x, y, *axes) in enumerate(objects, start=1):
        cv2.ellipse(picture, (x, y), axes, 0, 0, 360, (number, number, number), -1)
    return picture


def content(found: ImageInstances) -> set[tuple]:
    """The instances, in any order."""
    codes = [rle["counts"] for rle in found.rles]
    rows = zip(codes, found.categories.tolist(), found.scores.tolist(), found.areas.tolist(), strict=True)
    return {(*row, *box) for row, box in zip(rows, found.boxes.tolist(), strict=True)}


def tiled(picture: np.ndarray, side: int, overlap: float, find=see) -> ImageInstances:
    """`detect_in_tiles`, with a network that no tile is too large for."""

    def find_in_tile(part: np.ndarray) -> ImageInstances:
        assert max(part.shape[:2]) <= side and part.flags.c_contiguous
        return find(part)

    return detect_in_tiles(picture, side, overlap, find_in_tile)


@settings(deadline=None)
@given(st.integers(1, 500), st.integers(1, 500), st.integers(4, 200), st.floats(0.01, 0.5))
def test_windows_cover_the_picture_and_overlap(height, width, side, overlap):
    found = np.array(windows(height, width, side, overlap))
    covered = np.zeros((height, width), bool)
    for x1, y1, x2, y2 in found:
        covered[y1:y2, x1:x2] = True
    assert covered.all()
    assert (found[:, 2] - found[:, 0] == min(side, width)).all() and (
        found[:, 3] - found[:, 1] == min(side, height)
    ).all()
    for first, last, length in ((0, 2, width), (1, 3, height)):
        starts, ends = np.unique(found[:, first]), np.unique(found[:, last])
        assert starts[0] == 0 and ends[-1] == length
        assert (ends[:-1] - starts[1:] >= side * overlap).all()


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))), st.integers(0, 4), st.integers(0, 4))
def test_a_placed_mask_is_that_of_the_whole_picture(mask, x, y):
    for below, right in ((0, 0), (3, 2)):
        whole = np.pad(mask, ((y, below), (x, right))).astype(np.uint8)
        assert _place(mask.astype(np.uint8), x, y, *whole.shape) == coco.encode(np.asfortranarray(whole))


OBJECT = st.tuples(st.integers(0, 119), st.integers(0, 89), st.integers(1, 70), st.integers(1, 70))


@settings(deadline=None, max_examples=60)
@given(st.lists(OBJECT, max_size=8), st.sampled_from([(40, 0.2), (64, 0.5), (30, 0.3), (100, 0.1)]))
def test_tiles_find_what_the_whole_picture_shows(objects, tiles):
    """Ellipses that touch, hide parts of others, and reach over up to twenty tiles."""
    picture = draw(objects, 90, 120)
    numbers = picture[..., 0]
    for number in np.unique(numbers[numbers > 0]):  # what is hidden in the middle would be two objects to a tile
        if cv2.connectedComponents((numbers == number).astype(np.uint8))[0] > 2:
            picture[numbers == number] = 0
    assert content(tiled(picture, *tiles)) == content(see(picture))


def test_an_object_that_a_border_cuts_is_one_and_neighbors_of_its_class_stay_two():
    picture = draw([(60, 20, 30, 12), (20, 60, 8, 8), (0, 0, 0, 0), (60, 44, 30, 11)], 80, 120)  # 1 and 4: one class
    whole, parts = see(picture), tiled(picture, 50, 0.2)
    assert len(parts) == 4 and content(parts) == content(whole)
    assert parts.scores.tolist() == sorted(whole.scores.tolist(), reverse=True)


def test_legs_that_a_border_cuts_from_their_object_are_joined_to_it():
    """The lower tile sees a comb, the upper one only its three teeth, each a third of what the comb covers there."""
    comb = np.zeros((90, 50, 3), np.uint8)
    comb[60:70, 5:45] = comb[20:70, 5:15] = comb[20:70, 20:30] = comb[20:70, 35:45] = 1

    def find(part: np.ndarray) -> ImageInstances:
        count, numbers = cv2.connectedComponents(part[..., 0])
        seen.append(count - 1)
        return describe(encode(numbers == np.arange(1, count)[:, None, None]), np.zeros(count - 1, int))

    seen = []
    found = tiled(comb, 50, 0.2, find)
    assert seen == [3, 1] and content(found) == content(find(comb))


def test_tiles_that_disagree_a_little_make_one_object_with_the_highest_score():
    picture, scores = draw([(60, 30, 40, 12)], 60, 120), iter((0.4, 0.9, 0.6))
    kernels = iter((1, 5, 3))

    def find(part: np.ndarray) -> ImageInstances:
        masks = cv2.erode(part[..., 0], np.ones((next(kernels), 3), np.uint8))[None] > 0
        return describe(encode(masks), np.array([1]), scores=np.array([next(scores)]))

    found = tiled(picture, 60, 0.3, find)
    assert len(found) == 1 and found.scores[0] == np.float32(0.9)
    [mask], truth = decode(found.rles, 60, 120), picture[..., 0] > 0
    assert (mask & truth).sum() / (mask | truth).sum() > 0.8


def test_one_place_with_two_classes_is_two_objects():
    picture, categories = draw([(60, 30, 40, 12)], 60, 120), iter((0, 1, 1))

    def find(part: np.ndarray) -> ImageInstances:
        return describe(encode(part[None, ..., 0] > 0), np.array([next(categories)]))

    assert sorted(tiled(picture, 60, 0.3, find).categories.tolist()) == [0, 1]


def test_a_small_object_on_a_large_one_of_its_class_stays_apart():
    """Both lie in two tiles; the small one is nowhere cut."""
    large, small = np.zeros((2, 60, 100), np.uint8)
    large[10:50, 5:95], small[25:31, 46:54] = 1, 1

    def find(part: np.ndarray) -> ImageInstances:
        masks = part.transpose(2, 0, 1)[:2]
        return describe(encode(masks), np.array([0, 0]), scores=np.array([0.8, 0.7]))

    found = tiled(np.stack([large, small, small], axis=2), 60, 0.33, find)
    assert found.areas.tolist() == [large.sum(), small.sum()]


@pytest.mark.parametrize("turned", [False, True])
def test_an_object_that_another_border_cuts_stays_apart_from_the_neighbor_that_it_touches(turned):
    """The left object reaches over the lower border, and two pixels into the right tile. There the right object has its
    mask begin at the border, over these two pixels."""
    picture = np.zeros((150, 180, 3), np.uint8)
    picture[60:130, 20:82], picture[60:130, 82:170] = 1, 4  # one class
    axes = (1, 0, 2) if turned else (0, 1, 2)

    def find(part: np.ndarray) -> ImageInstances:
        part = part.transpose(axes).copy()
        left = (part[..., 0] == 1).any(axis=0)
        if left.any() and not left[2:].any():
            part[part[..., 0] == 1] = 4
        return see(part.transpose(axes))

    found = tiled(picture.transpose(axes), 100, 0.2, find)
    assert found.areas.tolist() == [70 * 90, 70 * 62] and found.scores.tolist() == [
        np.float32(4 / 255),
        np.float32(1 / 255),
    ]


@pytest.mark.parametrize("shape", [(40, 40), (10, 300), (300, 10), (41, 40)])
def test_pictures_without_objects_have_none(shape):
    found = tiled(np.zeros((*shape, 3), np.uint8), 40, 0.2)
    assert len(found) == 0 and found.boxes.shape == (0, 4)
