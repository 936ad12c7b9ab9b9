"""Masks as one polygon, read as Ultralytics and supervision read it."""

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from wsis_steps.formats.outlines import fill_outline, outline


def blobs(seed, height, width, sigma=3, least=0.06):
    """A random mask of several parts with holes."""
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    return (cv2.GaussianBlur(noise, (0, 0), sigma) > least).astype(np.uint8)


def read_back(mask):
    return fill_outline(outline(mask) + 0.25, *mask.shape)


def parts_of(mask):
    count, numbers = cv2.connectedComponents(mask, connectivity=8)
    return [(numbers == k).astype(np.uint8) for k in range(1, count)]


def test_one_part_with_its_holes_comes_back_exactly():
    with_holes = 0
    for seed in range(40):
        for part in parts_of(blobs(seed, 40, 30, 1.5)):
            with_holes += cv2.connectedComponents(1 - np.pad(part, 1), connectivity=4)[0] > 2
            np.testing.assert_array_equal(read_back(part), part)
    assert with_holes > 15


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 2), (7, 5)])
def test_full_and_thin_masks_come_back_exactly(shape):
    mask = np.ones(shape, np.uint8)
    np.testing.assert_array_equal(read_back(mask), mask)
    assert len(outline(mask)) >= 3 and outline(0 * mask).shape == (0, 2)
    lattice = (np.indices((9, 9)).sum(axis=0) % 2).astype(np.uint8)  # parts that touch at corners are one
    np.testing.assert_array_equal(read_back(lattice), lattice)


def test_parts_are_joined_by_the_shortest_lines():
    for seed in range(30):
        mask = blobs(seed, 60, 50)
        added = read_back(mask) > mask
        assert (read_back(mask) >= mask).all()
        assert added.sum() <= _least_length([np.argwhere(part) for part in parts_of(mask)])


def _least_length(parts):
    """The pixels between parts on the lines of the shortest tree that joins them, by trying all pairs of pixels."""
    joined, rest, length = parts[0], parts[1:], 0
    while rest:
        steps = [abs(joined[:, None] - part[None]).max(axis=2) for part in rest]  # pixels of a line and one
        squares = [((joined[:, None] - part[None]) ** 2).sum(axis=2) for part in rest]
        k = int(np.argmin([square.min() for square in squares]))
        nearest = squares[k] == squares[k].min()
        length += 2 * (steps[k][nearest].max() - 1)  # there and back a line may take other pixels
        joined = np.concatenate([joined, rest.pop(k)])
    return length


def test_two_parts_cost_the_pixels_between_them():
    mask = np.zeros((9, 30), np.uint8)
    mask[2:7, 2:8] = mask[3:5, 12:25] = 1
    assert (read_back(mask) != mask).sum(axis=1).tolist() == [0, 0, 0, 4, 0, 0, 0, 0, 0]


def test_joined_parts_lose_less_than_when_one_is_joined_after_the_other():
    ours, chained = [], []
    for seed in range(20):
        mask = blobs(seed, 96, 96, 4)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        ours.append(_iou(read_back(mask), mask))
        chained.append(_iou(fill_outline(_chain([ring[:, 0] for ring in contours]) + 0.25, 96, 96), mask))
    assert np.mean(ours) > 0.94 and np.mean(ours) > np.mean(chained) + 0.01


def _chain(rings):
    """Outer rings one after another, each joined at the corner that is nearest to those before."""
    found = list(rings[0])
    for ring in rings[1:]:
        distance = ((np.array(found)[:, None] - ring[None]) ** 2).sum(axis=2)
        one, other = np.unravel_index(distance.argmin(), distance.shape)
        turned = [*np.roll(ring, -other, axis=0), ring[other]]
        found = [*found[: one + 1], *turned, *found[one:]]
    return np.array(found)


def test_a_reader_that_measures_areas_loses_half_a_pixel_at_most_sides():
    mask = np.zeros((30, 30), np.uint8)
    mask[5:25, 5:25] = 1
    mask[10:15, 10:15] = 0
    read = coco.decode(coco.frPyObjects([(outline(mask) + 0.25).ravel().tolist()], 30, 30))[..., 0]
    assert (read <= mask).all() and _iou(read, mask) > 0.85
    assert not read[10:15, 10:15].any()  # the hole is kept by the even-odd rule alone


def _iou(one, other):
    return (one & other).sum() / (one | other).sum()
