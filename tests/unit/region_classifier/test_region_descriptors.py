"""Descriptors of regions, against maps that torch enlarges and masks that are drawn."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from proposal_sets import pixels, random_proposals
from torch.nn import functional

from wsis_steps.region_classifier.descriptors import describe_regions, length


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 6))
def test_descriptors_are_means_over_the_pixels_of_enlarged_maps(seed, count):
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(5, 40, 2))
    regions = random_proposals(rng, "regions", count, height, width)
    maps = [rng.normal(size=(3, *rng.integers(1, 12, 2))).astype(np.float16) for _ in range(2)]
    found = describe_regions(maps, regions)
    assert found.shape == (count, length(3)) and found.dtype == np.float32

    full = sum(
        functional.interpolate(torch.from_numpy(one)[None].double(), (height, width), mode="bilinear")[0].numpy() / 2
        for one in maps
    )
    for row, mask, box in zip(found, pixels(regions, height, width), regions.boxes, strict=True):
        inside, outside = full[:, mask].mean(axis=1), full[:, ~mask]
        np.testing.assert_allclose(row[:3], inside, atol=1e-3)
        np.testing.assert_allclose(row[3:6], outside.mean(axis=1) if outside.size else 0, atol=2e-2)
        sides = (box[2] - box[0]) / width, (box[3] - box[1]) / height
        np.testing.assert_allclose(row[6:9], [np.sqrt(mask.mean()), *sides], rtol=1e-5)
        np.testing.assert_allclose(row[9], mask.mean() / np.prod(sides), rtol=1e-4)
    np.testing.assert_array_equal(found[:, 10], regions.scores)


def test_an_image_without_regions_has_no_descriptors():
    rng = np.random.default_rng(0)
    regions = random_proposals(rng, "regions", 0, 8, 9)
    assert describe_regions([rng.normal(size=(3, 2, 2))], regions).shape == (0, length(3))


def test_large_images_are_sampled(monkeypatch):
    rng = np.random.default_rng(0)
    regions = random_proposals(rng, "regions", 4, 240, 180)
    maps = [rng.normal(size=(3, 4, 3)).astype(np.float16)]
    whole = describe_regions(maps, regions)
    monkeypatch.setattr("wsis_steps.region_classifier.descriptors.LONGEST", 100)
    np.testing.assert_allclose(describe_regions(maps, regions), whole, atol=0.05)
