"""Components, pseudo instances and targets of BESTIE against a pixel-by-pixel version, by hand, and invariants."""

import bestie_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from wsis_steps.bestie.grouping import (
    gaussian_window,
    group,
    heatmaps,
    pad_tables,
    pseudo_instances,
    semantic_components,
    targets,
)

TAGS = np.array([True, True, False])
SMALL_MAPS = arrays(np.uint8, (9, 11), elements=st.sampled_from([0, 0, 1, 2, 3, 255]))


def no_cues():
    return np.zeros((0, 4))


def squares(*places, side=8, shape=(40, 60)):
    """A map with one square for each (y, x, value)."""
    semantic = np.zeros(shape, np.uint8)
    for y, x, value in places:
        semantic[y : y + side, x : x + side] = value
    return semantic


def random_cues(seed, points, shape):
    """Cues at the centers of some ellipses, at random pixels, and outside."""
    rng = np.random.default_rng(seed)
    kept = [(x + rng.random(), y + rng.random(), c, 1) for x, y, c in points if rng.random() < 0.7]
    wild = [(rng.uniform(-9, shape[1] + 9), rng.uniform(-9, shape[0] + 9), rng.integers(4), 1) for _ in range(8)]
    return np.array([*kept, *wild], dtype=float)


@pytest.mark.parametrize("seed", range(8))
def test_pseudo_instances_are_those_of_the_literal_rule(seed):
    semantic, _, _, _, tags, points = reference.scene(seed)
    cues = random_cues(seed, points, semantic.shape)
    found = pseudo_instances(semantic, cues, tags)
    accepted, counts, _ = reference.pseudo_labels(semantic, cues, np.flatnonzero(tags), 4)
    assert {name: getattr(found, name) for name in counts} == counts
    masks = {
        (int(c), (int(y), int(x)), frozenset(zip(*np.nonzero(found.instance_map == k), strict=True)))
        for k, (c, (x, y)) in enumerate(zip(found.categories, found.centers, strict=True), 1)
    }
    assert masks == {(c, center, frozenset(pixels)) for c, center, pixels in accepted}


def test_random_scenes_have_components_of_every_kind():
    totals = dict.fromkeys(("accepted", "empty", "ambiguous", "small"), 0)
    for seed in range(8):
        semantic, _, _, _, tags, points = reference.scene(seed)
        found = pseudo_instances(semantic, random_cues(seed, points, semantic.shape), tags)
        totals = {name: total + getattr(found, name) for name, total in totals.items()}
    assert min(totals.values()) >= 3


def test_one_cue_accepts_none_and_two_do_not():
    semantic = squares((2, 2, 1), (2, 20, 1), (2, 40, 1))
    cues = np.array([[5, 5, 0, 1], [41, 3, 0, 1], [45, 8, 0, 1]])
    found = pseudo_instances(semantic, cues, TAGS)
    assert (found.accepted, found.empty, found.ambiguous, found.small) == (1, 1, 1, 0)
    assert np.array_equal(found.instance_map > 0, squares((2, 2, 1)) > 0)
    assert found.centers.tolist() == [[5, 5]]  # 5.5, 5.5 truncated


def test_a_cue_counts_only_in_a_component_of_its_class():
    semantic = squares((2, 2, 1), (2, 10, 2))
    cues = np.array([[5, 5, 0, 1], [6, 6, 1, 1], [12, 5, 1, 1], [12, 6, 0, 1]])
    found = pseudo_instances(semantic, cues, TAGS)
    assert found.accepted == 2 and found.categories.tolist() == [0, 1]


def test_a_cue_lies_in_the_pixel_whose_middle_is_nearest():
    semantic = squares((2, 2, 1))
    for x, y, accepted in ((9.4, 9.4, 1), (9.6, 5, 0), (1.6, 2.0, 1), (1.4, 5, 0), (-0.6, 5, 0), (60, 40, 0)):
        assert pseudo_instances(semantic, np.array([[x, y, 0, 1]]), TAGS).accepted == accepted


