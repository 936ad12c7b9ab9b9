"""Imported proposals of every format come back from the artifact as the masks that were published."""

from pathlib import Path

import numpy as np
import pytest
from artifacts import SIZE, picture, png, provenance, write_images
from published_proposals import VERSIONS, cell, entry, write_boxes, write_json, write_mat, write_regions
from region_proposals import random_masks

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job
from wsis_steps.proposals.import_proposals import main
from wsis_steps.proposals.settings import ProposalsImportProposals
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Annotation, Images, ImagesWriter
from wsis_steps.vision.contracts.proposals import Proposals

IDS = [f"image{k}" for k in range(8)]
SHAPE = (SIZE, SIZE)


def publish_regions(folder: Path, version: str) -> tuple[Path, list[np.ndarray]]:
    """Files of all images and of one more; image 3 has no region."""
    wanted = []
    for k, identity in enumerate([*IDS, "another"]):
        rng = np.random.default_rng(k)
        superpixels = 1 + rng.integers(0, 30, SHAPE)
        labels = [rng.choice(np.arange(1, 31), 4, replace=False).tolist() for _ in range(0 if k == 3 else 6)]
        write_regions(folder / f"{identity}.mat", version, superpixels, labels, np.linspace(1, 0, len(labels)))
        wanted.append(np.array([np.isin(superpixels, part) for part in labels]).reshape(-1, *SHAPE))
    return folder, wanted[:-1]


def publish_boxes(folder: Path, version: str) -> tuple[Path, list[np.ndarray]]:
    """One file of all images in another order; image 3 has no box."""
    folder.mkdir()
    images, wanted = {}, []
    for k, identity in enumerate(IDS):
        rng = np.random.default_rng(k)
        low = rng.integers(0, SIZE, (0 if k == 3 else 6, 2))
        boxes = np.hstack([low, rng.integers(low + 1, SIZE + 1)])
        inside = np.zeros((len(boxes), *SHAPE), bool)
        for mask, (x1, y1, x2, y2) in zip(inside, boxes, strict=True):
            mask[y1:y2, x1:x2] = True
        images[identity] = boxes
        wanted.append(inside)
    return write_boxes(folder / "voc.mat", version, dict(reversed(images.items()))), wanted


def publish_masks(folder: Path, version: str) -> tuple[Path, list[np.ndarray]]:
    """Lists of two halves, as runs or as text; image 3 has a mask of no pixel only."""
    rows, wanted = [], []
    for k, identity in enumerate(IDS):
        masks = random_masks(0 if k == 3 else 6, *SHAPE, k)
        empty = [np.zeros(SHAPE, np.uint8)] if k == 3 else []
        rows += [entry(f"{identity}.png", m, 1 - 0.1 * j, version == "5") for j, m in enumerate([*masks, *empty])]
        wanted.append(masks)
    write_json(folder / "b.json", rows[:9])
    write_json(folder / "a.json", rows[9:])
    return folder, wanted


FORMATS = {"mcg": publish_regions, "selective_search": publish_boxes, "coco_rle": publish_masks}
KINDS = {"mcg": "regions", "selective_search": "boxes", "coco_rle": "masks"}


def run(images: Path, out: Path, threads: int = 1, **values) -> Proposals:
    main(Job("test", ProposalsImportProposals(**values), {"images": images}, {"proposals": out}, threads))
    return Proposals(out)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", FORMATS)
def test_published_proposals_come_back_as_their_masks(tmp_path, name, version):
    images = write_images(tmp_path / "images.h5")
    path, wanted = FORMATS[name](tmp_path / "published", version)
    found = run(images, tmp_path / "p.h5", format=name, path=path)
    assert found.ids == IDS and found.kind == KINDS[name]
    for i, masks in enumerate(wanted):
        np.testing.assert_array_equal(found.read(i).masks(slice(None)), masks)
    best = run(images, tmp_path / "best.h5", format=name, path=path, cap=2)
    for i, masks in enumerate(wanted):
        np.testing.assert_array_equal(best.read(i).masks(slice(None)), masks[:2])
    run(images, tmp_path / "two.h5", 2, format=name, path=path)
    assert (tmp_path / "two.h5").read_bytes() == (tmp_path / "p.h5").read_bytes()


