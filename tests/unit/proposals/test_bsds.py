"""The reader of BSDS500, on a small tree of the same layout and, where it is at hand, on the real one."""

from pathlib import Path

import numpy as np
import pytest
from bsds_tree import SIZE, disc, outline, write_drawings, write_tree
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.io import savemat

from wsis_steps.engine.errors import InputError
from wsis_steps.proposals.bsds import list_images, object_segments, read_image, read_split

REAL = Path(__file__).parents[4] / "shared/data/bsds500"
needs_bsds = pytest.mark.skipif(not REAL.is_dir(), reason="BSDS500 is absent")


def test_pictures_and_all_drawings_are_read(tmp_path):
    images = read_split(write_tree(tmp_path, 3, annotators=5), "train")
    assert [image.id for image in images] == ["100", "101", "102"]
    for image in images:
        assert image.picture.shape == (*SIZE, 3) and image.picture.dtype == np.uint8
        assert image.segmentations.shape == image.boundaries.shape == (5, *SIZE)
        assert image.segmentations.dtype == np.uint16 and image.boundaries.dtype == np.uint8
        inside = image.segmentations[0] == 2
        assert image.picture[inside, 0].mean() > 200 and image.picture[~inside, 0].mean() < 60  # red first
        for labels, boundary in zip(image.segmentations, image.boundaries, strict=True):
            np.testing.assert_array_equal(boundary, outline(labels))


def bare_segments(segmentations):
    """The same by plain loops over annotators, labels and sides."""
    found = []
    for labels in segmentations:
        for label in sorted(set(labels.ravel().tolist())):
            mask = labels == label
            touched = mask[0].any() + int(mask[-1].any()) + mask[:, 0].any() + mask[:, -1].any()
            if mask.sum() >= 0.01 * mask.size and touched <= 1:
                found.append(mask)
    return found


SHAPES = st.tuples(st.integers(1, 3), st.integers(3, 12), st.integers(3, 14))


@given(arrays.arrays(np.uint16, SHAPES, elements=st.integers(0, 9)))
def test_object_like_segments_are_those_of_the_definition(segmentations):
    masks, expected = object_segments(segmentations, 0.01), bare_segments(segmentations)
    assert masks.dtype == np.uint8 and masks.shape == (len(expected), *segmentations.shape[1:])
    assert all(np.array_equal(mask, other) for mask, other in zip(masks, expected, strict=True))


@pytest.mark.parametrize(("radius", "count"), [(3, 0), (4, 1), (12, 1)])
def test_a_segment_must_cover_a_hundredth_of_the_image(radius, count):
    labels = disc(30, 40, radius)
    assert len(object_segments(labels[None], 0.01)) == count and ((labels == 2).sum() >= 48) == bool(count)


@pytest.mark.parametrize(("row", "column", "count"), [(0, 40, 1), (0, 0, 0), (30, 79, 1)])
def test_a_segment_may_touch_one_side(row, column, count):
    assert len(object_segments(disc(row, column, 15)[None], 0.01)) == count


def test_a_folder_without_the_split_says_what_is_wanted(tmp_path):
    with pytest.raises(InputError, match="images/val holds no .jpg files; the folder of BSDS500 has"):
        list_images(write_tree(tmp_path), "val")


def no_cell(path):
    savemat(path, {"groundTruth": np.zeros(3)})


def no_boundaries(path):
    cell = np.empty((1, 1), dtype=object)
    cell[0, 0] = {"Segmentation": disc(30, 40, 9)}
    savemat(path, {"groundTruth": cell})


BROKEN = {
    "missing": (Path.unlink, "100.mat does not exist"),
    "empty": (lambda path: path.write_bytes(b""), "100.mat is damaged or not a ground-truth"),
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:500]), "100.mat is damaged or not a ground-truth"),
    "no MATLAB file": (lambda path: path.write_text("text " * 99), "100.mat is damaged or not a ground-truth"),
    "another variable": (lambda path: savemat(path, {"a": 1}), "100.mat is damaged or not a ground-truth"),
    "no cell of annotators": (no_cell, "100.mat is damaged or not a ground-truth"),
    "no boundaries": (no_boundaries, "100.mat is damaged or not a ground-truth"),
    "no annotator": (lambda path: write_drawings(path, []), "100.mat is damaged or not a ground-truth"),
    "another size": (lambda path: write_drawings(path, [disc(5, 5, 3, (20, 30))]), "100.mat is 30x20, but the picture"),
}


@pytest.mark.parametrize(("damage", "said"), BROKEN.values(), ids=BROKEN)
def test_a_bad_drawing_is_one_sentence(tmp_path, damage, said):
    damage(write_tree(tmp_path) / "groundTruth/train/100.mat")
    with pytest.raises(InputError, match=said) as caught:
        read_image(tmp_path, "train", "100")
    assert "\n" not in str(caught.value)


def test_a_bad_picture_is_one_sentence(tmp_path):
    path = write_tree(tmp_path) / "images/train/101.jpg"
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(InputError, match="101.jpg is damaged or not an image"):
        read_image(tmp_path, "train", "101")


def test_all_bad_files_are_told_together(tmp_path):
    write_tree(tmp_path, 30)
    for path in (tmp_path / "groundTruth/train").iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError, match="has 30 problems:") as caught:
        read_split(tmp_path, "train")
    lines = str(caught.value).splitlines()
    assert len(lines) == 22 and lines[-1].strip() == "... and 10 more"


@needs_bsds
def test_the_real_data_are_read_whole():
    assert [len(list_images(REAL, split)) for split in ("train", "val")] == [200, 100]
    image = read_image(REAL, "val", list_images(REAL, "val")[0])
    assert image.picture.shape[:2] == image.segmentations.shape[1:] and len(image.segmentations) >= 4
    # drawn lines run where segments meet
    labels = image.segmentations[0].astype(np.int32)
    near = np.zeros(labels.shape, bool)
    near[1:-1, 1:-1] = sum(
        labels[1 + y : labels.shape[0] - 1 + y, 1 + x : labels.shape[1] - 1 + x] != labels[1:-1, 1:-1]
        for y in (-1, 0, 1)
        for x in (-1, 0, 1)
    )
    assert near[image.boundaries[0] > 0].mean() > 0.98