def test_components_below_the_area_are_counted_and_left_out():
    semantic = squares((2, 2, 1), side=7)
    semantic[9, 2] = 1  # 50 pixels
    assert pseudo_instances(semantic, np.array([[4, 4, 0, 1]]), TAGS).accepted == 1
    semantic[9, 2] = 0
    found = pseudo_instances(semantic, np.array([[4, 4, 0, 1]]), TAGS)
    assert (found.accepted, found.small, found.components.map.any()) == (0, 1, False)


def test_components_join_over_corners_and_not_over_classes_or_unsure_pixels():
    semantic = squares((2, 2, 1), (10, 10, 1), (18, 2, 2))
    semantic[5, 2:10] = 255
    assert len(semantic_components(semantic, TAGS, 1).table) == 3


def test_untagged_classes_have_no_components():
    assert not semantic_components(squares((2, 2, 3)), TAGS).map.any()


@settings(max_examples=60, deadline=None)
@given(SMALL_MAPS, st.integers(1, 4))
def test_components_are_those_of_scipy(semantic, min_area):
    found = semantic_components(semantic, np.array([True, True, True]), min_area)
    seen = np.zeros(semantic.shape, bool)
    for k, (category, x, y) in enumerate(found.table, 1):
        mask = found.map == k
        seen |= mask
        labels, _ = ndimage.label(semantic == category + 1, np.ones((3, 3)))
        assert mask.sum() >= min_area and np.array_equal(mask, labels == labels[mask][0])
        assert (y, x) == tuple(int(np.nonzero(mask)[axis].mean() + 1e-9) for axis in (0, 1))
    areas = [np.bincount(ndimage.label(semantic == c, np.ones((3, 3)))[0].ravel())[1:] for c in (1, 2, 3)]
    areas = np.concatenate(areas)
    assert seen.sum() == areas[areas >= min_area].sum() and found.small == (areas < min_area).sum()


