"""Selective Search: the boxes are OpenCV's, whole, unique, within the picture, and always the same."""

import ctypes
from fractions import Fraction
from math import ceil, floor
from pathlib import Path

import cv2
import numpy as np
import pytest
from artifacts import provenance
from hypothesis import given, settings
from hypothesis import strategies as st

from wsis_steps.engine.step import Job
from wsis_steps.proposals.search_selectively import enlarge, main, propose, search
from wsis_steps.proposals.settings import ProposalsSearchSelectively
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Annotation, Images, ImagesWriter
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.images import shrink

SIZES = ((40, 60), (64, 48), (30, 30), (50, 90), (8, 70), (33, 41), (48, 48))


def scene(number: int, height: int, width: int) -> np.ndarray:
    """Rectangles of any color on noise, uint8 (height, width, 3)."""
    rng = np.random.default_rng(number)
    picture = rng.integers(0, 40, (height, width, 3))
    for _ in range(5):
        y, x = rng.integers(height), rng.integers(width)
        picture[y : y + rng.integers(4, 30), x : x + rng.integers(4, 30)] += rng.integers(0, 120, 3)
    return picture.clip(0, 255).astype(np.uint8)


def write(path: Path, numbers) -> Path:
    """Scenes of these numbers, the first of them for training."""
    empty = Annotation(np.zeros(0, np.int64), np.zeros((0, 3), np.float32), np.zeros((0, 5), np.float32))
    with create(path, Images.schema, provenance(supervision=())) as file:
        writer = ImagesWriter(file)
        for k, number in enumerate(numbers):
            size = SIZES[number % len(SIZES)]
            data = cv2.imencode(".png", scene(number, *size)[..., ::-1])[1].tobytes()
            writer.add(f"scene{number}", "val" if k else "train", data, *size, empty)
        writer.close()
    return path


def run(images: Path, out: Path, threads: int = 1, shard: str = "1/1", **values) -> Proposals:
    chosen = ProposalsSearchSelectively(**values)
    main(Job("test", chosen, {"images": images}, {"proposals": out}, threads, shard=shard))
    return Proposals(out)


def rows(boxes: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(map(int, box)) for box in boxes]


@pytest.mark.parametrize("mode", ["fast", "quality"])
def test_boxes_are_those_that_opencv_finds_in_whatever_order(mode):
    picture = scene(0, 60, 80)
    method = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    method.setBaseImage(np.ascontiguousarray(picture[..., ::-1]))
    getattr(method, f"switchToSelectiveSearch{mode.title()}")()
    wanted = {(x, y, x + w, y + h) for x, y, w, h in method.process().tolist()}
    found = rows(search(picture, mode, 0))
    assert set(found) == wanted and len(found) > 10


@pytest.mark.parametrize("mode", ["fast", "quality"])
def test_the_order_depends_on_the_seed_and_on_nothing_else(mode):
    picture = scene(1, 60, 80)
    first = rows(search(picture, mode, 0))
    ctypes.CDLL(None).rand()
    cv2.setRNGSeed(5)
    search(scene(2, 50, 50), mode, 3)
    assert rows(search(picture, mode, 0)) == first
    other = rows(search(picture, mode, 1))
    assert other != first and sorted(other) == sorted(first)


def test_results_are_the_same_bytes_with_any_number_of_workers(tmp_path):
    images = write(tmp_path / "images.h5", range(7))
    run(images, tmp_path / "one.h5", 1)
    run(images, tmp_path / "two.h5", 2)
    run(images, tmp_path / "again.h5", 2)
    one = (tmp_path / "one.h5").read_bytes()
    assert (tmp_path / "two.h5").read_bytes() == one == (tmp_path / "again.h5").read_bytes()


def test_results_of_an_image_do_not_depend_on_the_others(tmp_path):
    found = run(write(tmp_path / "a.h5", range(7)), tmp_path / "pa.h5", min_size=5)
    other = run(write(tmp_path / "b.h5", [5, 3, 6, 0]), tmp_path / "pb.h5", 2, min_size=5)
    for i, identity in enumerate(other.ids):
        boxes = other.read(i).boxes
        assert len(boxes) and rows(boxes) == rows(found.read(found.index[identity]).boxes)


