"""Peaks of activation maps against loops over pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn import functional

from wsis_steps.classifier.find_peaks import peaks_of
from wsis_steps.classifier.peaks import find_peaks
from wsis_steps.classifier.settings import ClassifierFindPeaks


def found(values: np.ndarray, **chosen) -> np.ndarray:
    return find_peaks(values.astype(np.float32), ClassifierFindPeaks(**({"min_value": 0.1, "smoothing": 1} | chosen)))


def expected(values: np.ndarray, kernel: int, top_k: int, min_value: float, smoothing: int) -> np.ndarray:
    """Peaks by loops: float32 (n, 3), highest first, equal ones in reading order."""
    mean = functional.avg_pool2d(torch.from_numpy(values)[None, None], smoothing, 1, smoothing // 2)[0, 0].numpy()
    reach, maxima = kernel // 2, np.zeros(values.shape, bool)
    windows = {(y, x): np.s_[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
               for y, x in np.ndindex(values.shape)}  # fmt: skip
    for place, window in windows.items():
        maxima[place] = mean[place] == mean[window].max() and mean[place] > 0 and mean[place] >= np.float32(min_value)
    order = np.where(maxima, np.arange(values.size).reshape(values.shape), values.size)
    rows = [
        (x, y, mean[y, x]) for (y, x), window in windows.items() if maxima[y, x] and order[window].min() == order[y, x]
    ]
    return np.array(sorted(rows, key=lambda row: -row[2])[:top_k], np.float32).reshape(-1, 3)


@pytest.mark.parametrize("smoothing", [1, 3, 5])
@pytest.mark.parametrize(
    ("kernel", "top_k", "min_value"), [(1, 9, 0.3), (3, 25, 0.3), (5, 3, 0.5), (15, 25, 0), (99, 9, 0)]
)
def test_peaks_equal_those_of_loops_to_the_bit(kernel, top_k, min_value, smoothing):
    rng = np.random.default_rng(kernel)
    chosen = {"kernel": kernel, "top_k": top_k, "min_value": min_value, "smoothing": smoothing}
    steps = np.kron(rng.integers(0, 4, (5, 7)) / 3, np.ones((4, 4)))  # plateaus, many of the same height
    for values in (rng.random((20, 27)), steps, steps[:1], steps[:, :1]):
        values = values.astype(np.float32)
        wanted = expected(values, **chosen)
        assert len(wanted) or 1 in values.shape
        np.testing.assert_array_equal(found(values, **chosen), wanted)


@settings(max_examples=25, deadline=None)
@given(arrays(np.int8, (14, 14), elements=st.integers(0, 3)))
def test_peaks_with_many_ties_never_share_a_window_and_are_window_maxima(drawn):
    values = drawn.astype(np.float32) / 3
    peaks = found(values, kernel=5, top_k=1000)
    points = peaks[:, :2].astype(int)
    distance = np.abs(points[:, None] - points[None]).max(axis=-1, initial=0)
    assert (distance + 99 * np.eye(len(points)) > 2).all()
    for (x, y), confidence in zip(points, peaks[:, 2], strict=True):
        window = values[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
        assert window.max() == values[y, x] == confidence > 0
    assert (len(peaks) > 0) == bool(values.any())


def test_smoothing_is_the_average_of_nine_with_zeros_outside():
    values = np.zeros((9, 9))
    values[4, 4], values[4, 5] = 0.9, 0.45
    # the nine-pixel mean is 0.15 wherever the window holds both: the plateau's first pixel stands for it
    np.testing.assert_allclose(found(values, kernel=9, smoothing=3), [[4, 3, 0.15]], rtol=1e-6)


def test_a_plateau_is_one_peak_and_the_first_in_reading_order():
    values = np.zeros((40, 40))
    values[5:9, 6:12] = values[30, 30] = 1
    assert found(values)[:, :2].tolist() == [[6, 5], [30, 30]]


def test_a_plateau_longer_than_the_window_is_one_peak():
    values = np.zeros((12, 90))
    values[4:6] = 1
    assert len(found(values)) == 1


def test_without_values_there_are_no_peaks():
    assert found(np.zeros((8, 8)), min_value=0).shape == (0, 3)
    assert peaks_of(np.zeros((0, 8, 8), np.float16), np.zeros(0, int), 8, 8, ClassifierFindPeaks()).shape == (0, 4)


@pytest.mark.parametrize("size", [(30, 40), (59, 83)])
def test_stored_maps_are_resized_and_their_peaks_are_of_their_class(size):
    maps = np.random.default_rng(0).random((2, 30, 40)).astype(np.float16)
    chosen = ClassifierFindPeaks(kernel=5)
    full = functional.interpolate(torch.from_numpy(maps)[None].float(), size, mode="bilinear")[0].numpy()
    peaks = peaks_of(maps, np.array([4, 2]), *size, chosen)
    own = [find_peaks(values, chosen) for values in full]
    assert all(len(rows) > 9 for rows in own) and peaks.dtype == np.float32
    np.testing.assert_array_equal(peaks[:, [0, 1, 3]], np.concatenate(own))
    assert peaks[:, 2].tolist() == [4] * len(own[0]) + [2] * len(own[1])
