"""Semantic maps and first labels from regions, by their steps: the outlines of the regions, and what is refused."""

import numpy as np
import pytest
from artifacts import CLASSES, SIZE, provenance, square_mask, write_images, write_semantic
from calls import call, files
from proposal_sets import square_boxes, square_regions, write_proposals

from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.masks import decode
from wsis_steps.vision.region_means import least_background

COUNT = 6


@pytest.fixture
def given(tmp_path):
    """Images with a square each, and maps of the squares at a quarter of their size."""
    write_images(tmp_path / "images.h5")
    write_semantic(tmp_path / "semantic.h5")
    with create(tmp_path / "maps.h5", Maps.schema, provenance()) as file:
        writer = MapsWriter(file, (SIZE // 4, SIZE // 4), np.float16)
        for k in range(COUNT):
            coarse = square_mask(k).reshape(SIZE // 4, 4, SIZE // 4, 4).mean(axis=(1, 3))
            writer.add(f"image{k}", SIZE, SIZE, coarse[None].astype(np.float16), [k % len(CLASSES)])
        writer.close()
    drawn = Proposals(square_regions(tmp_path / "more.h5"))
    square_and_rest = np.array([0, 1])  # without unions of cells at random, which no hierarchy would propose
    regions = {name: (drawn.read(k).at(square_and_rest), SIZE, SIZE) for k, name in enumerate(drawn.ids)}
    write_proposals(tmp_path / "regions.h5", "regions", regions)
    square_boxes(tmp_path / "boxes.h5")
    return tmp_path


def pool(folder, proposals):
    paths = {"maps": folder / "maps.h5", "proposals": folder / proposals, "semantic": folder / "out/semantic.h5"}
    return call("postprocess.pool_over_regions", **paths)


def label(folder, proposals, min_area=50, **more):
    paths = {name: folder / f"{name}.h5" for name in ("images", "semantic")} | more
    outputs = {"labels": folder / "out/labels.h5", "counts": folder / "out/counts.json"}
    settings = {"instances": "regions", "min_area": min_area}
    return call("bestie.label", settings, **paths, proposals=folder / proposals, **outputs)


@pytest.mark.parametrize(("step", "least"), [("classifier_infer", 0.2), ("classifier_learn_pixels", 0)])
def test_activation_needs_a_background_that_probabilities_have(tmp_path, step, least):
    with create(tmp_path / "maps.h5", Maps.schema, provenance(step=step)) as file:
        MapsWriter(file, (2, 2), np.float16).close()
    maps = Maps(tmp_path / "maps.h5")
    assert least_background(maps, None) == least
    assert least_background(maps, 0.3) == 0.3 and least_background(maps, 0) == 0


def test_semantic_maps_have_the_outlines_of_the_regions(given):
    assert pool(given, "regions.h5").status == 0
    found = Maps(given / "out/semantic.h5")
    for k in range(COUNT):
        np.testing.assert_array_equal(found.semantic(k), square_mask(k) * (1 + k % len(CLASSES)))


def test_first_labels_are_the_regions(given):
    assert label(given, "regions.h5", maps=given / "maps.h5").status == 0
    found = Instances(given / "out/labels.h5")
    for k in range(COUNT):
        instances = found.read(k)
        assert instances.categories.tolist() == [k % len(CLASSES)]
        np.testing.assert_array_equal(decode(instances.rles, SIZE, SIZE)[0], square_mask(k))


def test_regions_that_are_too_small_are_told(given):
    done = label(given, "regions.h5", min_area=500, maps=given / "maps.h5")
    counts = Instances(given / "out/labels.h5").counts
    assert (counts["without"], counts["undersized"], counts["bare"]) == (COUNT, COUNT, 0)
    (said,) = [line for line in done.log if line.startswith("doubtful")]
    assert "the matching regions are too small. Try bestie_label: {min_area: 250} (now 500)." in said


def test_what_the_semantic_map_has_beside_the_labels_is_ignored(given):
    """Semantic maps of whole classes, and a single object of them that is a region."""
    with create(given / "semantic.h5", Maps.schema, provenance()) as file:
        writer = MapsWriter(file, (SIZE, SIZE), np.uint8)
        for k in range(COUNT):
            writer.add(f"image{k}", SIZE, SIZE, np.full((1, SIZE, SIZE), 1 + k % len(CLASSES), np.uint8))
        writer.close()
    assert label(given, "regions.h5", maps=given / "maps.h5").status == 0
    for k in range(COUNT):
        ignored = decode([Instances(given / "out/labels.h5").read(k).ignore], SIZE, SIZE)[0]
        np.testing.assert_array_equal(ignored, 1 - square_mask(k))


def test_boxes_are_refused(given):
    for outcome in (pool(given, "boxes.h5"), label(given, "boxes.h5", maps=given / "maps.h5")):
        assert outcome.status == 2 and not outcome.traceback
        assert "boxes.h5 holds boxes, but" in outcome.errors[0]
    assert not files(given / "out")


def test_regions_need_maps(given):
    outcome = label(given, "regions.h5")
    assert outcome.status == 2 and outcome.errors == [
        "bestie_label needs --maps and --proposals if instances is 'regions'."
    ]
    assert not files(given / "out")
