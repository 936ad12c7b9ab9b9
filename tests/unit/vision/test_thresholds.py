"""Thresholds of activation maps against trying them all."""

import numpy as np

from wsis_steps.vision.thresholds import likely_thresholds


def expected_overlap(p: np.ndarray, threshold: float) -> float:
    inside = p[p > threshold]
    return inside.sum() / (len(inside) + p[p <= threshold].sum())


def test_no_other_threshold_has_a_larger_expected_overlap() -> None:
    rng = np.random.default_rng(0)
    maps = np.stack([rng.random((9, 11)) ** power for power in (0.3, 1, 4, 12)])
    found = likely_thresholds(maps)
    for p, threshold in zip(maps, found, strict=True):
        p = p.ravel()
        best = max(expected_overlap(p, value) for value in [*p, 0])
        assert np.isclose(expected_overlap(p, threshold), best)


def test_sure_pixels_are_found_whatever_is_around_them() -> None:
    p = np.full((1, 20, 20), 0.02)
    p[0, 3:9, 4:12] = 0.9
    assert ((p > likely_thresholds(p)[0]) == (p == 0.9)).all()
    sure = (p == 0.9).astype(np.float16)
    assert ((sure > likely_thresholds(sure)[0]) == (sure == 1)).all()


def test_without_activation_nothing_exceeds_the_threshold() -> None:
    assert likely_thresholds(np.zeros((2, 4, 4))).tolist() == [1, 1]
    assert likely_thresholds(np.zeros((0, 4, 4))).shape == (0,)