def write_twins(path: Path, copied: int) -> Path:
    """Images 0 to 5 for training; "image0_val", the picture of image 0, and "image1_val", that of the number."""
    pictures = [(f"image{k}", "train", k) for k in range(6)] + [("image0_val", "val", 0), ("image1_val", "val", copied)]
    nothing = Annotation(np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros((0, 5)))
    with create(path, Images.schema, provenance()) as file:
        writer = ImagesWriter(file)
        for identity, split, number in pictures:
            writer.add(identity, split, png(picture(number)), *SHAPE, nothing)
        writer.close()
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_an_image_in_both_splits_has_the_same_proposals_in_both(tmp_path, name):
    path, wanted = FORMATS[name](tmp_path / "published", "5")
    found = run(write_twins(tmp_path / "images.h5", 1), tmp_path / "p.h5", format=name, path=path)
    assert found.ids[-2:] == ["image0_val", "image1_val"]
    for i, masks in enumerate([*wanted[:6], *wanted[:2]]):
        np.testing.assert_array_equal(found.read(i).masks(slice(None)), masks)
    with pytest.raises(InputError, match="no proposals for 1 of the 8 images: 'image1_val'"):  # it only sounds like one
        run(write_twins(tmp_path / "other.h5", 2), tmp_path / "q.h5", format=name, path=path)


@pytest.mark.parametrize("name", FORMATS)
def test_the_file_says_whether_masks_were_seen(tmp_path, name):
    images = write_images(tmp_path / "images.h5")
    path, _ = FORMATS[name](tmp_path / "published", "5")
    usual = () if name == "selective_search" else ("masks_seen",)
    assert run(images, tmp_path / "p.h5", format=name, path=path).supervision == usual
    for seen, wanted in ((True, ("masks_seen",)), (False, ())):
        found = run(images, tmp_path / f"{seen}.h5", format=name, path=path, masks_seen=seen)
        assert found.supervision == wanted and found.class_names == ("cat", "dog")


def test_the_default_of_masks_seen_survives_the_way_through_the_workflow():
    """The workflow hands the settings over as JSON that holds all of them."""
    for name, seen in (("mcg", True), ("coco_rle", True), ("selective_search", False)):
        text = ProposalsImportProposals(format=name).model_dump_json()
        assert ProposalsImportProposals.model_validate_json(text).masks_seen is seen


def test_boxes_of_columns_first_are_told_by_the_pictures(tmp_path, caplog):
    """One picture is not square, which tells the order for all."""
    nothing = Annotation(np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros((0, 5)))
    shapes = {"a": (SIZE, SIZE), "b": (SIZE, SIZE + 9)}
    with create(tmp_path / "images.h5", Images.schema, provenance()) as file:
        writer = ImagesWriter(file)
        for name, (height, width) in shapes.items():
            writer.add(name, "train", png(np.zeros((height, width, 3), np.uint8)), height, width, nothing)
        writer.close()
    rows = {"a": np.array([[3, 5, 9, 20]]), "b": np.array([[1, 1, SIZE + 9, SIZE]])}  # x1, y1, x2, y2 from 1
    variables = {"images": cell(list(rows)), "boxes": cell(list(rows.values()))}
    path = write_mat(tmp_path / "boxes.mat", "5", variables)
    found = run(tmp_path / "images.h5", tmp_path / "p.h5", format="selective_search", path=path)
    assert found.read(0).boxes.tolist() == [[2, 4, 9, 20]]
    assert found.read(1).boxes.tolist() == [[0, 0, SIZE + 9, SIZE]]
    assert "its boxes are read as x1, y1, x2, y2 from 1" in caplog.text
    square = write_images(tmp_path / "square.h5", train=1, val=0, prefix="a")
    path = write_boxes(tmp_path / "one.mat", "5", {"a0": [[3, 5, 9, 20]]})
    caplog.clear()
    found = run(square, tmp_path / "q.h5", format="selective_search", path=path)
    assert found.read(0).boxes.tolist() == [[3, 5, 9, 20]]
    assert "but would fit their pictures as 'x1, y1, x2, y2'" in caplog.text
