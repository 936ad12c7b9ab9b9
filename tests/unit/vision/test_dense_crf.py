"""The dense CRF against mean-field inference with exact kernels, and in closed form."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wsis_steps.vision.dense_crf import DenseField
from wsis_steps.vision.settings import DenseCrf

HEIGHT, WIDTH, COUNT = 20, 26, 3
SETTINGS = DenseCrf(bilateral_sxy=8, bilateral_srgb=20, crf_iterations=3)


def example(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A picture of two flat halves with noise, and noisy probabilities that favor class 1 on the left."""
    rng = np.random.default_rng(seed)
    left = np.arange(WIDTH) < WIDTH // 2
    picture = np.where(left[None, :, None], 60, 180) + rng.normal(0, 6, (HEIGHT, WIDTH, 3))
    logits = rng.normal(0, 1.5, (COUNT, HEIGHT, WIDTH))
    logits[1] += np.where(left, 1.5, 0)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=0)
    return picture.clip(0, 255).astype(np.uint8), probabilities


def kernel(features: np.ndarray) -> np.ndarray:
    """Gaussian kernel (n, n) of features (n, d), divided by the roots of its row and column sums."""
    weights = np.exp(-((features[:, None] - features[None]) ** 2).sum(axis=2) / 2)
    roots = np.sqrt(weights.sum(axis=1))
    return weights / roots[:, None] / roots


def mean_field(picture: np.ndarray, probabilities: np.ndarray, settings: DenseCrf) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH].reshape(2, -1)
    places = np.stack([x, y], axis=1)
    colors = picture.reshape(-1, 3) / settings.bilateral_srgb
    total = settings.gaussian_weight * kernel(places / settings.gaussian_sxy)
    total += settings.bilateral_weight * kernel(np.hstack([places / settings.bilateral_sxy, colors]))
    unary = np.log(probabilities.reshape(COUNT, -1))
    current = probabilities.reshape(COUNT, -1)
    for _ in range(settings.crf_iterations):
        current = np.exp(unary + current @ total - (unary + current @ total).max(axis=0))
        current /= current.sum(axis=0)
    return current.reshape(COUNT, HEIGHT, WIDTH)


def test_equals_exact_mean_field_up_to_the_lattice():
    picture, probabilities = example()
    found = DenseField(picture, COUNT, SETTINGS).refine_probabilities(probabilities)
    expected = mean_field(picture, probabilities, SETTINGS)
    assert np.abs(found - expected).mean() < 0.02
    assert (found.argmax(axis=0) == expected.argmax(axis=0)).mean() > 0.97
    changed = (probabilities.argmax(axis=0) != expected.argmax(axis=0)).mean()
    assert changed > 0.2  # so the agreement is not that of an inference that does nothing


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_without_kernels_the_probabilities_stay(seed):
    picture, probabilities = example(seed)
    flat = DenseCrf(gaussian_weight=0, bilateral_weight=0)
    found = DenseField(picture, COUNT, flat).refine_probabilities(probabilities)
    np.testing.assert_allclose(found, probabilities, atol=2e-4)


def test_inferences_with_the_same_kernels_do_not_touch_each_other():
    picture, probabilities = example()
    _, others = example(1)
    field = DenseField(picture, COUNT, SETTINGS)
    first = field.refine_probabilities(probabilities)
    kept = first.copy()
    field.refine_probabilities(others)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(field.refine_probabilities(probabilities), kept)


def test_a_hole_in_a_flat_region_is_filled_and_an_edge_is_kept():
    picture, _ = example()
    labels = np.repeat((np.arange(WIDTH) < WIDTH // 2)[None], HEIGHT, axis=0).astype(np.int64)
    truth = labels.copy()
    labels[8:10, 4:6] = 0
    np.testing.assert_array_equal(DenseField(picture, 2, SETTINGS).refine_labels(labels, 0.8), truth)


def test_impossible_classes_stay_finite():
    picture, probabilities = example()
    probabilities[0], probabilities[2] = 0, 1 - probabilities[1]
    assert np.isfinite(DenseField(picture, COUNT, SETTINGS).refine_probabilities(probabilities)).all()
