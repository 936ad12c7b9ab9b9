"""The boundary F-measure against a loop over pixels, and on outlines that are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wsis_steps.evaluation.boundary_scores import boundary_f_measures

CLASSES = 2
LABELS = arrays(np.uint8, (7, 9), elements=st.sampled_from([0, 0, 1, 2, 255]))


def neighbours(y: int, x: int, shape: tuple[int, int]) -> list[tuple[int, int]]:
    around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
    return [(a, b) for a, b in around if 0 <= a < shape[0] and 0 <= b < shape[1]]


def outline(labels: np.ndarray, true: np.ndarray, label: int) -> list[tuple[int, int]]:
    found = []
    for y, x in np.argwhere(labels == label):
        around = neighbours(y, x, labels.shape)
        void = any(true[place] == 255 for place in [(y, x), *around])
        if not void and any(labels[place] != label for place in around):
            found.append((y, x))
    return found


def near(own: list, other: list, radius: float) -> int:
    return sum(any((a - c) ** 2 + (b - d) ** 2 <= radius**2 for c, d in other) for a, b in own)


def literal(pairs: list, radius: float) -> np.ndarray:
    result = []
    for label in range(1, CLASSES + 1):
        outlines = [(outline(p, t, label), outline(t, t, label)) for p, t in pairs]
        predicted, true = sum(len(p) for p, _ in outlines), sum(len(t) for _, t in outlines)
        precision = sum(near(p, t, radius) for p, t in outlines) / max(predicted, 1)
        recall = sum(near(t, p, radius) for p, t in outlines) / max(true, 1)
        both = precision + recall
        result.append(np.nan if predicted + true == 0 else 2 * precision * recall / both if both else 0.0)
    return np.array(result)


@settings(max_examples=60)
@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=3), st.sampled_from([0.0, 1.0, 2.0]))
def test_equals_a_loop_over_pixels(pairs, radius):
    predicted, true = zip(*pairs, strict=True)
    np.testing.assert_allclose(boundary_f_measures(predicted, true, CLASSES, radius), literal(pairs, radius))


@pytest.mark.parametrize("shift, expected", [(0, 1), (2, 1), (8, 0)])
def test_a_shift_within_the_radius_costs_nothing(shift, expected):
    true = np.zeros((40, 60), np.uint8)
    true[10:30, 10:12] = 1
    found = boundary_f_measures([np.roll(true, shift, axis=1)], [true], CLASSES)
    assert found[0] == pytest.approx(expected) and np.isnan(found[1])


def test_an_object_that_leaves_the_picture_has_no_outline_at_its_border():
    true = np.zeros((20, 20), np.uint8)
    true[:, :10] = 1
    cut = true.copy()
    cut[0] = cut[-1] = 0  # a false outline along two sides
    assert boundary_f_measures([true], [true], CLASSES)[0] == 1
    assert boundary_f_measures([cut], [true], CLASSES, radius=0)[0] < 1
