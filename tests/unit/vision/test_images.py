"""Pictures: decoding, reading ahead, and augmentation that moves pictures, maps and points alike."""

import threading
import time

import cv2
import numpy as np
import pytest
import torch
from artifacts import SIZE, picture, png, write_images
from hypothesis import given, settings
from hypothesis import strategies as st

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.shards import members_of_shard
from wsis_steps.vision import images as module
from wsis_steps.vision.batches import read_ahead
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.images import Geometry, Pictures, distort, fit, flip_and_rot90, jitter, random_crop

HEIGHT, WIDTH = 40, 60


def dot(x: int, y: int, radius: int = 3):
    """A picture and a label map, both black but for a disc around pixel (x, y), and the point (x, y, 1)."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(labels, (x, y), radius, 1, -1)
    return np.repeat(labels[..., None] * np.uint8(255), 3, axis=2), labels, np.array([[x, y, 1.0]], np.float32)


def centroid(weights: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: weights.shape[0], : weights.shape[1]]
    return np.array([(x * weights).sum(), (y * weights).sum()]) / weights.sum()


def check_aligned(geometry: Geometry, x: int, y: int) -> bool:
    """Where the dot lies well inside the target: whether picture, labels and point agree on its place."""
    pixels, labels, points = dot(x, y)
    moved = geometry.points(points)
    if len(moved) == 0:
        return False
    place = moved[0, :2]
    margin = 9  # the disc, scaled
    if (place < margin).any() or (place >= np.array([geometry.width, geometry.height]) - margin).any():
        return False
    # bilinear sampling keeps the centroid nearly, nearest sampling within half a pixel
    assert np.abs(centroid(geometry.picture(pixels, fill=(0, 0, 0))[..., 0].astype(float)) - place).max() < 0.12
    assert np.abs(centroid(geometry.labels(labels).astype(float)) - place).max() < 0.5
    assert moved[0, 2] == 1
    return True


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), vertical=st.floats(0.7, 1.6), horizontal=st.floats(0.7, 1.6), rot90=st.booleans())
def test_a_crop_moves_picture_labels_and_points_alike(seed, vertical, horizontal, rot90):
    rng = np.random.default_rng(seed)
    for size in (30, 80):  # cropping, and padding on a smaller picture
        geometry = random_crop(rng, HEIGHT, WIDTH, size, (vertical, horizontal), rot90)
        assert geometry.picture(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).shape == (size, size, 3)
        check_aligned(geometry, int(rng.integers(5, WIDTH - 5)), int(rng.integers(5, HEIGHT - 5)))


def test_the_check_above_is_one_in_most_cases():
    rng = np.random.default_rng(0)
    checked = [check_aligned(random_crop(rng, HEIGHT, WIDTH, 80, rot90=True), 30, 20) for _ in range(50)]
    assert sum(checked) > 40
    shifted = Geometry(np.array([[1.0, 0, 3], [0, 1, 0]]), 80, 80)
    wrong = Geometry(shifted.matrix, 80, 80)
    object.__setattr__(wrong, "picture", lambda pixels, fill: np.roll(shifted.picture(pixels, fill), 1, axis=1))
    with pytest.raises(AssertionError):
        check_aligned(wrong, 30, 20)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), height=st.integers(1, 9), width=st.integers(1, 9), rot90=st.booleans())
def test_flips_and_turns_lose_no_pixel(seed, height, width, rot90):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    geometry = flip_and_rot90(np.random.default_rng(seed), height, width, rot90)
    turned = geometry.picture(pixels)
    flipped = [pixels, pixels[:, ::-1]]
    candidates = [np.rot90(f, k) for f in flipped for k in (range(4) if rot90 else [0])]
    matching = [c for c in candidates if c.shape == turned.shape and np.array_equal(c, turned)]
    assert matching
    y, x = np.mgrid[:height, :width]
    points = np.column_stack([x.ravel(), y.ravel()]).astype(float)
    moved = np.rint(geometry.points(points)).astype(int)
    assert len(moved) == height * width
    np.testing.assert_array_equal(turned[moved[:, 1], moved[:, 0]], pixels.reshape(-1, 3))
    np.testing.assert_array_equal(geometry.labels(pixels[..., 0]), turned[..., 0])


def test_every_turn_and_flip_occurs():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    rng = np.random.default_rng(0)
    assert len({flip_and_rot90(rng, 3, 4, True).labels(pixels).tobytes() for _ in range(100)}) == 8
    assert len({flip_and_rot90(rng, 3, 4).labels(pixels).tobytes() for _ in range(100)}) == 2


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), x=st.integers(0, 20), y=st.integers(0, 10), width=st.integers(2, 9))
def test_boxes_move_with_what_they_hold(seed, x, y, width):
    marked = np.zeros((24, 32), np.uint8)
    marked[y : y + 5, x : x + width] = 1
    scaled = fit(24, 32, 48, 96)
    geometry = scaled.then(flip_and_rot90(np.random.default_rng(seed), 48, 96, rot90=True))
    rows, columns = np.nonzero(geometry.labels(marked))
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    moved = geometry.boxes(np.array([[x, y, x + width, y + 5]], np.float32))
    assert (geometry.height, geometry.width) in ((48, 96), (96, 48)) and moved[0].tolist() == pytest.approx(found)
    assert geometry.boxes(np.zeros((0, 4))).shape == (0, 4)


def test_points_that_leave_the_crop_are_dropped():
    geometry = Geometry(np.array([[1.0, 0, -10], [0, 1, -10]]), 20, 20)
    points = np.array([[10, 10, 0], [9, 15, 1], [29, 29, 2], [30, 15, 3], [15, 9, 4], [15, 30, 5.0]])
    assert geometry.points(points).tolist() == [[0, 0, 0], [19, 19, 2]]


def test_labels_stay_labels_and_outside_is_the_fill():
    labels = np.array([[0, 7], [70000, 2]], dtype=np.int32)
    padded = Geometry(np.array([[3.0, 0, 2], [0, 3, 2]]), 10, 10).labels(labels, fill=9)
    assert padded.dtype == np.int32 and set(np.unique(padded)) == {0, 7, 70000, 2, 9}
    np.testing.assert_array_equal(padded[2:8, 2:8], np.kron(labels, np.ones((3, 3), int)))
    assert (padded[:2] == 9).all() and (padded[8:] == 9).all()


def test_a_scale_is_of_height_and_width_in_that_order():
    rng = np.random.default_rng(0)
    for _ in range(8):
        geometry = random_crop(rng, HEIGHT, WIDTH, 32, (32 / HEIGHT, 32 / WIDTH))
        corners = np.array([[0, 0], [WIDTH, HEIGHT]]) @ geometry.matrix[:, :2].T + geometry.matrix[:, 2]
        np.testing.assert_allclose(np.sort(corners, axis=0), [[0, 0], [32, 32]], atol=1e-9)


def test_fitting_covers_the_target_edge_to_edge():
    geometry = fit(10, 20, 30, 10)
    corners = np.array([[-0.5, -0.5], [19.5, 9.5]])  # of the picture, between pixels
    moved = (corners + 0.5) @ geometry.matrix[:, :2].T + geometry.matrix[:, 2] - 0.5
    np.testing.assert_allclose(moved, [[-0.5, -0.5], [9.5, 29.5]])
    constant = geometry.picture(np.full((10, 20, 3), 77, np.uint8))
    assert constant.shape == (30, 10, 3) and constant[1:-1, 1:-1].min() == 77


def test_the_generator_alone_decides():
    def made(seed):
        rng = np.random.default_rng(seed)
        return random_crop(rng, 50, 60, 40, rot90=True).matrix.tolist(), jitter(rng, picture(0), (0.3,) * 4).tobytes()

    assert made(3) == made(3) != made(4)


def test_jitter_and_distortion_change_colors_and_nothing_else():
    pixels = picture(1)
    assert jitter(np.random.default_rng(0), pixels, (0, 0, 0, 0)) is pixels
    changed = [distort(np.random.default_rng(seed), pixels) for seed in range(40)]
    assert any(np.array_equal(c, pixels) for c in changed)  # each change has probability 1/2
    assert sum(not np.array_equal(c, pixels) for c in changed) > 20
    for one in [*changed, jitter(np.random.default_rng(0), pixels, (0.3, 0.3, 0.3, 0.1))]:
        assert one.shape == pixels.shape and one.dtype == np.uint8
    gray = np.full((4, 4, 3), 100, np.uint8)
    bright = [jitter(np.random.default_rng(s), gray, (0.3, 0, 0, 0))[0, 0] for s in range(200)]
    values = np.array(bright)
    assert (values == values[:, :1]).all() and 69 <= values.min() < 75 and 125 < values.max() <= 130


def test_pictures_are_decoded_as_rgb_and_kept(tmp_path):
    images = Images(write_images(tmp_path / "i.h5"))
    pictures = Pictures(images, images.members("train"))
    np.testing.assert_array_equal(pictures.read(2), picture(2))
    assert pictures.read(2) is pictures.read(2)


def test_pictures_are_not_kept_where_the_split_is_too_large(tmp_path, monkeypatch):
    images = Images(write_images(tmp_path / "i.h5"))
    monkeypatch.setattr(module, "CACHE", 6 * SIZE * SIZE * 3 - 1)
    pictures = Pictures(images, images.members("train"))
    assert pictures.read(2) is not pictures.read(2)


def test_a_damaged_picture_is_named(tmp_path, monkeypatch):
    images = Images(write_images(tmp_path / "i.h5"))
    monkeypatch.setattr(images, "encoded", lambda i: np.frombuffer(png(picture(0))[:20], np.uint8))
    with pytest.raises(InputError, match="image3.*damaged"):
        Pictures(images, images.members("train")).read(3)


class Stand:
    """Pictures whose sides are given; notes who reads what, and is slow with every third."""

    def __init__(self, sides):
        self.sides, self.read_by = sides, []

    def read(self, i):
        time.sleep(0.01 if i % 3 == 0 else 0)
        self.read_by.append((i, threading.get_ident()))
        return np.full((self.sides[i], 4, 3), i, np.uint8)


def to_tensor(pixels):
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


@pytest.mark.parametrize("threads", [1, 4])
def test_reading_ahead_keeps_order_and_batches_what_has_one_shape(threads):
    sides = [5, 5, 5, 5, 5, 8, 8, 5, 8, 8]
    stand = Stand(sides)
    batches = list(read_ahead(stand, np.arange(10), to_tensor, threads, batch=3))
    assert [indices for indices, _ in batches] == [[0, 1, 2], [3, 4], [5], [6], [7], [8], [9]]
    for indices, stacked in batches:
        assert stacked.shape == (len(indices), 3, sides[indices[0]], 4)
        assert stacked[:, 0, 0, 0].tolist() == indices
    assert threading.get_ident() not in {thread for _, thread in stand.read_by}


@pytest.mark.parametrize("count", [2, 3, 5])
def test_pictures_meet_in_shards_as_in_one_job(count):
    sides = [5, 5, 8, 8, 8, 5, 5, 5, 5, 5, 8, 5, 8, 8, 8, 8, 8, 8, 8, 8, 8]
    shards = [members_of_shard(len(sides), f"{k}/{count}") for k in range(1, count + 1)]

    def batches(members):
        return [indices for indices, _ in read_ahead(Stand(sides), members, to_tensor, 2, batch=4)]

    assert sum(map(batches, shards), []) == batches(np.arange(len(sides)))


def test_a_batch_has_no_more_pixels_than_it_may_but_one_picture():
    sides = [5] * 8 + [10] * 8 + [40] * 3 + [5] * 5
    batches = list(read_ahead(Stand(sides), range(len(sides)), to_tensor, 2, batch=8, pixels=100))
    assert [len(indices) for indices, _ in batches] == [4, 4, *[2] * 4, 1, 1, 1, 1, 4]
    assert all(len(stacked) == 1 or stacked[:, 0].numel() <= 100 for _, stacked in batches)
    assert sum((indices for indices, _ in batches), []) == list(range(len(sides)))
    free = [indices for indices, _ in read_ahead(Stand(sides), range(len(sides)), to_tensor, 2, batch=8)]
    roomy = [indices for indices, _ in read_ahead(Stand(sides), range(len(sides)), to_tensor, 2, 8, pixels=8 * 160)]
    assert free == roomy  # a budget that all pictures keep changes nothing


def test_reading_ahead_does_not_run_away_and_passes_errors_on():
    stand = Stand([5] * 100)
    batches = read_ahead(stand, range(100), to_tensor, 4, batch=2)
    next(batches)
    time.sleep(0.1)
    assert len(stand.read_by) < 20
    assert list(read_ahead(stand, [], to_tensor, 4, batch=2)) == []

    def fail(pixels):
        raise InputError("damaged")

    with pytest.raises(InputError):
        list(read_ahead(stand, range(4), fail, 4, batch=2))
