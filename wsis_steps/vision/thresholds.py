"""Thresholds for activation maps, computed from the maps alone, without ground-truth masks."""

import numpy as np


def likely_thresholds(maps: np.ndarray) -> np.ndarray:
    """What maps (k, h, w) in 0..1 must exceed so that the expected overlap with their classes is largest; float32 (k,).

    A value is taken as the probability p that the pixel belongs to the class. The set S above a threshold then has the
    expected intersection sum of p in S, and the expected union |S| + sum of p outside S. Their ratio is largest at one
    of the map's own values, so the exact maximum is found by sorting. A map of zeros gets the
    threshold 1.
    """
    values = -np.sort(-maps.reshape(len(maps), maps[0].size if len(maps) else 1).astype(np.float64), axis=1)
    inside = values.cumsum(axis=1)
    expected = inside / (np.arange(1, values.shape[1] + 1) + inside[:, -1:] - inside)
    best = np.take_along_axis(values, expected.argmax(axis=1)[:, None], axis=1)[:, 0]
    # just below the smallest value of the set, which belongs to it
    return np.where(best > 0, np.nextafter(best.astype(np.float32), np.float32(0)), np.float32(1))
