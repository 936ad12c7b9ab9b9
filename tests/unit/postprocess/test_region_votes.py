"""Class maps pooled over regions, against loops over pixels and over all sets of superpixels."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proposal_sets import pixels, random_proposals

from wsis_steps.postprocess.pool_over_regions import label
from wsis_steps.postprocess.region_votes import label_superpixels, most_likely_extent, vote
from wsis_steps.postprocess.settings import PostprocessPoolOverRegions
from wsis_steps.vision.region_means import region_sums, superpixel_sums, with_background
from wsis_steps.vision.regions import RegionProposals


def random_probabilities(rng, count, height, width):
    drawn = rng.random((count, height, width)).astype(np.float32) + 0.01
    return drawn / drawn.sum(axis=0)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(0, 8), confidence=st.sampled_from([0.0, 2.0, 10.0]), seed=st.integers(0, 10**6))
def test_votes_are_the_weighted_means_of_the_regions_that_hold_a_pixel(count, confidence, seed):
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(5, 20, 2))
    regions = random_proposals(rng, "regions", count, height, width)
    probabilities = random_probabilities(rng, 3, height, width)
    found = vote(superpixel_sums(probabilities, regions), regions, confidence)[:, regions.superpixels]
    masks = pixels(regions, height, width)
    means = [probabilities[:, mask].mean(axis=1) for mask in masks]
    for y, x in rng.integers((height, width), size=(10, 2)):
        holding = [mean for mask, mean in zip(masks, means, strict=True) if mask[y, x]]
        weights = [np.exp(confidence * mean.max()) for mean in holding]
        own = probabilities[:, regions.superpixels == regions.superpixels[y, x]].mean(axis=1)
        wanted = np.average(holding, axis=0, weights=weights) if holding else own
        np.testing.assert_allclose(found[:, y, x], wanted, atol=1e-4)


def test_sums_over_regions_are_those_of_their_pixels():
    rng = np.random.default_rng(0)
    regions, maps = random_proposals(rng, "regions", 5, 14, 17), rng.random((2, 14, 17)).astype(np.float32)
    sums = region_sums(superpixel_sums(maps, regions), regions)
    wanted = [[own[mask].sum() for mask in pixels(regions, 14, 17)] for own in maps]
    np.testing.assert_allclose(sums, wanted, rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 9), missed=st.sampled_from([0.0, 0.5, 1.0]), seed=st.integers(0, 10**6))
def test_no_set_of_superpixels_has_a_larger_expected_overlap(count, missed, seed):
    rng = np.random.default_rng(seed)
    probabilities, sizes = rng.random(count), rng.integers(1, 50, count).astype(float)

    def expected(chosen):
        inside = (probabilities * sizes)[chosen].sum()
        return inside / (sizes[chosen].sum() + missed * ((probabilities * sizes).sum() - inside))

    found = expected(most_likely_extent(probabilities, sizes, missed))
    every = (list(some) for size in range(1, count + 1) for some in combinations(range(count), size))
    assert found == pytest.approx(max(map(expected, every)))


def test_a_class_that_is_nowhere_gets_nothing():
    assert not most_likely_extent(np.zeros(4), np.ones(4), 0.5).any()
    assert not label_superpixels(np.array([[1.0, 1.0], [0.0, 0.0]]), np.ones(2), 1.5, 0.5).any()
    assert not label_superpixels(np.ones((1, 3)), np.ones(3), 1.5, 0.5).any()


def test_each_image_has_a_threshold_of_its_own():
    faint = np.array([[0.75, 0.98, 0.99], [0.25, 0.02, 0.01]])
    certain = np.array([[0.02, 0.75, 0.98], [0.98, 0.25, 0.02]])
    assert label_superpixels(faint, np.ones(3), 1, 1).tolist() == [1, 0, 0]
    assert label_superpixels(certain, np.ones(3), 1, 1).tolist() == [1, 0, 0]


def test_where_extents_meet_the_more_probable_class_wins():
    probabilities = np.array([[0.1, 0.1, 0.1], [0.8, 0.5, 0.1], [0.1, 0.4, 0.8]])
    assert label_superpixels(probabilities, np.ones(3), 1, 0.5).tolist() == [1, 1, 2]


def test_a_power_above_1_leaves_out_what_is_unsure():
    probabilities = np.array([[0.1, 0.4, 0.9], [0.9, 0.6, 0.1]])
    assert label_superpixels(probabilities, np.ones(3), 1, 0.5).tolist() == [1, 1, 0]
    assert label_superpixels(probabilities, np.ones(3), 3, 0.5).tolist() == [1, 0, 0]


def test_background_is_what_classes_leave_but_never_less_than_asked():
    maps = np.array([[[0.2, 0.9]], [[0.1, 0.9]]], dtype=np.float16)
    np.testing.assert_allclose(with_background(maps, 0)[:, 0], [[0.7, 0], [0.2, 0.5], [0.1, 0.5]], atol=1e-3)
    np.testing.assert_allclose(with_background(maps, 0.2)[:, 0, 1], np.array([0.2, 0.9, 0.9]) / 2, atol=1e-3)


def test_a_blurred_map_gets_the_outline_of_the_region_below_it():
    """A disc and what is around it, and a map of the disc at an eighth of the size."""
    y, x = np.mgrid[:64, :64]
    disc = np.hypot(y - 30, x - 34) < 17
    superpixels = np.unique(y // 4 * 16 + x // 4 + 256 * disc, return_inverse=True)[1].reshape(64, 64).astype(np.int32)
    inside = np.zeros(superpixels.max() + 1, dtype=bool)
    inside[superpixels[disc]] = True
    members = np.stack([inside, ~inside])
    regions = RegionProposals(np.zeros((2, 4), np.float32), np.ones(2, np.float32), superpixels, members)
    coarse = 0.8 * disc.reshape(8, 8, 8, 8).mean(axis=(1, 3), dtype=np.float32)
    found = label(coarse[None], np.array([6]), regions, 0.2, PostprocessPoolOverRegions())
    np.testing.assert_array_equal(found, np.where(disc, 7, 0))


def test_an_image_without_tags_is_background():
    regions = random_proposals(np.random.default_rng(0), "regions", 3, 8, 9)
    found = label(np.zeros((0, 8, 9), np.float16), np.zeros(0, int), regions, 0.2, PostprocessPoolOverRegions())
    assert found.shape == (8, 9) and not found.any()
