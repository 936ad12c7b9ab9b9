"""Masks: run-length codes, maps of instances, and the table that describes them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from wsis_steps.vision.masks import decode, describe, encode, encode_segmentation, paint, run_bounds, split

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


SHAPE = (3, 4)
SEGMENTATIONS = {
    "a polygon": [[1, 0, 3, 0, 3, 2, 1, 2]],
    "runs": {"size": [3, 4], "counts": [3, 2, 1, 2, 4]},
    "text": {"size": [3, 4], "counts": encode(np.eye(3, 4)[None])[0]["counts"].decode()},
}
PIXELS = {
    "a polygon": [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]],
    "runs": [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]],
    "text": np.eye(3, 4).astype(int).tolist(),
}


@pytest.mark.parametrize("kind", SEGMENTATIONS)
def test_every_way_to_write_a_mask_gives_its_pixels(kind):
    rle = encode_segmentation(SEGMENTATIONS[kind], *SHAPE)
    assert decode([rle], *SHAPE)[0].tolist() == PIXELS[kind]
    starts, ends = run_bounds(rle)
    assert (ends - starts).sum() == np.sum(PIXELS[kind])


def test_polygons_without_area_are_no_mask():
    assert encode_segmentation([], *SHAPE) is None and encode_segmentation([[1, 1, 2, 2]], *SHAPE) is None


WRONG_MASKS = {
    "of another size": ({"size": [4, 3], "counts": [12]}, "its mask is 3x4"),
    "runs of fewer pixels": ({"size": [3, 4], "counts": [3, 2]}, "cover 5 pixels"),
    "negative runs": ({"size": [3, 4], "counts": [14, -2]}, "OverflowError"),
    "runs of words": ({"size": [3, 4], "counts": ["a"]}, "TypeError"),
    "a number": (7, "TypeError"),
    "no counts": ({"size": [3, 4]}, "KeyError: 'counts'"),
    "a size of one number": ({"size": [12], "counts": [12]}, "IndexError"),
    "counts that are a number": ({"size": [3, 4], "counts": 5}, "neither a list nor text"),
    "text that is no RLE": ({"size": [3, 4], "counts": "hello world"}, "RLE"),
    "text with letters beyond ASCII": ({"size": [3, 4], "counts": "ä"}, "ascii"),
    "text of fewer pixels": ({"size": [3, 4], "counts": "32"}, "do not fit"),
    "text of more pixels": ({"size": [3, 4], "counts": "3;1"}, "do not fit"),
    "no text": ({"size": [3, 4], "counts": ""}, "RLE"),
    "polygons of words": ([["x"] * 6], "could not convert"),
}


@pytest.mark.parametrize("case", WRONG_MASKS)
def test_what_is_no_mask_of_the_size_is_refused(case):
    """Decoding such bytes would leave pixels to chance, or write beyond the mask."""
    segmentation, words = WRONG_MASKS[case]
    with pytest.raises(ValueError, match=words):
        run_bounds(encode_segmentation(segmentation, *SHAPE))
