"""Samples of bestie_train: picture, maps, tables and points go through one augmentation and stay together."""

import math

import numpy as np
import pytest
import torch
from artifacts import write_images, write_labels, write_semantic

from wsis_steps.bestie.samples import TrainingSamples, collate, instance_table
from wsis_steps.bestie.settings import BestieTrain
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.maps import Maps


@pytest.fixture
def build(tmp_path):
    def samples(**settings) -> TrainingSamples:
        values = {"long_side": 0, "crop": 32, "min_area": 5, "scale": (1.0, 1.0), "photometric": False, **settings}
        return TrainingSamples(
            Images(write_images(tmp_path / "images.h5")),
            Maps(write_semantic(tmp_path / "semantic.h5")),
            Instances(write_labels(tmp_path / "labels.h5")),
            BestieTrain(**values),
        )

    return samples


@pytest.mark.parametrize("crop", [32, 24, 40])
def test_all_parts_of_a_sample_move_together(build, crop):
    """Every picture has one bright square, which is the labelled one."""
    dataset = build(crop=crop, rot90=True)
    seen = set()
    for number in range(36):
        sample = dataset[(number % 6, number, 0)]
        category = number % 6 % 2
        bright = sample["picture"].numpy().min(axis=0) >= 150
        seen.add(bright.tobytes())
        for name, value in (("instance_map", 1), ("component_map", 1), ("semantic", 1 + category)):
            found = sample[name].numpy()
            assert np.array_equal(found == value, bright), name
            assert set(np.unique(found)) <= {0, value, 255}
        y, x = np.nonzero(bright)
        for name in ("instance_table", "component_table"):
            assert sample[name].tolist() == [[category, int(x.mean()), int(y.mean())]]
        for row in sample["points"]:
            assert row[0] == category and bright[row[2], row[1]]
        assert sample["instance_weights"].tolist() == [1]
    assert len(seen) > 18, "hardly any augmentation"


def released_sides(height: int, width: int, longest: int = 449) -> list[int]:
    """The release's rule in words: shrink so that the longer side is `longest`, cut fractions off, go up to the next
    number that is 1 mod 32, and 32 back where that is too long."""
    found = []
    for side in (height, width):
        new = math.floor(side * (longest / max(height, width)))
        while new % 32 != 1:
            new += 1
        found.append(new - 32 if new > longest else new)
    return found


@pytest.mark.parametrize(
    "short", [500, 479, 463, 442, 430, 417, 400, 388, 383, 375, 366, 357, 353, 343, 338, 335, 334, 333, 332, 281, 250]
)
def test_sides_are_rounded_up_as_released(build, short):
    dataset, rng = build(long_side=449), np.random.default_rng(0)
    for height, width in ((short, 500), (500, short)):
        factors = dataset._scale(rng, height, width)
        sides = [height * factors[0], width * factors[1]]
        np.testing.assert_allclose(sides, released_sides(height, width))
    assert released_sides(375, 500) == [353, 449] and released_sides(333, 500) == [321, 449]


def test_padding_is_unsure_and_not_background(build):
    sample = build(crop=40)[(0, 0, 0)]
    assert (sample["semantic"] == 255).sum() == 40**2 - 32**2


def test_what_is_kept_in_memory_changes_no_sample(build):
    kept, read = build(), build()
    read.pictures.cache = None
    for _ in range(2):
        for number in range(6):
            ours, theirs = kept[(number, number, 1)], read[(number, number, 1)]
            assert ours.keys() == theirs.keys()
            for name, value in ours.items():
                assert np.array_equal(value, theirs[name]), name
                value[:] = 0  # whoever works on a sample does not change what is kept
    assert len(kept.maps) == 6 and not read.maps


def test_small_instances_leave_the_table():
    instance_map = np.zeros((6, 6), np.int32)
    instance_map[0, 0], instance_map[2:4, 1:5] = 1, 2
    kept, table = instance_table(instance_map, np.array([3, 7]), min_area=2)
    assert kept.tolist() == [1] and table.tolist() == [[7, 2, 2]]
    assert instance_table(instance_map, np.array([3, 7]), min_area=9)[1].shape == (0, 3)


def test_a_batch_pads_its_tables(build):
    dataset = build()
    empty = {**dataset[(0, 0, 0)], "points": np.zeros((0, 3), np.int32), "instance_weights": np.zeros(0, np.float32)}
    batch = collate([dataset[(1, 0, 0)], empty])
    assert batch["points"].shape == (2, 1, 3) and batch["points"][1].tolist() == [[-1, -1, -1]]
    assert batch["instance_weights"].tolist() == [[1], [0]] and batch["picture"].dtype == torch.uint8
