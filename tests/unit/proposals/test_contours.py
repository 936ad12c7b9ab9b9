"""Contours of known pictures: where they are, how strong, and in which direction."""

import numpy as np
import pytest

from wsis_steps.proposals.contours import SCALES, Gradient, find_contours, gradient_contours, ridge_normals

SIDE = 41
Y, X = np.mgrid[:SIDE, :SIDE] - SIDE // 2


def apart(first: np.ndarray | float, second: float) -> np.ndarray:
    """Angle between directions modulo pi, 0 to pi/2."""
    difference = np.abs(first - second) % np.pi
    return np.minimum(difference, np.pi - difference)


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 4, np.pi / 2, 2.0, 3.0])
def test_gradient_contours_lie_on_an_edge_and_point_across_it(angle):
    distance = np.round(X * np.cos(angle) + Y * np.sin(angle), 9)
    picture = np.where(distance[..., None] > 0, [200, 60, 60], [60, 60, 200]).astype(np.uint8)
    found = gradient_contours(picture)
    assert found.strength.dtype == np.float32 and found.strength.min() >= 0 and found.strength.max() <= 1
    inside = np.abs(X) + np.abs(Y) < SIDE // 2 - 4
    on, far = inside & (np.abs(distance) < 1), inside & (np.abs(distance) > 7)
    assert found.strength[on].min() > 0.8 and found.strength[far].max() < 0.05
    assert apart(found.normal[on], angle).max() < 0.2
    wider = gradient_contours(picture, Gradient(4, 12, 1)).strength
    assert wider[inside & (np.abs(distance) > 3)].max() > found.strength[inside & (np.abs(distance) > 5)].max()


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 4, np.pi / 2, 2.0, 3.0])
def test_normals_of_a_ridge_point_across_it(angle):
    distance = X * np.cos(angle) + Y * np.sin(angle)
    ridge = np.exp(-(distance**2) / 8).astype(np.float32)
    on = (np.abs(distance) < 1) & (np.abs(X) + np.abs(Y) < SIDE // 2 - 4)
    assert apart(ridge_normals(ridge)[on], angle).max() < 0.1


def test_a_plain_picture_has_no_contours():
    assert gradient_contours(np.full((9, 12, 3), 77, np.uint8)).strength.max() < 1e-4


@pytest.mark.parametrize("mode", SCALES)
def test_a_model_sees_the_picture_at_every_scale_and_is_mixed_with_the_gradient(mode):
    picture, shapes = np.zeros((40, 60, 3), np.uint8), []

    def find_edges(seen: np.ndarray) -> np.ndarray:
        shapes.append(seen.shape[:2])
        return np.full(seen.shape[:2], 0.5, np.float32)

    found = find_contours(picture, mode, find_edges, 0.2)
    assert shapes == [(round(40 * scale), round(60 * scale)) for scale in SCALES[mode]]
    sizes = [(round(40 * min(scale, 1)), round(60 * min(scale, 1))) for scale in SCALES[mode]]
    assert [one.strength.shape for one in found] == [one.normal.shape for one in found] == sizes
    assert all(np.allclose(one.strength, 0.4, atol=1e-3) for one in found)  # the gradient's share is 0 here
    assert [one.strength.shape for one in find_contours(picture, mode, None, 0.2)] == sizes


def test_lightness_may_weigh_less_than_color():
    gray, color = (np.full((20, 30, 3), value, np.uint8) for value in (90, (60, 100, 60)))
    gray[:, 15:], color[:, 15:] = 150, (100, 60, 100)
    whole, less = ([gradient_contours(p, Gradient(2, 12, w)).strength.max() for p in (gray, color)] for w in (1, 0.5))
    assert less[0] < 0.75 * whole[0] and less[1] > 0.9 * whole[1]
