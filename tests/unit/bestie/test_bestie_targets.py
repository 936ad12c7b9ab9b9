"""What the heads of BESTIE's network learn from, against a pixel-by-pixel version, by hand, and invariants."""

import bestie_reference as reference
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsis_steps.bestie.grouping import pad_tables, pseudo_instances
from wsis_steps.bestie.targets import draw_centers, gaussian_window, render_targets

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"))]


def rendered(instance_map, rows, weights, channels, points=None, sigma=6):
    """Targets of one image as arrays; rows and points: (n, 3), category, x, y."""
    tables = [None if t is None else torch.from_numpy(pad_tables([np.array(t).reshape(-1, 3)])) for t in (rows, points)]
    padded = torch.zeros(1, max(len(rows), 1))
    padded[0, : len(rows)] = torch.as_tensor(weights)
    maps = torch.from_numpy(np.asarray(instance_map, np.int32))[None]
    return [part[0].numpy() for part in render_targets(maps, tables[0], padded, channels, tables[1], sigma)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("with_points", [False, True])
def test_targets_are_those_of_the_literal_rule(with_points, device):
    scenes = [reference.scene(seed) for seed in range(4)]
    cues = [np.array([(*point, 1) for point in scene[5]]) for scene in scenes]
    found = [pseudo_instances(scene[0], own, scene[4], 50) for scene, own in zip(scenes, cues, strict=True)]
    assert sum(one.accepted for one in found) > 4
    tables = pad_tables([np.column_stack([one.categories, one.centers]) for one in found])
    weights = np.random.default_rng(0).random(tables.shape[:2]).astype(np.float32)
    arrays = [np.stack([one.instance_map for one in found]), tables, weights]
    points = pad_tables([np.array(scene[5])[:, [2, 0, 1]] for scene in scenes])
    given_points = torch.from_numpy(points).to(device) if with_points else None
    made = render_targets(*(torch.from_numpy(array).to(device) for array in arrays), 4, given_points, 6)
    for b, (semantic, _, _, _, tags, drawn) in enumerate(scenes):
        given_here = drawn if with_points else None
        literal = reference.pseudo_labels(semantic, cues[b], np.flatnonzero(tags), 4, center_points=given_here)[2]
        weight = np.append(0, weights[b])[found[b].instance_map]
        for mine, expected in zip(made, (*literal[:2], weight), strict=True):
            assert mine.dtype == torch.float32
            np.testing.assert_allclose(mine[b].cpu().numpy(), expected, atol=2e-6)


def test_one_channel_holds_the_maximum_over_classes():
    instance_map = np.zeros((40, 60), np.int32)
    instance_map[2:10, 2:10], instance_map[2:10, 10:18] = 1, 2
    table = instance_map, [(0, 5, 5), (2, 13, 5)], [1, 1]
    one, many = rendered(*table, 1)[0], rendered(*table, 3)[0]
    assert one.shape == (1, 40, 60) and np.array_equal(one[0], many.max(axis=0))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_offsets_lead_from_every_labelled_pixel_to_its_center(seed):
    rng = np.random.default_rng(seed)
    instance_map = rng.integers(0, 4, (9, 11))
    rows = np.column_stack([rng.integers(0, 3, 3), rng.integers(0, 11, 3), rng.integers(0, 9, 3)])
    _, offsets, weight = rendered(instance_map, rows, [1, 1, 1], 3)
    y, x = np.nonzero(instance_map)
    ends = np.stack([x + offsets[1, y, x], y + offsets[0, y, x]], axis=1)
    assert np.array_equal(ends, rows[instance_map[y, x] - 1, 1:])
    assert not offsets[:, instance_map == 0].any() and np.array_equal(weight, instance_map > 0)


def test_gaussian_has_the_released_window():
    dy, dx, values = gaussian_window(6)
    assert len(values) == 39**2 and values.max() == 1 and dy.max() == 19
    assert values[(dy == 6) & (dx == 0)] == pytest.approx(np.exp(-0.5))


def test_heat_is_cut_at_the_border_and_skips_points_outside():
    points = [(0, 0, 0), (0, -1, 5), (0, 60, 5), (1, 59, 39)]
    heat, _, _ = rendered(np.zeros((40, 60)), [], [], 2, points, 2.5)
    assert heat[0, 0, 0] == 1 and heat[1, 39, 59] == 1
    assert np.count_nonzero(heat[0]) == 9**2 and heat.shape == (2, 40, 60)  # radius 8


def test_no_instances_give_empty_targets():
    made = rendered(np.zeros((40, 60)), [], [], 3)
    assert not any(part.any() for part in made) and made[0].shape == (3, 40, 60)


def test_drawn_centers_are_the_gaussians_of_each_image():
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.integers(0, n, 30) for n in (2, 3, 50, 70)])
    heat = draw_centers(torch.from_numpy(points), (2, 3, 50, 70), 4)
    expected = np.zeros(heat.shape)
    for image, channel, y, x in points:
        reference.draw(expected[image, channel], y, x, 4)
    np.testing.assert_allclose(heat.numpy(), expected, atol=1e-6)
