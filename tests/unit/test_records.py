"""The importers' shared pieces: points inside masks, and collected problems."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wsis_steps.core.errors import InputError
from wsis_steps.data.records import Problems, attempt, middle_points, settle


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


def test_problems_lists_twenty_and_counts_the_rest():
    problems = Problems()
    problems.raise_any("Nothing")
    problems.add("x.txt:1: bad.")
    with pytest.raises(InputError, match=r"^x\.txt:1: bad\.$"):
        problems.raise_any("The list")
    for number in range(2, 34):
        problems.add(f"x.txt:{number}: bad.")
    with pytest.raises(InputError) as caught:
        problems.raise_any("The list")
    lines = str(caught.value).splitlines()
    assert lines[0] == "The list has 33 problems:"
    assert len(lines) == 22
    assert lines[-1].strip() == "... and 13 more"


def test_errors_are_collected_from_blocks_and_from_workers():
    def invert(number):
        if number == 0:
            raise InputError("0 has no inverse.")
        return 1 / number

    problems = Problems()
    assert settle((attempt(invert, n) for n in (2, 0, 4)), problems) == [0.5, None, 0.25]
    with problems.catch():
        invert(0)
    assert problems.sentences == ["0 has no inverse."] * 2
