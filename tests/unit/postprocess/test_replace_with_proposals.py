"""Predicted masks become the proposals that overlap them most."""

import numpy as np
import pytest
from artifacts import provenance
from hypothesis import given, settings
from hypothesis import strategies as st
from proposal_sets import pixels, random_proposals, write_proposals

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job
from wsis_steps.postprocess.replace_with_proposals import main, replace_masks
from wsis_steps.postprocess.settings import PostprocessReplaceWithProposals
from wsis_steps.vision.contracts.instances import Instances, write_instances
from wsis_steps.vision.masks import decode, describe, encode
from wsis_steps.vision.regions import MaskProposals

KINDS = ("boxes", "regions", "masks")
CLASSES = ("cat", "dog", "cow")


def random_instances(rng, count, height, width):
    """Noisy rectangles that are not empty, of any class, score and weight."""
    masks = np.zeros((count, height, width), bool)
    for mask in masks:
        y, x = rng.integers(height), rng.integers(width)
        mask[y : y + rng.integers(1, height + 1), x : x + rng.integers(1, width + 1)] = True
        mask &= rng.random(mask.shape) < 0.9
        mask[y, x] = True
    columns = {"scores": rng.random(count), "weights": rng.random(count), "crowd": rng.random(count) < 0.2}
    return describe(encode(masks), rng.integers(0, len(CLASSES), count), **columns)


def replaced_one_by_one(masks, proposed, min_overlap):
    """The masks that are wanted, by loops over pixels' arrays."""
    wanted = []
    for mask in masks.astype(bool):
        best, reached = mask, 0.0
        for proposal in proposed:
            overlap = (mask & proposal).sum() / (mask | proposal).sum()
            if overlap > reached:
                best, reached = proposal, overlap
        wanted.append(best if reached >= min_overlap else mask)
    return np.array(wanted).reshape(masks.shape)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    proposed=st.integers(0, 8),
    predicted=st.integers(0, 5),
    min_overlap=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    seed=st.integers(0, 10**6),
)
def test_each_mask_becomes_the_proposal_that_overlaps_it_most(kind, proposed, predicted, min_overlap, seed):
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(5, 20, 2))
    proposals = random_proposals(rng, kind, proposed, height, width)
    instances = random_instances(rng, predicted, height, width)
    found = replace_masks(instances, proposals, height, width, min_overlap)
    before = decode(instances.rles, height, width)
    wanted = replaced_one_by_one(before, pixels(proposals, height, width), min_overlap)
    np.testing.assert_array_equal(decode(found.rles, height, width), wanted)
    for name in ("categories", "scores", "weights", "crowd"):
        np.testing.assert_array_equal(getattr(found, name), getattr(instances, name))
    np.testing.assert_array_equal(found.areas, wanted.sum((1, 2)))
    for box, mask in zip(found.boxes, wanted, strict=True):
        rows, columns = np.nonzero(mask)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def run(folder, kind, predictions, proposals, threads=1, **values):
    """Calls the step on images by name: (instances, height, width) and (proposals, height, width)."""
    ids, heights, widths = list(predictions), *(np.array([v[k] for v in predictions.values()]) for k in (1, 2))
    found = [instances for instances, _, _ in predictions.values()]
    write_instances(folder / "p.h5", provenance(CLASSES, ("tags", "points")), ids, heights, widths, found)
    write_proposals(folder / "mcg.h5", kind, proposals, ("masks_seen", "tags"))
    inputs = {"predictions": folder / "p.h5", "proposals": folder / "mcg.h5"}
    settings = PostprocessReplaceWithProposals(**values)
    main(Job("postprocess_replace_with_proposals", settings, inputs, {"replaced": folder / "out.h5"}, threads))
    return Instances(folder / "out.h5")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_step_finds_the_proposals_of_an_image_by_its_name(tmp_path, kind, threads):
    rng = np.random.default_rng(7)
    counts = {"a": (3, 6), "b": (0, 5), "c": (2, 0), "d": (4, 9)}  # predictions and proposals; b lacks these, c those
    sizes = {name: (10 + k, 20 - k) for k, name in enumerate("xabcdy")}
    predictions = {name: (random_instances(rng, n, *sizes[name]), *sizes[name]) for name, (n, _) in counts.items()}
    proposals = {  # of more images, and in another order
        name: (random_proposals(rng, kind, counts.get(name, (0, 4))[1], *sizes[name]), *sizes[name])
        for name in ("y", "d", "b", "x", "c", "a")
    }
    found = run(tmp_path, kind, predictions, proposals, threads)
    assert found.ids == list("abcd") and found.class_names == CLASSES
    assert found.heights.tolist() == [11, 12, 13, 14] and found.widths.tolist() == [19, 18, 17, 16]
    assert found.supervision == ("masks_seen", "points", "tags")
    for image, (name, (instances, *size)) in zip(found, predictions.items(), strict=True):
        wanted = replace_masks(instances, proposals[name][0], *size, 0.0)
        assert image.rles == wanted.rles and len(image) == counts[name][0]
        np.testing.assert_array_equal(image.categories, instances.categories)
        np.testing.assert_array_equal(image.scores, instances.scores)
    assert found.read(0).rles != predictions["a"][0].rles and found.read(2).rles == predictions["c"][0].rles


def test_regions_give_what_the_same_masks_give(tmp_path):
    rng = np.random.default_rng(3)
    regions = random_proposals(rng, "regions", 40, 50, 60)
    masks = MaskProposals(regions.boxes, regions.scores, encode(pixels(regions, 50, 60)), 50, 60)
    instances = random_instances(rng, 12, 50, 60)
    found = [run(tmp_path, kind, {"a": (instances, 50, 60)}, {"a": (proposals, 50, 60)}).read(0).rles
             for kind, proposals in (("regions", regions), ("masks", masks))]  # fmt: skip
    assert found[0] == found[1] != instances.rles


def test_what_no_proposal_reaches_stays(tmp_path):
    rng = np.random.default_rng(5)
    instances, proposals = random_instances(rng, 6, 12, 12), random_proposals(rng, "masks", 3, 12, 12)
    images = {"a": (instances, 12, 12)}, {"a": (proposals, 12, 12)}
    assert run(tmp_path, "masks", *images, min_overlap=1.0).read(0).rles == instances.rles


def test_an_image_that_the_proposals_lack_is_named(tmp_path):
    rng = np.random.default_rng(0)
    predictions = {name: (random_instances(rng, 1, 8, 9), 8, 9) for name in ("a", "2007_000033")}
    with pytest.raises(InputError, match=r"p\.h5 holds image '2007_000033', which .*mcg\.h5 does not") as caught:
        run(tmp_path, "boxes", predictions, {"a": (random_proposals(rng, "boxes", 2, 8, 9), 8, 9)})
    assert "\n" not in str(caught.value) and not (tmp_path / "out.h5").exists()


def test_an_image_of_another_size_is_named(tmp_path):
    rng = np.random.default_rng(0)
    proposals = {"a": (random_proposals(rng, "boxes", 2, 9, 8), 9, 8)}
    with pytest.raises(InputError, match="holds image 'a' as 9x8 pixels.* as 8x9"):
        run(tmp_path, "boxes", {"a": (random_instances(rng, 1, 8, 9), 8, 9)}, proposals)
