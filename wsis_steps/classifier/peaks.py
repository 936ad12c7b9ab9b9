"""The peaks of activation maps: cues of where instances are."""

import cv2
import numpy as np

from wsis_steps.classifier.settings import ClassifierFindPeaks


def find_peaks(values: np.ndarray, settings: ClassifierFindPeaks) -> np.ndarray:
    """The peaks of a smoothed activation map, highest first; equal ones in reading order.

    A peak equals the maximum of the window around it. If several equal peaks share a window (a plateau), the first in
    reading order is kept; the released code of BESTIE keeps them all.

    Args:
        values: float32 (h, w), in 0..1.
        settings: the mean filter pads with 0, and 1 is none; the `top_k` highest peaks are kept. Zero is never a peak.

    Returns:
        float32 (n, 3) with rows (x, y, confidence): pixel indices and the smoothed value.
    """
    values = _smooth(values, settings.smoothing)
    highest = cv2.dilate(values, np.ones((settings.kernel, settings.kernel), np.uint8))
    peaks = values == highest
    peaks &= values >= max(np.float32(settings.min_value), np.finfo(np.float32).smallest_subnormal)
    places = np.flatnonzero(_first_in_window(peaks, settings.kernel))
    confidence = values.ravel()[places]
    kept = np.argsort(-confidence, kind="stable")[: settings.top_k]
    rows, columns = np.divmod(places[kept], values.shape[1])
    return np.stack([columns, rows, confidence[kept]], axis=1).astype(np.float32)


def _smooth(values: np.ndarray, window: int) -> np.ndarray:
    """The mean of the square window around each pixel; summed in reading order, so that equal windows stay equal."""
    height, width = values.shape
    edge = window // 2
    padded = cv2.copyMakeBorder(values, edge, edge, edge, edge, cv2.BORDER_CONSTANT)
    total = padded[:height, :width].copy()
    for row, column in list(np.ndindex(window, window))[1:]:
        total += padded[row : row + height, column : column + width]
    total /= np.float32(window * window)
    return total


def _first_in_window(peaks: np.ndarray, window: int) -> np.ndarray:
    """The peaks, bool (h, w), that have no peak before them, in reading order, in the square window around them."""
    reach = window // 2
    if not reach:
        return peaks
    marks, before = peaks.view(np.uint8), np.zeros(peaks.shape, np.uint8)
    before[1:] = cv2.dilate(marks, np.ones((reach, window), np.uint8), anchor=(reach, reach - 1))[:-1]
    before[:, 1:] |= cv2.dilate(marks, np.ones((1, reach), np.uint8), anchor=(reach - 1, 0))[:, :-1]
    return peaks & (before == 0)
