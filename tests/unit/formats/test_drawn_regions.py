"""Masks of what people draw: pieces in a picture, turned rectangles, middles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from middle_points import middle_points

from wsis_steps.formats.regions import middle_pixels, paste_mask, turned_rectangle
from wsis_steps.vision.masks import encode

margins = st.tuples(*[st.integers(0, 3)] * 4)


@given(arrays(bool, st.tuples(st.integers(1, 5), st.integers(1, 5))), margins)
@settings(max_examples=200, deadline=None)
def test_a_pasted_piece_has_the_code_of_the_whole_mask(piece, margin):
    whole = np.pad(piece, (margin[:2], margin[2:]))
    assert paste_mask(piece, margin[2], margin[0], *whole.shape) == encode(whole[None])[0]


@pytest.mark.parametrize(("left", "top"), [(-1, 0), (0, -2), (3, 0), (0, 5), (4, 4)])
def test_a_piece_that_reaches_over_a_side_by_two_pixels_is_cut(left, top):
    piece = np.array([(1, 0), (1, 1), (0, 1)])
    whole = np.zeros((20, 20), int)
    whole[5 + top : 8 + top, 5 + left : 7 + left] = piece
    assert paste_mask(piece, left, top, 6, 4) == encode(whole[None, 5:11, 5:9])[0]


@pytest.mark.parametrize(("left", "top"), [(-3, 0), (0, -3), (5, 0), (0, 6)])
def test_a_piece_that_leaves_the_picture_is_told(left, top):
    with pytest.raises(ValueError, match=rf"its mask of 2x3 at {left}, {top} leaves the picture of 4x6"):
        paste_mask(np.ones((3, 2)), left, top, 6, 4)


def test_a_picture_that_runs_cannot_count_is_told():
    with pytest.raises(ValueError, match="a picture of 1000000x1000000 is too large for a mask"):
        paste_mask(np.ones((3, 2)), 0, 0, 10**6, 10**6)


def test_rectangles_turn_clockwise_about_a_corner_or_their_middle():
    np.testing.assert_allclose(
        turned_rectangle(10, 20, 4, 2, 90, "corner"), [(10, 20), (10, 24), (8, 24), (8, 20)], atol=1e-9
    )
    np.testing.assert_allclose(
        turned_rectangle(10, 20, 4, 2, 90, "middle"), [(13, 19), (13, 23), (11, 23), (11, 19)], atol=1e-9
    )


stacks = st.tuples(st.integers(1, 6), st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 1))
)


@given(stacks)
@settings(max_examples=300, deadline=None)
def test_the_middles_of_several_masks_are_those_of_each_alone(masks):
    masks = masks[masks.any(axis=(1, 2))]
    found = middle_pixels(encode(masks), masks.shape[1])
    assert found == [tuple(middle_points(mask, np.array([1]))[0].tolist()) for mask in masks]


def test_the_middles_of_rings_lie_on_them():
    rows, columns = np.mgrid[:90, :120]
    distance = np.hypot(columns - 60.2, rows - 44.7)
    masks = np.stack([(distance < radius) & (distance > radius - 5) for radius in (10, 20, 30, 44)])
    for (x, y), mask in zip(middle_pixels(encode(masks), 90), masks, strict=True):
        assert mask[y, x] and (x, y) == tuple(middle_points(mask.astype(np.uint8), np.array([1]))[0])


def test_the_middle_of_a_large_mask():
    masks = np.zeros((2, 3000, 4000), np.uint8)
    masks[0, 10:2000, 20:3001] = masks[1, 2999, 3999] = 1
    assert middle_pixels(encode(masks), 3000) == [(1510, 1004), (3999, 2999)]
