"""Which regions are learned, and which are predicted, against loops over drawn masks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proposal_sets import pixels, random_proposals
from pydantic import ValidationError

from wsis_steps.region_classifier.network import best_regions
from wsis_steps.region_classifier.samples import choose_regions
from wsis_steps.region_classifier.settings import RegionClassifierInfer, RegionClassifierTrain
from wsis_steps.vision.masks import decode, describe, encode

EVERYTHING = 10**6


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


def shared(one, other):
    return (one & other).sum() / min(one.sum(), other.sum())


def drawn(seed, count=12, labels=2):
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(6, 16, 2))
    regions = random_proposals(rng, "regions", count, height, width)
    masks = pixels(regions, height, width)
    own = masks[rng.integers(0, count, labels)] ^ (rng.random((labels, height, width)) < 0.2)
    own[:, 0, 0] = True
    found = describe(encode(own), rng.integers(0, 4, labels), scores=rng.random(labels), weights=rng.random(labels))
    return regions, masks, own, found


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10**6), positive=st.sampled_from([0.3, 0.6]), negative=st.sampled_from([0.1, 0.3]))
def test_regions_on_labels_and_those_that_avoid_them_are_chosen(seed, positive, negative):
    regions, masks, own, labels = drawn(seed)
    wanted = RegionClassifierTrain(positive=positive, negative=negative, background=EVERYTHING)
    chosen = choose_regions(regions, labels, wanted, EVERYTHING, np.random.default_rng(0))
    expected, owners = {}, {}
    for number, mask in enumerate(masks):
        overlaps = [overlap(mask, label) for label in own]
        if max(overlaps) >= positive:
            owners[number] = int(np.argmax(overlaps))
            expected[number] = int(labels.categories[owners[number]]) + 1
        elif max(overlaps) < negative:
            expected[number] = 0
    assert dict(zip(chosen.rows.tolist(), chosen.targets.tolist(), strict=True)) == expected
    for row, weight in zip(chosen.rows.tolist(), chosen.weights, strict=True):
        if row in owners:
            label = owners[row]
            number = sum(other == label for other in owners.values())
            given_weight = max(labels.scores[label], 0.05) * labels.weights[label]
            assert weight == pytest.approx(given_weight / np.sqrt(number), rel=1e-5)
        else:
            assert weight == 1


def test_crowds_are_no_objects_and_ignored_pixels_no_background():
    regions, masks, own, labels = drawn(3, labels=1)
    wanted = RegionClassifierTrain(background=EVERYTHING)
    crowd = replace(labels, crowd=np.ones(1, bool))
    rng = np.random.default_rng(0)
    assert not choose_regions(regions, crowd, wanted, EVERYTHING, rng).targets.any()
    everywhere = replace(labels, ignore=encode(np.ones_like(own))[0])
    assert choose_regions(regions, everywhere, wanted, EVERYTHING, rng).targets.all()


def test_limits_hold():
    regions, *_, labels = drawn(4, count=40)
    rng = np.random.default_rng(0)
    some = choose_regions(regions, labels, RegionClassifierTrain(background=3), EVERYTHING, rng)
    assert (some.targets == 0).sum() == 3
    few = choose_regions(regions, labels, RegionClassifierTrain(positive=0.3), 6, rng)
    assert len(few.rows) == 6 and (few.targets > 0).sum() == 3
    incomplete = choose_regions(regions, labels, RegionClassifierTrain(positive=0.3), 6, rng, complete=False)
    assert incomplete.targets.all() and len(incomplete.rows) == 3
    none = describe([], np.zeros(0, np.int64))
    assert choose_regions(regions, none, RegionClassifierTrain(), EVERYTHING, rng).targets.tolist() == [0] * 40


def test_a_region_cannot_be_both():
    with pytest.raises(ValidationError, match="both"):
        RegionClassifierTrain(positive=0.3, negative=0.5)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), most=st.sampled_from([1, 10]), detections=st.sampled_from([2, 100]))
def test_the_most_probable_regions_that_do_not_overlap_are_predicted(seed, most, detections):
    regions, masks, *_ = drawn(seed)
    probabilities = np.random.default_rng(seed).random((len(masks), 3))
    wanted = RegionClassifierInfer(min_score=0.3, max_overlap=0.4, max_instances=most, detections=detections)
    found = best_regions(probabilities, regions, wanted)
    expected = []
    for category in range(3):
        kept = []
        for row in np.argsort(-probabilities[:, category]):
            far = all(shared(masks[row], masks[other]) < 0.4 for other in kept)
            if far and len(kept) < most and probabilities[row, category] >= 0.3:
                kept.append(row)
        expected += [(probabilities[row, category], category, row) for row in kept]
    expected = sorted(expected, reverse=True)[:detections]
    assert found.categories.tolist() == [category for _, category, _ in expected]
    np.testing.assert_allclose(found.scores, [score for score, *_ in expected], rtol=1e-6)
    drawn_masks = decode(found.rles, *masks.shape[1:]) > 0
    np.testing.assert_array_equal(drawn_masks, masks[[row for *_, row in expected]].reshape(drawn_masks.shape))
