"""Records of images, and the points by which tests measure those of masks."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from middle_points import middle_points

from wsis_steps.formats.notes import Notes
from wsis_steps.formats.records import ImageRecord, check_ids


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)))
@settings(max_examples=150, deadline=None)
def test_middle_points_are_the_nearest_own_pixels(id_map):
    ids = np.unique(id_map[id_map > 0])
    points = middle_points(id_map, ids)
    assert points.shape == (len(ids), 2)
    for point, instance in zip(points, ids, strict=True):
        ys, xs = np.nonzero(id_map == instance)
        distances = np.hypot(xs - xs.mean(), ys - ys.mean())
        assert id_map[point[1], point[0]] == instance
        assert np.hypot(point[0] - xs.mean(), point[1] - ys.mean()) == pytest.approx(distances.min())


def test_an_id_of_two_pictures_is_told():
    notes = Notes()
    check_ids([ImageRecord("a_b_c", "train", Path(name), ()) for name in ("a/b_c.jpg", "a_b/c.jpg", "d.jpg")], notes)
    assert notes.sentences == [
        "a_b/c.jpg: its id 'a_b_c' is also that of a/b_c.jpg.", "d.jpg: its id 'a_b_c' is also that of a/b_c.jpg."
    ]  # fmt: skip