def test_the_file_holds_all_images_in_their_order_and_no_supervision(tmp_path):
    images = Images(write(tmp_path / "images.h5", [4, 2, 0]))
    found = run(images.path, tmp_path / "p.h5")
    assert found.ids == images.ids == ["scene4", "scene2", "scene0"] and found.kind == "boxes"
    assert found.heights.tolist() == images.heights.tolist() and found.widths.tolist() == images.widths.tolist()
    assert found.supervision == () and found.class_names == images.class_names
    assert len(found.read(0)) == 0  # 8 pixels high, and boxes have at least 20
    assert len(found.read(1)) > 0


@settings(max_examples=25, deadline=None)
@given(
    number=st.integers(0, 50),
    min_size=st.integers(1, 60),
    long_side=st.sampled_from([0, 20, 31, 64, 100]),
    cap=st.integers(0, 12),
)
def test_boxes_are_unique_whole_large_enough_and_ranked(number, min_size, long_side, cap):
    height, width = SIZES[number % len(SIZES)]
    picture = scene(number, height, width)
    values = {"min_size": min_size, "long_side": long_side}
    every = propose(picture, ProposalsSearchSelectively(**values))
    boxes = every.boxes
    assert len(set(rows(boxes))) == len(boxes) and (boxes == boxes.round()).all()
    assert (boxes >= 0).all() and (boxes[:, 2] <= width).all() and (boxes[:, 3] <= height).all()
    assert ((boxes[:, 2:] - boxes[:, :2]).min(1, initial=min_size) >= min_size).all()
    if min(height, width) >= min_size:
        assert (0, 0, width, height) in rows(boxes)  # the last merger is the whole picture
    first = propose(picture, ProposalsSearchSelectively(**values, cap=cap))
    np.testing.assert_array_equal(first.boxes, boxes[: cap or None])
    np.testing.assert_allclose(first.scores, [1 - k / len(first) for k in range(len(first))], rtol=1e-6)


sides = st.integers(1, 3000)


@given(full=st.tuples(sides, sides), data=st.data())
def test_enlarged_boxes_are_the_smallest_of_whole_pixels_around_what_was_found(full, data):
    small = (data.draw(st.integers(1, full[0])), data.draw(st.integers(1, full[1])))
    x1, y1 = data.draw(st.integers(0, small[1] - 1)), data.draw(st.integers(0, small[0] - 1))
    x2, y2 = data.draw(st.integers(x1 + 1, small[1])), data.draw(st.integers(y1 + 1, small[0]))
    along, down = Fraction(full[1], small[1]), Fraction(full[0], small[0])
    wanted = [floor(x1 * along), floor(y1 * down), ceil(x2 * along), ceil(y2 * down)]
    assert enlarge(np.array([[x1, y1, x2, y2]]), small, full).tolist() == [wanted]


def test_pictures_are_shrunk_to_the_long_side_and_never_enlarged():
    picture = scene(0, 60, 80)
    assert shrink(picture, 40).shape == (30, 40, 3) and shrink(picture.transpose(1, 0, 2), 40).shape == (40, 30, 3)
    assert shrink(picture, 80) is picture and shrink(picture, 0) is picture and shrink(picture, 999) is picture
    assert shrink(np.zeros((1, 80, 3), np.uint8), 40).shape == (1, 40, 3)


@pytest.mark.parametrize("mode", ["fast", "quality"])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 2)])
def test_a_tiny_and_a_plain_picture_are_one_box(mode, size):
    for picture in (np.full((*size, 3), 77, np.uint8), scene(0, *size)):
        found = propose(picture, ProposalsSearchSelectively(mode=mode, min_size=1))
        assert (0, 0, size[1], size[0]) in rows(found.boxes)
    assert len(propose(np.full((*size, 3), 77, np.uint8), ProposalsSearchSelectively(mode=mode, min_size=1))) == 1
