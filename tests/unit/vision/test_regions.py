"""Boxes, regions and masks answer the same questions as their decoded masks."""

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from region_proposals import KINDS, SHAPES, random_masks, random_proposals

from wsis_steps.vision.regions import box_overlaps, over_union

cases = given(
    kind=st.sampled_from(KINDS),
    count=st.integers(0, 6),
    shape=st.sampled_from(SHAPES),
    seed=st.integers(0, 999),
)
often = settings(max_examples=60, deadline=None)


def brute_overlaps(masks: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair, mask by mask and pixel by pixel; 0 for two empty masks."""
    overlaps = np.zeros((len(masks), len(others)))
    for i, mask in enumerate(masks.astype(bool)):
        for j, other in enumerate(others.astype(bool)):
            overlaps[i, j] = (mask & other).sum() / max((mask | other).sum(), 1)
    return overlaps


@often
@cases
def test_proposals_decode_to_the_masks_that_they_were_made_from(kind, count, shape, seed):
    proposals, masks = random_proposals(kind, count, *shape, seed)
    found = proposals.masks(np.arange(count))
    assert found.shape == (count, *shape) and found.dtype == np.uint8
    np.testing.assert_array_equal(found, masks)
    assert len(proposals) == count


@often
@cases
def test_any_choice_of_rows_decodes_to_its_masks_in_its_order(kind, count, shape, seed):
    proposals, masks = random_proposals(kind, count, *shape, seed)
    rng = np.random.default_rng(seed)
    some = rng.integers(0, count, 3) if count else np.zeros(0, np.int64)
    for rows in (some, rng.random(count) < 0.5, slice(0, 2), np.zeros(0, np.int64)):
        found = proposals.masks(rows)
        assert found.shape[1:] == shape
        np.testing.assert_array_equal(found, masks[rows])


@often
@cases
def test_areas_are_the_pixels_of_the_masks(kind, count, shape, seed):
    proposals, masks = random_proposals(kind, count, *shape, seed)
    assert proposals.areas.dtype == np.float32
    np.testing.assert_array_equal(proposals.areas, masks.sum((1, 2)))


@often
@cases
def test_overlaps_with_each_other_are_those_of_the_masks(kind, count, shape, seed):
    proposals, masks = random_proposals(kind, count, *shape, seed)
    found = proposals.pairwise()
    assert found.dtype == np.float32 and found.shape == (count, count)
    np.testing.assert_allclose(found, brute_overlaps(masks, masks), atol=1e-6)


@often
@given(dtype=st.sampled_from([np.uint8, bool, np.int64]), given_count=st.integers(0, 4), data=st.data())
def test_overlaps_with_given_masks_are_those_of_the_masks(dtype, given_count, data):
    shape, seed = data.draw(st.sampled_from(SHAPES)), data.draw(st.integers(0, 999))
    proposals, masks = random_proposals(data.draw(st.sampled_from(KINDS)), data.draw(st.integers(0, 6)), *shape, seed)
    others = random_masks(given_count, *shape, seed + 1)
    found = proposals.overlaps(others.astype(dtype))
    assert found.dtype == np.float32 and found.shape == (len(masks), given_count)
    np.testing.assert_allclose(found, brute_overlaps(masks, others), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_without_proposals_answers_everything_with_nothing(kind):
    proposals, _ = random_proposals(kind, 0, 5, 7, 0)
    assert len(proposals) == 0 and proposals.areas.shape == (0,)
    for rows in (slice(None), np.zeros(0, np.int64), np.zeros(0, bool)):
        assert proposals.masks(rows).shape == (0, 5, 7)
    for count in (0, 2):
        assert proposals.overlaps(np.ones((count, 5, 7), np.uint8)).shape == (0, count)
    assert proposals.pairwise().shape == (0, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_mask_overlaps_nothing(kind):
    proposals, _ = random_proposals(kind, 3, 5, 7, 0)
    assert proposals.overlaps(np.zeros((2, 5, 7), np.uint8)).tolist() == [[0, 0]] * 3


def test_two_empty_sets_have_no_overlap_rather_than_a_division_by_zero():
    areas = np.array([0, 4], np.float32)
    found = over_union(np.array([[0, 0], [0, 4]]), areas, areas)
    assert found.tolist() == [[0, 0], [0, 1]] and found.dtype == np.float32


def test_overlaps_of_boxes_are_torchvisions():
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 30, (20, 2, 2)) * 0.5
    boxes = np.hstack([corners.min(axis=1), corners.max(axis=1) + 1]).astype(np.float32)
    found = box_overlaps(boxes[:8], boxes[8:])
    expected = torchvision.ops.box_iou(torch.from_numpy(boxes[:8]), torch.from_numpy(boxes[8:]))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert box_overlaps(np.zeros((1, 4)), np.zeros((2, 4))).tolist() == [[0, 0]]
