"""Proposals that cannot be imported end the step with one sentence that names the file, and leave nothing."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from artifacts import SIZE, square_mask, write_images
from calls import Outcome, call
from mistakes import Place, blank_picture, check, cut
from published_proposals import cell, entry, write_boxes, write_json, write_mat, write_regions

IDS = [f"image{k}" for k in range(8)]
MAP = np.tile(np.arange(1, SIZE + 1), (SIZE, 1))


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> SimpleNamespace:
    """Images, and proposals of all of them in each format."""
    folder = tmp_path_factory.mktemp("published")
    for identity in IDS:
        write_regions(folder / f"mcg/{identity}.mat", "7.3", MAP, [[1, 2], [3]], [0.5, 0.7])
    write_boxes(folder / "boxes.mat", "5", {identity: np.array([[0, 0, 9, 9]]) for identity in IDS})
    write_json(folder / "masks.json", [entry(identity, square_mask(k), 0.5) for k, identity in enumerate(IDS)])
    return SimpleNamespace(folder=folder, images=write_images(folder / "images.h5"))


@pytest.fixture
def place(published, tmp_path) -> Place:
    """The published proposals in a copy that may be damaged, as `tree`."""
    shutil.copytree(published.folder, tmp_path / "tree")
    return Place(published, tmp_path / "tree", tmp_path)


def take(place: Place, path: Path | None, kind: str, **settings) -> Outcome:
    values = {"format": kind, **({"path": str(path)} if path else {}), **settings}
    images = {"images": place.made.images, "proposals": place.out / "imported.h5"}
    return call("proposals.import_proposals", values, **images)


def regions(place: Place, *content, version="5") -> Outcome:
    """The regions with those of image 2 in place of what was there."""
    if content:
        write_regions(place.tree / "mcg/image2.mat", version, *content)
    return take(place, place.tree / "mcg", "mcg")


def boxes(place: Place, images: dict | None = None) -> Outcome:
    if images is not None:
        write_boxes(place.tree / "boxes.mat", "7.3", images)
    return take(place, place.tree / "boxes.mat", "selective_search")


def masks(place: Place, *more) -> Outcome:
    rows = [entry(identity, square_mask(0), 0.5) for identity in IDS]
    return take(place, write_json(place.tree / "masks.json", [*rows, *more]), "coco_rle")


def without(place: Place, variable: str) -> Outcome:
    values = {"superpixels": MAP, "labels": cell([np.ones((1, 1))]), "scores": np.ones((1, 1))}
    del values[variable]
    write_mat(place.tree / "mcg/image5.mat", "7.3", values)
    return regions(place)


def all_but(count: int) -> dict:
    return {identity: np.array([[0, 0, 9, 9]]) for identity in IDS[:-count]}


def several(place: Place) -> Outcome:
    """Two damaged files are told in one run."""
    cut(place.tree / "mcg/image1.mat")
    cut(place.tree / "mcg/image6.mat")
    return regions(place)


CASES = {
    "no path": (lambda p: take(p, None, "mcg"), "proposals_import_proposals.path is None"),
    "a path that is not there": (lambda p: take(p, p.tree / "cob", "mcg"), "tree/cob, which does not exist"),
    "an unknown format": (
        lambda p: take(p, p.tree, "sam"),
        "'format' is 'sam' but should be 'mcg', 'selective_search'",
    ),
    "an image without its file": (
        lambda p: (p.tree / "mcg/image3.mat").unlink() or regions(p),
        "tree/mcg has no proposals for 1 of the 8 images: 'image3'.",
    ),
    "a folder of nothing": (
        lambda p: (p.tree / "new").mkdir() or take(p, p.tree / "new", "mcg"),
        "tree/new has no proposals for 8 of the 8 images: 'image0', 'image1', 'image2', 'image3', 'image4' and 3 more.",
    ),
    "a .mat file that is cut": (
        lambda p: cut(p.tree / "mcg/image0.mat") and regions(p),
        "mcg/image0.mat cannot be read as a .mat file",
    ),
    "two .mat files that are cut": (several, "tree/mcg has 2 problems:", "image1.mat cannot", "image6.mat cannot"),
    "no superpixels": (lambda p: without(p, "superpixels"), "mcg/image5.mat has no variable 'superpixels'."),
    "no labels": (lambda p: without(p, "labels"), "mcg/image5.mat has no variable 'labels'."),
    "no scores": (lambda p: without(p, "scores"), "mcg/image5.mat has no variable 'scores'."),
    "superpixels of another picture": (
        lambda p: regions(p, MAP[:-1], [[1]], [1]),
        f"mcg/image2.mat: its superpixel map is {SIZE}x{SIZE - 1} pixels, but its image {SIZE}x{SIZE}.",
    ),
    "a superpixel out of range": (
        lambda p: regions(p, MAP, [[1], [SIZE + 1]], [1, 1], version="7.3"),
        f"mcg/image2.mat: its labels name superpixel {SIZE + 1}, which its superpixel map lacks.",
    ),
    "scores of other regions": (
        lambda p: regions(p, MAP, [[1], [2]], [1]),
        "mcg/image2.mat has 2 labels but 1 scores.",
    ),
    "boxes of too few images": (
        lambda p: boxes(p, all_but(7)),
        "boxes.mat has no proposals for 7 of the 8 images: 'image1', ",
        "'image4', 'image5' and 2 more.",
    ),
    "a box outside the picture": (
        lambda p: boxes(p, {**all_but(1), "image7": np.array([[0, 0, 9, 9], [5, 5, SIZE + 4, 9]])}),
        f"boxes.mat: image 'image7' (element 8) is {SIZE}x{SIZE} pixels, but box 2 (y1, x1, y2, x2) is 6, 6, 9, 36.",
    ),
    "a file of boxes that is cut": (
        lambda p: cut(p.tree / "boxes.mat") and boxes(p),
        "boxes.mat cannot be read as a .mat file",
    ),
    "regions in place of boxes": (
        lambda p: take(p, p.tree / "mcg/image0.mat", "selective_search"),
        "mcg/image0.mat has no variable 'boxes'.",
    ),
    "JSON that is cut": (
        lambda p: cut(p.tree / "masks.json") and take(p, p.tree / "masks.json", "coco_rle"),
        "masks.json is not a JSON file",
    ),
    "JSON of another kind": (
        lambda p: take(p, write_json(p.tree / "masks.json", {"annotations": []}), "coco_rle"),
        "masks.json does not hold a list of masks.",
    ),
    "a mask of another size": (
        lambda p: masks(p, entry("image1", np.ones((3, 5), np.uint8), 1)),
        f"masks.json: entry 9 is not a mask of its image, which is {SIZE}x{SIZE}: its mask is 5x3, the picture",
    ),
    "a mask without a score": (
        lambda p: masks(p, {"image_id": 1, "segmentation": {}}),
        "masks.json: entry 9 needs a number as its 'score'.",
    ),
    "a mask without an image": (
        lambda p: masks(p, {"score": 1, "segmentation": {}}),
        "masks.json: entry 9 needs an 'image_id' or a 'file_name'.",
    ),
    "masks of too few images": (
        lambda p: take(p, write_json(p.tree / "m.json", [entry("image0", square_mask(0), 1)]), "coco_rle"),
        "m.json has no proposals for 7 of the 8 images",
    ),
    "a picture that is damaged": (
        lambda p: call(
            "proposals.search_selectively",
            images=blank_picture(p),
            shard="1/1",
            proposals=p.out / "selective_search.h5",
        ),
        "images.h5: image 'image0' is damaged; import the data again.",
    ),
    "no smallest size": (
        lambda p: call(
            "proposals.search_selectively",
            {"min_size": 0},
            images=p.made.images,
            shard="1/1",
            proposals=p.out / "boxes.h5",
        ),
        "'min_size' is 0 but should be greater than or equal to 1",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_one_sentence(place, case, capfd):
    do, *words = CASES[case]
    outcome = do(place)
    check(place, outcome, tuple(words), capfd.readouterr().err)


def test_valid_proposals_do_pass(place):
    """Else the cases above could fail for another reason."""
    search = call(
        "proposals.search_selectively", images=place.made.images, shard="1/1", proposals=place.out / "boxes.h5"
    )
    done = [regions(place), boxes(place), masks(place), search]
    assert [outcome.status for outcome in done] == [0, 0, 0, 0], [outcome.errors for outcome in done]
