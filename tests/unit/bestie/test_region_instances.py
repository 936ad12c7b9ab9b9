"""First labels from region proposals, against loops over drawn masks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proposal_sets import pixels, random_proposals

from wsis_steps.bestie.region_instances import region_instances
from wsis_steps.bestie.settings import BestieLabel
from wsis_steps.vision.masks import decode
from wsis_steps.vision.regions import RegionProposals, apart


def chosen_one_by_one(maps, categories, masks, wanted):
    """(category, score, mask) of each instance, by loops."""
    total, found = np.maximum(maps.sum(axis=0), 1), []
    for category, own in zip(categories, maps / total, strict=True):
        scored = []
        for number, mask in enumerate(masks):
            precision, recall = own[mask].mean(), own[mask].sum() / own.sum()
            beta = wanted.beta**2
            scored.append(((1 + beta) * precision * recall / (beta * precision + recall), -number))
        best, kept = max(scored)[0], []
        for score, number in sorted(scored, reverse=True):
            mask = masks[-number]
            overlaps = [(mask & other).sum() / (mask | other).sum() for other in kept]
            good = len(kept) < wanted.max_instances and score >= wanted.min_share * best
            if good and all(overlap < wanted.max_overlap for overlap in overlaps):
                kept.append(mask)
                found.append((category, score, mask))
    return found


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 8),
    beta=st.sampled_from([0.3, 1.0]),
    max_overlap=st.sampled_from([0.2, 0.6]),
    min_share=st.sampled_from([0.0, 0.7, 1.0]),
    most=st.sampled_from([1, 10]),
    seed=st.integers(0, 10**6),
)
def test_regions_are_chosen_by_their_f_measure(count, beta, max_overlap, min_share, most, seed):
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(5, 16, 2))
    regions = random_proposals(rng, "regions", count, height, width)
    maps, categories = rng.random((2, height, width)).astype(np.float32), np.array([4, 1])
    wanted = BestieLabel(
        instances="regions", background=0, beta=beta, max_overlap=max_overlap, min_share=min_share, max_instances=most
    )
    found = region_instances(maps, categories, regions, wanted.background, wanted)
    expected = chosen_one_by_one(maps.astype(float), categories, pixels(regions, height, width), wanted)
    assert found.categories.tolist() == [category for category, *_ in expected]
    np.testing.assert_allclose(found.scores, [score for _, score, _ in expected], rtol=1e-4)
    np.testing.assert_array_equal(decode(found.rles, height, width) > 0, [mask for *_, mask in expected])


def test_two_objects_that_touch_are_two_instances():
    """Two squares side by side, proposed one by one and together, under one map of both."""
    superpixels = np.repeat(np.repeat([[0, 1, 2, 0]], 8, axis=0), 8, axis=1).astype(np.int32)
    members = np.array([[0, 1, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]], dtype=bool)
    regions = RegionProposals(np.zeros((4, 4), np.float32), np.ones(4, np.float32), superpixels, members)
    own = np.where(superpixels == 1, 0.9, np.where(superpixels == 2, 0.7, 0.02)).astype(np.float32)
    one_by_one = region_instances(own[None], np.array([3]), regions, 0, BestieLabel(beta=0.1, min_share=0.5))
    assert one_by_one.categories.tolist() == [3, 3] and one_by_one.areas.tolist() == [64, 64]
    together = region_instances(own[None], np.array([3]), regions, 0, BestieLabel(beta=2, min_share=0.5))
    assert together.areas.tolist() == [128]


def test_images_without_classes_or_regions_have_no_instance():
    rng = np.random.default_rng(0)
    regions = random_proposals(rng, "regions", 3, 8, 9)
    assert len(region_instances(np.zeros((0, 8, 9)), np.zeros(0, int), regions, 0.2, BestieLabel())) == 0
    assert len(region_instances(np.zeros((1, 8, 9)), np.array([0]), regions, 0.2, BestieLabel())) == 0
    none = random_proposals(rng, "regions", 0, 8, 9)
    assert len(region_instances(np.ones((1, 8, 9)), np.array([0]), none, 0.2, BestieLabel())) == 0


def test_apart_keeps_the_first_of_masks_that_overlap():
    overlaps = np.array([[1, 0.5, 0.1, 0], [0.5, 1, 0, 0], [0.1, 0, 1, 0.9], [0, 0, 0.9, 1]])
    assert apart(overlaps, 0.3, 10).tolist() == [0, 2]
    assert apart(overlaps, 0.6, 10).tolist() == [0, 1, 2]
    assert apart(overlaps, 0.6, 2).tolist() == [0, 1]
    assert apart(np.ones((3, 3)), 1.0, 10).tolist() == [0]


def test_points_do_not_choose_regions():
    with pytest.raises(ValueError, match="instances: regions is for supervision: tags"):
        BestieLabel(instances="regions", supervision="points")
