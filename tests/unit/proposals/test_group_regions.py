"""Region proposals of whole pictures: what they cover, that they are what they say, and the same however computed."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from artifacts import provenance
from region_sets import picture
from scipy import ndimage

from wsis_steps.engine import shards as shards_of
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job
from wsis_steps.postprocess.merge_shards import main as merge
from wsis_steps.postprocess.settings import PostprocessMergeShards
from wsis_steps.proposals.contours import gradient_contours
from wsis_steps.proposals.edge_models import load_edge_finder
from wsis_steps.proposals.group_regions import main
from wsis_steps.proposals.mcg.combinatorial_grouping import DOUBLE
from wsis_steps.proposals.mcg.hierarchy import cut, spectral_weights
from wsis_steps.proposals.mcg.rankers import load_ranker
from wsis_steps.proposals.region_proposals import propose
from wsis_steps.proposals.settings import ProposalsGroupRegions
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Annotation, Images, ImagesWriter
from wsis_steps.vision.contracts.proposals import Proposals, encode
from wsis_steps.vision.regions import RegionProposals

MODES = ("accurate", "fast")
PLAIN = {"edges": "gradient", "ranker": "none"}


def propose_with(picture: np.ndarray, **values) -> RegionProposals:
    settings = ProposalsGroupRegions(**values)
    find_edges, _ = load_edge_finder(settings.edges, settings.edge_model)
    ranker, _ = load_ranker(settings.ranker, None, settings.edges, settings.mode)
    return propose(picture, settings, find_edges, ranker)


def discs(side: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Three discs of their own colors on gray, with a little noise, and their masks."""
    rng = np.random.default_rng(0)
    drawn = np.full((side, side + 30, 3), 128, np.uint8)
    masks = np.zeros((3, side, side + 30), np.uint8)
    places = [((35, 40), 22, (220, 40, 40)), ((100, 45), 18, (40, 60, 220)), ((80, 95), 14, (40, 200, 60))]
    for mask, (center, radius, color) in zip(masks, places, strict=True):
        cv2.circle(drawn, center, radius, color, -1)
        cv2.circle(mask, center, radius, 1, -1)
    return np.clip(drawn + rng.normal(0, 4, drawn.shape), 0, 255).astype(np.uint8), masks


@pytest.mark.parametrize("edges", ["gradient", "learned"])
@pytest.mark.parametrize("ranker", ["none", "learned"])
@pytest.mark.parametrize("mode", MODES)
def test_plain_objects_are_among_the_first_proposals(mode, ranker, edges):
    drawn, masks = discs()
    found = propose_with(drawn, mode=mode, ranker=ranker, edges=edges)
    assert found.overlaps(masks)[:20].max(0).min() > 0.85
    pair = (masks[0] | masks[1])[None]
    assert found.overlaps(pair).max() > 0.75  # a set of regions, too


@pytest.mark.parametrize("mode", MODES)
def test_proposals_are_whole_ordered_and_apart(mode):
    found = propose_with(picture(3, 90, 110), mode=mode, count=150, **PLAIN)
    masks = found.masks(slice(None))
    assert 20 < len(found) <= 150 and masks.shape[1:] == (90, 110)
    assert np.array_equal(masks.sum((1, 2)), found.areas)
    for mask, box in zip(masks, found.boxes, strict=True):
        y, x = np.nonzero(mask)
        assert list(box) == [x.min(), y.min(), x.max() + 1, y.max() + 1]
        assert np.array_equal(mask, ndimage.binary_fill_holes(mask))
    overlaps = found.pairwise()
    assert overlaps[~np.eye(len(found), dtype=bool)].max() < DOUBLE
    assert (np.diff(found.scores) <= 0).all()
    assert len(propose_with(picture(3, 90, 110), mode=mode, count=10, **PLAIN)) == 10


def test_large_pictures_are_shrunk_and_proposals_have_their_size():
    drawn, masks = discs()
    large = cv2.resize(drawn, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    found = propose_with(large, long_side=150, **PLAIN)
    wanted = np.stack([cv2.resize(mask, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST) for mask in masks])
    assert found.superpixels.shape == large.shape[:2]
    assert found.overlaps(wanted)[:20].max(0).min() > 0.85
    for mask, box in zip(found.masks(slice(0, 30)), found.boxes, strict=False):
        y, x = np.nonzero(mask)
        assert list(box) == [x.min(), y.min(), x.max() + 1, y.max() + 1]


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (2, 2), (5, 9), (15, 15), (16, 300)])
@pytest.mark.parametrize("edges", ["gradient", "learned"])
def test_tiny_pictures_work(shape, edges):
    for drawn in (np.zeros((*shape, 3), np.uint8), np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)):
        found = propose_with(drawn, edges=edges, ranker="none")
        assert len(found) >= 1 and found.superpixels.shape == shape
        assert found.members.shape == (len(found), found.superpixels.max() + 1)


