"""Masks: run-length codes, maps of instances, and the table that describes them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from wsis_steps.core.masks import decode, describe, encode, paint, split

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
