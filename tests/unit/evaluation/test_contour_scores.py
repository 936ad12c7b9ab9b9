"""The F-measure of edge maps against counts by plain loops, and thinning against ridges known in advance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsis_steps.proposals.contour_scores import LEVELS, TOLERANCE, best_f_measure, thin


def ridge(height, width, angle, offset=0.0, spread=1.5):
    """A Gaussian ridge through the middle; `angle` of its normal. Gives the map and the distance to its crest."""
    rows, columns = np.mgrid[:height, :width]
    distance = (columns - width / 2) * np.cos(angle) + (rows - height / 2) * np.sin(angle) - offset
    return np.exp(-(distance**2) / (2 * spread**2)).astype(np.float32), np.abs(distance)


@pytest.mark.parametrize("angle", np.linspace(0, np.pi, 7)[:-1])
def test_thinning_keeps_the_crest_and_nothing_else(angle):
    edges, distance = ridge(60, 70, angle, offset=0.3)
    kept = (thin(edges) > 0.1)[8:-8, 8:-8]
    distance = distance[8:-8, 8:-8]
    assert kept[distance <= 0.3].all() and not kept[distance > 1].any()


def test_thinning_changes_no_value_that_it_keeps():
    edges = np.random.default_rng(0).random((40, 50), dtype=np.float32)
    thinned = thin(edges)
    np.testing.assert_array_equal(thinned[thinned > 0], edges[thinned > 0])


def bare_f_measure(pairs):
    """Thresholds, pixels and distances one by one."""
    best = (0.0, 0.0, 0.0)
    pairs = [(thin(edges), boundaries) for edges, boundaries in pairs]
    for k in range(1, LEVELS):  # every level: the best is not known in advance
        right = edge_pixels = found = boundary_pixels = 0
        for thinned, boundaries in pairs:
            radius = TOLERANCE * np.hypot(*thinned.shape)
            chosen = np.argwhere(np.floor(thinned * LEVELS) >= k)
            drawn = [np.argwhere(boundary) for boundary in boundaries]
            distances = [np.linalg.norm(chosen[:, None] - one[None], axis=2) for one in drawn]
            near = np.zeros(len(chosen), bool)
            for distance in distances:
                near |= (distance <= radius).any(axis=1)
                found += (distance <= radius).any(axis=0).sum()
                boundary_pixels += distance.shape[1]
            right, edge_pixels = right + near.sum(), edge_pixels + len(chosen)
        if right and found:
            precision, recall = right / edge_pixels, found / boundary_pixels
            best = max(best, (2 * precision * recall / (precision + recall), precision, recall))
    return best


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10**6))
def test_the_measure_is_that_of_plain_counting(seed):
    rng = np.random.default_rng(seed)
    pairs = []
    for height, width in ((160, 240), (200, 120)):  # tolerances of 2.2 and 1.7 pixels
        edges = ridge(height, width, rng.uniform(0, np.pi))[0] * np.float32(rng.uniform(0.3, 0.99))
        edges = np.minimum(edges + rng.random(edges.shape, dtype=np.float32) * 0.05, 0.999).astype(np.float32)
        boundaries = np.zeros((2, height, width), np.uint8)
        for boundary in boundaries:
            boundary[ridge(height, width, rng.uniform(0, np.pi))[1] < 0.6] = 1
        pairs.append((edges, boundaries))
    np.testing.assert_allclose(best_f_measure(pairs)[0], bare_f_measure(pairs)[0], rtol=1e-6)


def test_the_right_contour_scores_one_and_none_scores_zero():
    edges, distance = ridge(80, 90, 0.0)
    boundaries = (distance < 0.5)[None].astype(np.uint8)
    assert best_f_measure([(edges * np.float32(0.9), boundaries)]) == (1.0, 1.0, 1.0)
    assert best_f_measure([(np.zeros_like(edges), boundaries)])[0] == 0.0