@pytest.mark.parametrize("seed", range(4))
def test_targets_are_those_of_the_literal_rule(seed):
    semantic, _, _, _, tags, points = reference.scene(seed)
    cues = random_cues(seed, points, semantic.shape)
    found = pseudo_instances(semantic, cues, tags)
    made = targets(found.instance_map, found.categories, found.centers, np.ones(found.accepted), 4)
    _, _, expected = reference.pseudo_labels(semantic, cues, np.flatnonzero(tags), 4)
    for mine, literal in zip(made, expected, strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_allclose(mine, literal, atol=1e-6)


def test_given_points_replace_the_centers_in_the_heat_alone():
    semantic, _, _, _, tags, points = reference.scene(3)
    cues = np.array([(*p, 1) for p in points])
    found = pseudo_instances(semantic, cues, tags)
    made = targets(found.instance_map, found.categories, found.centers, np.ones(found.accepted), 4, np.array(points))
    _, _, expected = reference.pseudo_labels(semantic, cues, np.flatnonzero(tags), 4, center_points=points)
    for mine, literal in zip(made, expected, strict=True):
        np.testing.assert_allclose(mine, literal, atol=1e-6)


def test_class_agnostic_heat_is_the_maximum_over_classes():
    instance_map = squares((2, 2, 1), (2, 10, 2)).astype(np.int32)
    table = instance_map, np.array([0, 2]), np.array([[5, 5], [13, 5]]), np.ones(2)
    one, many = targets(*table, 3, class_agnostic=True), targets(*table, 3)
    assert one.centers.shape == (1, 40, 60)
    assert np.array_equal(one.centers[0], many.centers.max(axis=0))


def test_weights_belong_to_instances():
    instance_map = squares((2, 2, 1), (2, 20, 2)).astype(np.int32)
    made = targets(instance_map, np.array([0, 0]), np.array([[5, 5], [23, 5]]), np.array([0.25, 0.5]), 1)
    assert made.weight[4, 4] == 0.25 and made.weight[4, 22] == 0.5 and made.weight.sum() == 64 * 0.75


@settings(max_examples=40, deadline=None)
@given(SMALL_MAPS, st.integers(0, 2**32 - 1))
def test_offsets_lead_from_every_labelled_pixel_to_its_center(semantic, seed):
    rng = np.random.default_rng(seed)
    cues = np.column_stack([rng.uniform(0, 11, 6), rng.uniform(0, 9, 6), rng.integers(0, 3, 6), np.ones(6)])
    found = pseudo_instances(semantic, cues, np.array([True] * 3), min_area=2)
    made = targets(found.instance_map, found.categories, found.centers, np.ones(found.accepted), 3)
    y, x = np.nonzero(found.instance_map)
    ends = np.stack([x + made.offsets[1, y, x], y + made.offsets[0, y, x]], axis=1)
    assert np.array_equal(ends, found.centers[found.instance_map[y, x] - 1])
    assert not made.offsets[:, found.instance_map == 0].any()
    assert np.array_equal(made.weight, found.instance_map > 0)


def test_gaussian_has_the_released_window():
    dy, dx, values = gaussian_window(6)
    assert len(values) == 39**2 and values.max() == 1 and dy.max() == 19
    assert values[(dy == 6) & (dx == 0)] == pytest.approx(np.exp(-0.5))


def test_heat_is_cut_at_the_border_and_skips_points_outside():
    heatmap = heatmaps(np.array([[0, 0, 0], [-1, 5, 0], [60, 5, 0], [59.4, 39.2, 1]]), 2, (40, 60), sigma=2.5)
    assert heatmap[0, 0, 0] == 1 and heatmap[1, 39, 59] == 1
    assert np.count_nonzero(heatmap[0]) == 9**2 and heatmap.shape == (2, 40, 60)  # radius 8


def test_no_instances_give_empty_targets():
    found = pseudo_instances(squares((2, 2, 1)), no_cues(), TAGS)
    made = targets(found.instance_map, found.categories, found.centers, np.ones(0), 3)
    assert not any(part.any() for part in made) and made.centers.shape == (3, 40, 60)


def test_tables_are_padded_with_minus_one():
    padded = pad_tables([np.array([[1, 2, 3]]), np.zeros((0, 3)), np.array([[4, 5, 6], [7, 8, 9]])])
    assert padded.tolist() == [[[1, 2, 3], [-1] * 3], [[-1] * 3] * 2, [[4, 5, 6], [7, 8, 9]]]
    assert pad_tables([np.zeros((0, 3))]).shape == (1, 1, 3)


@pytest.mark.parametrize("seed", range(3))
def test_pixels_go_to_the_nearest_center(seed):
    rng = np.random.default_rng(seed)
    offsets, mask = rng.normal(0, 6, (2, 12, 15)), rng.random((12, 15)) < 0.7
    centers = np.column_stack([rng.integers(0, 15, 5), rng.integers(0, 12, 5)])
    pixels = list(zip(*np.nonzero(mask), strict=True))
    grouped = group(offsets, centers, mask)
    for k, part in enumerate(reference.assign(offsets, pixels, [(y, x) for x, y in centers]), 1):
        assert set(zip(*np.nonzero(grouped == k), strict=True)) == set(part)
    assert not grouped[~mask].any()


def test_of_equally_near_centers_the_first_wins():
    grouped = group(np.zeros((2, 1, 3)), np.array([[2, 0], [0, 0]]), np.ones((1, 3), bool))
    assert grouped.tolist() == [[2, 1, 1]]


def test_without_centers_nothing_is_grouped():
    assert not group(np.zeros((2, 4, 4)), np.zeros((0, 2)), np.ones((4, 4), bool)).any()
