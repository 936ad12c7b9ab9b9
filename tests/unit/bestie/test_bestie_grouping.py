"""Components and pseudo instances of BESTIE against a pixel-by-pixel version, by hand, and invariants."""

import bestie_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from wsis_steps.bestie.grouping import pad_tables, pseudo_instances, semantic_components

TAGS = np.array([True, True, False])
SMALL_MAPS = arrays(np.uint8, (9, 11), elements=st.sampled_from([0, 0, 1, 2, 3, 255]))


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
    found = pseudo_instances(semantic, cues, tags, 50)
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
        found = pseudo_instances(semantic, random_cues(seed, points, semantic.shape), tags, 50)
        totals = {name: total + getattr(found, name) for name, total in totals.items()}
    assert min(totals.values()) >= 3


def test_one_cue_accepts_none_and_two_do_not():
    semantic = squares((2, 2, 1), (2, 20, 1), (2, 40, 1))
    cues = np.array([[5, 5, 0, 1], [41, 3, 0, 1], [45, 8, 0, 1]])
    found = pseudo_instances(semantic, cues, TAGS, 50)
    assert (found.accepted, found.empty, found.ambiguous, found.small) == (1, 1, 1, 0)
    assert np.array_equal(found.instance_map > 0, squares((2, 2, 1)) > 0)
    assert found.centers.tolist() == [[5, 5]]  # 5.5, 5.5 truncated


def test_a_cue_counts_only_in_a_component_of_its_class():
    semantic = squares((2, 2, 1), (2, 10, 2))
    cues = np.array([[5, 5, 0, 1], [6, 6, 1, 1], [12, 5, 1, 1], [12, 6, 0, 1]])
    found = pseudo_instances(semantic, cues, TAGS, 50)
    assert found.accepted == 2 and found.categories.tolist() == [0, 1]


def test_a_cue_lies_in_the_pixel_whose_middle_is_nearest():
    semantic = squares((2, 2, 1))
    for x, y, accepted in ((9.4, 9.4, 1), (9.6, 5, 0), (1.6, 2.0, 1), (1.4, 5, 0), (-0.6, 5, 0), (60, 40, 0)):
        assert pseudo_instances(semantic, np.array([[x, y, 0, 1]]), TAGS, 50).accepted == accepted


def test_components_below_the_area_are_counted_and_left_out():
    semantic = squares((2, 2, 1), side=7)
    semantic[9, 2] = 1  # 50 pixels
    assert pseudo_instances(semantic, np.array([[4, 4, 0, 1]]), TAGS, 50).accepted == 1
    semantic[9, 2] = 0
    found = pseudo_instances(semantic, np.array([[4, 4, 0, 1]]), TAGS, 50)
    assert (found.accepted, found.small, found.instance_map.any()) == (0, 1, False)


def test_components_join_over_corners_and_not_over_classes_or_unsure_pixels():
    semantic = squares((2, 2, 1), (10, 10, 1), (18, 2, 2))
    semantic[5, 2:10] = 255
    assert len(semantic_components(semantic, TAGS, 1).table) == 3


def test_untagged_classes_have_no_components():
    assert not semantic_components(squares((2, 2, 3)), TAGS, 50).map.any()


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


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (4, 1), (1, 4)])
def test_pictures_of_a_few_pixels_are_labelled_too(shape):
    semantic = np.full(shape, 2, np.uint8)
    found = pseudo_instances(semantic, np.array([[0, 0, 1, 1.0]]), np.array([True, True]), 1)
    assert (found.instance_map == 1).all() and found.categories.tolist() == [1]
    assert not semantic_components(semantic * 0, np.array([True, True]), 1).map.any()


def test_tables_are_padded_with_minus_one():
    padded = pad_tables([np.array([[1, 2, 3]]), np.zeros((0, 3)), np.array([[4, 5, 6], [7, 8, 9]])])
    assert padded.tolist() == [[[1, 2, 3], [-1] * 3], [[-1] * 3] * 2, [[4, 5, 6], [7, 8, 9]]]
    assert pad_tables([np.zeros((0, 3))]).shape == (1, 1, 3)
