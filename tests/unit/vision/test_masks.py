"""Masks: run-length codes, maps of instances, and the table that describes them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from wsis_steps.vision.masks import count_pixels, decode, describe, encode, paint, split
from wsis_steps.vision.run_lengths import bounds_of_runs, run_bounds

stacks = arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=7), elements=st.integers(0, 1))


@settings(deadline=None)
@given(stacks)
def test_decoding_undoes_encoding(masks):
    found = decode(encode(masks), *masks.shape[1:])
    np.testing.assert_array_equal(found, masks)
    assert found.dtype == np.uint8 and found.flags.c_contiguous


def test_no_masks_are_an_empty_stack_of_the_size():
    assert encode(np.zeros((0, 4, 5))) == [] and decode([], 4, 5).shape == (0, 4, 5)


@settings(deadline=None)
@given(stacks)
def test_boxes_and_areas_are_those_of_the_pixels(masks):
    found = describe(encode(masks), np.arange(len(masks)))
    kept = [k for k in range(len(masks)) if masks[k].any()]
    assert found.categories.tolist() == kept  # empty masks are dropped, the columns with them
    for row, k in enumerate(kept):
        y, x = np.nonzero(masks[k])
        assert found.boxes[row].tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
        assert found.areas[row] == len(x)


def test_columns_of_a_description_keep_their_rows_and_have_defaults():
    masks = np.zeros((3, 4, 4), dtype=np.uint8)
    masks[0, 0, 0] = masks[2, 3, 3] = 1
    found = describe(encode(masks), [5, 6, 7], scores=[0.1, 0.2, 0.3], weights=[1, 2, 3], crowd=[False, False, True])
    assert found.categories.tolist() == [5, 7] and found.weights.tolist() == [1, 3] and found.crowd.tolist() == [0, 1]
    np.testing.assert_allclose(found.scores, [0.1, 0.3], rtol=1e-6)
    plain = describe(encode(masks), [5, 6, 7])
    assert plain.scores.tolist() == plain.weights.tolist() == [1, 1] and not plain.crowd.any() and len(plain) == 2


def test_splitting_undoes_painting_where_nothing_overlaps():
    instance_map = np.array([[0, 1, 1], [3, 0, 1], [3, 2, 2]])
    masks = split(instance_map, 3)
    assert [mask.sum() for mask in masks] == [3, 2, 2]
    painted = paint(describe(encode(masks), np.zeros(3)), 3, 3)
    np.testing.assert_array_equal(painted, instance_map)
    assert painted.dtype == np.int32


def test_small_masks_lie_on_top():
    masks = np.ones((3, 4, 4), dtype=np.uint8)
    masks[0, 1:3, 1:3], masks[1, 1:, :], masks[2, 1:, 1:] = 1, 0, 0
    masks[0] = 0
    masks[0, 0, 0] = 1
    painted = paint(describe(encode(masks), np.zeros(3)), 4, 4)
    areas = masks.reshape(3, -1).sum(axis=1)
    for y in range(4):
        for x in range(4):
            covering = [k for k in range(3) if masks[k, y, x]]
            expected = 1 + min(covering, key=lambda k: (areas[k], -k)) if covering else 0
            assert painted[y, x] == expected


@settings(deadline=None)
@given(stacks)
def test_runs_are_those_of_the_decoded_mask(masks):
    for mask, rle in zip(masks, encode(masks), strict=True):
        flat = np.zeros(mask.size, np.uint8)
        for a, b in zip(*run_bounds(rle), strict=True):
            flat[a:b] = 1
        np.testing.assert_array_equal(flat.reshape(mask.shape, order="F"), mask)


@settings(deadline=None)
@given(stacks)
def test_runs_of_several_masks_are_those_of_each(masks):
    rles = encode(masks)
    starts, ends, owner = bounds_of_runs(rles)
    for k, rle in enumerate(rles):
        for one, found in zip(run_bounds(rle), (starts, ends), strict=True):
            np.testing.assert_array_equal(found[owner == k], one)


def test_long_runs_need_several_digits():
    mask = np.zeros((700, 900), np.uint8)
    mask[:, 400:401], mask[3, 800] = 1, 1
    starts, ends = run_bounds(encode(mask[None])[0])
    assert starts.tolist() == [400 * 700, 800 * 700 + 3]
    assert (ends - starts).tolist() == [700, 1]


@pytest.mark.parametrize("counts", [b"hello world", b"", b"32", b"3;1", b"0ooo0", b"o" * 40 + b"0"])
def test_bytes_that_are_no_runs_of_the_size_are_refused(counts):
    """Decoding them would leave pixels to chance, or write beyond the mask."""
    with pytest.raises(ValueError, match="RLE|do not fit"):
        run_bounds({"size": [3, 4], "counts": counts})


@pytest.mark.parametrize("count", [0, 1, 255, 256, 700])
def test_any_number_of_masks_is_counted_and_described(count):
    masks = np.tri(count, 24, dtype=np.uint8).reshape(count, 4, 6)[:, ::-1]
    codes = encode(masks)
    np.testing.assert_array_equal(count_pixels(codes), masks.sum(axis=(1, 2)))
    np.testing.assert_array_equal(describe(codes, np.zeros(count)).areas, masks.sum(axis=(1, 2)))
