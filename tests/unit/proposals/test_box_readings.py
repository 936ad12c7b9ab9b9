"""Boxes whose numbers mean something else are told by the sizes of the pictures, or doubted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsis_steps.engine.errors import InputError
from wsis_steps.proposals.importers.box_readings import PUBLISHED, READINGS, tell_reading

SIZES = {"a": (30, 40), "b": (50, 20)}
BOXES = {
    "a": np.array([[0, 0, 40, 30], [5, 7, 9, 30], [20, 2, 40, 11]]),
    "b": np.array([[0, 0, 20, 50], [1, 2, 20, 44]]),
}


def written(boxes, reading):
    """Boxes x1, y1, x2, y2 from 0, the last excluded, as a file has them in which they are to be read so."""
    first = boxes[:, :2] + reading.start
    last = boxes[:, 2:] - boxes[:, :2] if reading.sizes else boxes[:, 2:] + reading.start - reading.included
    rows = np.hstack([first, last])
    return rows[:, [1, 0, 3, 2]] if reading.rows_first else rows


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.title)
def test_boxes_that_reach_the_sides_are_told_apart(reading):
    rows = {name: written(boxes, reading).astype(float) for name, boxes in BOXES.items()}
    found, doubts = tell_reading("f.mat", rows, SIZES)
    assert found == reading
    for name, boxes in BOXES.items():
        np.testing.assert_array_equal(found.boxes(rows[name]), boxes)
    said = [f"f.mat: its boxes are read as {reading.title}, since they do not fit as {PUBLISHED.title}."]
    assert doubts == (said if reading != PUBLISHED else [])


def test_square_pictures_do_not_tell_rows_from_columns():
    square = {"a": np.array([[1.0, 1, 30, 30], [3, 2, 20, 9], [20, 20, 25, 30]])}
    found, doubts = tell_reading("f.mat", square, {"a": (30, 30)})
    assert found == PUBLISHED and doubts == [
        "f.mat: its boxes are read as y1, x1, y2, x2 from 1, the last included, but would fit their pictures as "
        "'x1, y1, x2, y2', too."
    ]


def test_sizes_whose_order_no_picture_tells_are_refused():
    with pytest.raises(InputError, match="may be 'x, y, width, height' or 'y, x, height, width'; write"):
        tell_reading("f.mat", {"a": np.array([[8.0, 20, 7, 10], [9, 9, 1, 1], [1, 1, 3, 3]])}, {"a": (40, 40)})
    nowhere = {"a": np.array([[0.0, 20, 0, 10]])}
    assert tell_reading("f.mat", nowhere, SIZES) == (PUBLISHED, [])  # whose misfits the reader tells


def test_boxes_of_smaller_pictures_are_doubted():
    rng = np.random.default_rng(0)
    low = rng.integers(0, [10, 15], (50, 2))
    rows = np.hstack([low + 1, rng.integers(low + 1, [15, 20])])
    rows[0] = [1, 1, 15, 20]
    doubts = tell_reading("f.mat", {"a": rows.astype(float)}, {"a": (30, 40)})[1]
    assert "its boxes end at 50% of the width and 50% of the height of their pictures" in doubts[0]


def test_no_boxes_tell_nothing():
    assert tell_reading("f.mat", {}, {}) == (PUBLISHED, [])
    assert tell_reading("f.mat", {"a": np.zeros((0, 4))}, SIZES) == (PUBLISHED, [])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(1, 6), reading=st.sampled_from(READINGS))
def test_what_is_read_in_another_way_is_always_said(seed, count, reading):
    rng = np.random.default_rng(seed)
    sizes = {str(k): tuple(rng.integers(4, 9, 2).tolist()) for k in range(2)}
    boxes = {}
    for name, (height, width) in sizes.items():
        low = rng.integers(0, [width, height], (count, 2))
        boxes[name] = np.hstack([low, rng.integers(low + 1, [width + 1, height + 1])])
    rows = {name: written(own, reading).astype(float) for name, own in boxes.items()}
    try:
        found, doubts = tell_reading("f.mat", rows, sizes)
    except InputError:
        return
    if found.order != reading.order:
        assert any(f"'{reading.order}'" in doubt for doubt in doubts)