@pytest.mark.parametrize("mode", MODES)
def test_a_dot_on_plain_ground_leaves_the_whole_picture(mode):
    drawn = np.full((480, 640, 3), 90, np.uint8)
    drawn[100:102, 150:152] = 200
    found = propose_with(drawn, mode=mode, **PLAIN)
    assert len(found) == 1 and found.boxes.tolist() == [[0, 0, 640, 480]] and found.areas.tolist() == [480 * 640]


def squares() -> np.ndarray:
    """Sixteen equal squares on plain ground: eigenvectors of its graph share one eigenvalue, so any basis would do."""
    drawn = np.full((128, 128, 3), 60, np.uint8)
    inside = (np.arange(128) % 32 >= 8) & (np.arange(128) % 32 < 24)
    drawn[inside[:, None] & inside] = 200
    return drawn


def write(path: Path, count: int = 6) -> Path:
    empty = Annotation(np.zeros(0, np.int64), np.zeros((0, 3), np.float32), np.zeros((0, 5), np.float32))
    with create(path, Images.schema, provenance(supervision=())) as file:
        writer = ImagesWriter(file)
        for k in range(count):
            drawn = picture(k, 40 + 3 * k, 50) if k else squares()
            data = cv2.imencode(".png", drawn[..., ::-1])[1].tobytes()
            writer.add(f"image{k}", "train" if k % 2 else "val", data, *drawn.shape[:2], empty)
        writer.close()
    return path


def test_eigenvectors_of_a_regular_picture_are_the_same_every_time():
    superpixels = cut(gradient_contours(squares()))
    first = spectral_weights(superpixels, superpixels.weights)
    for _ in range(4):
        assert np.array_equal(spectral_weights(superpixels, superpixels.weights), first)


def run(images: Path, out: Path, threads: int = 1, shard: str = "1/1", **values) -> Path:
    chosen = ProposalsGroupRegions(**values)
    main(Job("test", chosen, {"images": images}, {"proposals": out}, threads, shard=shard))
    return out


def test_neither_workers_nor_shards_change_a_byte(tmp_path, monkeypatch):
    monkeypatch.setattr(shards_of, "BLOCK", 1)
    images = write(tmp_path / "images.h5")
    whole = run(images, tmp_path / "one.h5").read_bytes()
    assert run(images, tmp_path / "two.h5", 2).read_bytes() == whole
    shards = [run(images, tmp_path / f"{k}.h5", 1 + k % 2, f"{k}/4") for k in range(1, 5)]
    merge(Job("merge", PostprocessMergeShards(), {"shards": shards}, {"merged": tmp_path / "merged.h5"}))
    assert (tmp_path / "merged.h5").read_bytes() == whole
    found = Proposals(tmp_path / "one.h5")
    assert found.ids == Images(images).ids and found.kind == "regions"


def test_a_picture_of_many_contours_takes_little_room(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (375, 500, 3), np.uint8)
    found = propose_with(cv2.GaussianBlur(noise, (0, 0), 2), edges="gradient")
    columns, parts = encode(found)
    assert len(found) == 2000
    assert sum(map(len, parts.values())) + 12 * len(columns["scores"]) < 250_000


def test_the_file_says_what_the_proposals_have_seen(tmp_path):
    images = write(tmp_path / "images.h5", 1)
    seen = {
        name: Proposals(run(images, tmp_path / f"{name}.h5", **values)).supervision
        for name, values in {
            "none": PLAIN,
            "edges": {"ranker": "none"},
            "ranker": {"edges": "gradient"},
            "both": {},
        }.items()
    }
    assert seen["none"] == ()
    assert seen["edges"] == ("masks_seen: boundaries",) and seen["ranker"] == ("masks_seen: segments",)
    assert seen["both"] == ("masks_seen: boundaries", "masks_seen: segments")


def test_a_missing_edge_model_is_named(tmp_path):
    with pytest.raises(InputError, match=r"forest\.yml"):
        propose_with(picture(0), edges="structured_forest", edge_model=tmp_path / "forest.yml")
    with pytest.raises(ValueError, match="edge_model"):
        ProposalsGroupRegions(edges="structured_forest")
