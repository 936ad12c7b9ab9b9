import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from instance_sets import decode, encode, instances, random_set, rectangle, rectangles
from torchvision.ops import box_iou

from wsis_steps.engine.errors import InputError
from wsis_steps.evaluation.overlaps import image_overlaps, overlap_table


def pixel_ious(predicted, true, void=None):
    """IoU by counting pixels of arrays, leaving out those of `void`."""
    table = np.zeros((len(predicted), len(true)))
    for i, p in enumerate(predicted):
        for j, t in enumerate(true):
            valid = np.ones_like(p) if void is None else ~void
            union = ((p | t) & valid).sum()
            table[i, j] = (p & t & valid).sum() / union if union else 0
    return table


@pytest.mark.parametrize("seed", range(5))
def test_mask_iou_counts_pixels(seed):
    for prediction, truth in zip(*random_set(seed), strict=True):
        found = image_overlaps(prediction, truth, "keep").masks
        np.testing.assert_allclose(found, pixel_ious(decode(prediction), decode(truth)), atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_dropped_void_counts_for_nothing(seed):
    for prediction, truth in zip(*random_set(seed), strict=True):
        void = None if truth.ignore is None else decode(instances([], []))
        if truth.ignore is not None:
            void = decode(dataclasses.replace(truth, rles=[truth.ignore]))[0]
        found = image_overlaps(prediction, truth, "drop").masks
        np.testing.assert_allclose(found, pixel_ious(decode(prediction), decode(truth), void), atol=1e-12)


@given(rectangles(), rectangles(ignore=True))
def test_dropped_void_on_any_rectangles(prediction, truth):
    void = decode(dataclasses.replace(truth, rles=[truth.ignore]))[0]
    found = image_overlaps(prediction, truth, "drop").masks
    np.testing.assert_allclose(found, pixel_ious(decode(prediction), decode(truth), void), atol=1e-12)


@given(rectangles(), rectangles())
def test_iou_is_symmetric(one, other):
    there, back = image_overlaps(one, other, "keep"), image_overlaps(other, one, "keep")
    np.testing.assert_array_equal(there.masks, back.masks.T)
    np.testing.assert_allclose(there.boxes, back.boxes.T, atol=1e-15)


def test_thresholds_are_met_exactly():
    truth = instances([rectangle(0, 0, 10, 1)], [0])
    prediction = instances([rectangle(0, 0, k, 1) for k in (5, 7, 10)], [0, 0, 0])
    assert image_overlaps(prediction, truth, "keep").masks[:, 0].tolist() == [0.5, 0.7, 1.0]


def test_void_keep_ignores_the_void():
    truth = instances([rectangle(0, 0, 4, 4)], [0], ignore=rectangle(4, 0, 6, 4))
    prediction = instances([rectangle(0, 0, 6, 4)], [0])
    assert image_overlaps(prediction, truth, "keep").masks[0, 0] == pytest.approx(2 / 3)
    assert image_overlaps(prediction, truth, "drop").masks[0, 0] == 1.0


def test_masks_wholly_in_void_overlap_nothing():
    truth = instances([rectangle(0, 0, 4, 4)], [0], ignore=rectangle(0, 0, 8, 8))
    prediction = instances([rectangle(0, 0, 4, 4)], [0])
    assert image_overlaps(prediction, truth, "drop").masks[0, 0] == 0


def test_boxes_as_torchvision():
    rng = np.random.default_rng(0)
    corners = rng.random((2, 9, 2)) * 10
    boxes = np.concatenate([corners, corners + 0.1 + rng.random((2, 9, 2)) * 8], axis=2).astype(np.float32)
    one, other = (dataclasses.replace(instances([rectangle(0, 0, 2, 2)] * 9, [0] * 9), boxes=b) for b in boxes)
    wanted = box_iou(torch.from_numpy(boxes[0]), torch.from_numpy(boxes[1])).numpy()
    np.testing.assert_allclose(image_overlaps(one, other, "keep").boxes, wanted, atol=1e-5)


def test_masks_of_two_sizes_are_refused():
    small, large = instances([rectangle(0, 0, 2, 2)], [0]), instances([np.ones((30, 40), bool)], [0])
    with pytest.raises(InputError, match="image 1: .*12x16 and 30x40"):
        overlap_table([small, small], [small, large], class_count=1, void="keep")


def test_void_of_another_size_is_refused_where_it_counts():
    one = instances([rectangle(0, 0, 2, 2)], [0])
    truth = dataclasses.replace(one, ignore=encode(np.ones((30, 40), bool)))
    assert image_overlaps(one, truth, "keep").masks[0, 0] == 1
    with pytest.raises(InputError, match="different sizes"):
        image_overlaps(one, truth, "drop")


def test_table_lists_the_pairs_of_every_image():
    predictions, truths = random_set(3)
    table = overlap_table(iter(predictions), iter(truths), class_count=3, void="keep")
    dense = np.zeros((len(table.prediction_scores), len(table.truth_categories)))
    dense[table.pair_predictions, table.pair_truths] = table.pair_masks
    row = column = 0
    for prediction, truth in zip(predictions, truths, strict=True):
        block = dense[row : row + len(prediction), column : column + len(truth)]
        np.testing.assert_allclose(block, pixel_ious(decode(prediction), decode(truth)), atol=1e-12)
        row, column = row + len(prediction), column + len(truth)
        block[:] = 0
    assert not dense.any()
    np.testing.assert_array_equal(
        table.prediction_images, np.repeat(np.arange(len(predictions)), [len(p) for p in predictions])
    )
    np.testing.assert_array_equal(table.truth_categories, np.concatenate([t.categories for t in truths]))


def test_crowds_are_left_out():
    masks = [rectangle(0, 0, 4, 4), rectangle(4, 4, 8, 8), rectangle(8, 8, 12, 12)]
    truth = instances(masks, [0, 1, 2], crowd=[False, True, False])
    table = overlap_table([instances(masks, [0, 1, 2])], [truth], class_count=3, void="keep")
    assert table.truth_categories.tolist() == [0, 2]
    assert table.pair_predictions.tolist() == [0, 2]
    assert table.pair_truths.tolist() == [0, 1]


def test_lists_of_unequal_length_are_refused():
    one = instances([], [])
    with pytest.raises(ValueError, match="longer|shorter"):
        overlap_table([one, one], [one], class_count=1, void="keep")


@pytest.mark.parametrize("category", [-1, 2])
def test_unknown_categories_are_refused(category):
    one = instances([rectangle(0, 0, 2, 2)], [category])
    with pytest.raises(InputError, match=f"category {category} of the truths"):
        overlap_table([instances([], [])], [one], class_count=2, void="keep")


def test_no_images_make_an_empty_table():
    table = overlap_table([], [], class_count=2, void="keep")
    assert len(table.prediction_scores) == len(table.truth_categories) == len(table.pair_masks) == 0
    assert table.pair_truths.dtype == np.int32
