"""The semantic network as steps: it learns from tags alone, and its maps keep to the tags."""

import json

import numpy as np
import pytest
import torch
from artifacts import CLASSES, SIZE, write_images, write_labels
from calls import call
from tiny_settings import LEARNING_TO_SEGMENT

from wsis_steps.learning_to_segment.settings import LearningToSegmentTrain
from wsis_steps.learning_to_segment.train import neighbourhood_weight, shrink
from wsis_steps.vision.contracts.maps import Maps

# long enough to see bright squares on dark noise
LEARNING = {**LEARNING_TO_SEGMENT, "decoder_width": 16, "iterations": 60, "batch_size": 6, "optimizer": "adamw"}
LEARNING |= {"learning_rate": 3e-3, "head_lr_factor": 1, "schedule": "constant", "appearance_color": 40}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_images(folder / "images.h5")
    write_labels(folder / "truth.h5")
    return folder


def train(data, folder, **arguments):
    settings = arguments.pop("settings", LEARNING)
    outputs = {"model": folder / "model.pt", "metrics": folder / "metrics.jsonl"}
    return call("learning_to_segment.train", settings, images=data / "images.h5", **outputs, **arguments)


def infer(data, folder, **settings):
    outputs = {split: folder / f"{split}.h5" for split in ("train", "val")}
    inputs = {"images": data / "images.h5", "model": folder / "model.pt"}
    outcome = call("learning_to_segment.infer", settings, **inputs, **outputs)
    assert outcome.status == 0, outcome.errors
    found = {split: Maps(path) for split, path in outputs.items()}
    return found, {split: np.stack([maps.semantic(i) for i in range(len(maps))]) for split, maps in found.items()}


def test_tags_alone_teach_where_objects_are(data, tmp_path):
    assert train(data, tmp_path).status == 0
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {"pixel_label", "neighbourhood", "total"} <= set(lines[0])
    assert lines[-1]["total"] == pytest.approx(lines[-1]["pixel_label"] + 0.3 * lines[-1]["neighbourhood"])
    maps, labels = infer(data, tmp_path)
    assert maps["train"].supervision == ("tags",) and labels["val"].shape == (2, SIZE, SIZE)
    for i in range(6):
        assert set(np.unique(labels["train"][i])) <= {0, 1 + i % len(CLASSES)}
    share = (labels["train"] > 0).mean()
    assert 0.05 < share < 0.95  # the quotas keep both background and objects
    refined, _ = infer(data, tmp_path, crf_iterations=2, bilateral_sxy=5)
    assert any((refined["train"].semantic(i) != labels["train"][i]).any() for i in range(6))


def test_the_weight_of_the_neighbours_grows_where_a_ramp_is_set():
    settings = LearningToSegmentTrain(iterations=10, neighbourhood_weight=0.4, neighbourhood_ramp=0.5)
    assert [neighbourhood_weight(settings, k) for k in (1, 4, 5, 6, 10)] == pytest.approx([0.08, 0.32, 0.4, 0.4, 0.4])
    constant = settings.model_copy(update={"neighbourhood_ramp": 0.0})
    assert neighbourhood_weight(constant, 1) == neighbourhood_weight(constant, 10) == 0.4


def test_the_weight_that_grows_is_that_of_the_loss(data, tmp_path):
    assert train(data, tmp_path, settings={**LEARNING, "neighbourhood_ramp": 1.0}).status == 0
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == lines[-1]["iteration"] > 1  # a line an iteration
    for line in lines:
        weight = 0.3 * line["iteration"] / len(lines)
        assert line["total"] == pytest.approx(line["pixel_label"] + weight * line["neighbourhood"], rel=1e-4)


def test_the_upper_bound_learns_from_masks(data, tmp_path):
    outcome = train(data, tmp_path, truth=data / "truth.h5", settings={**LEARNING, "supervision": "masks"})
    assert outcome.status == 0, outcome.errors
    maps, labels = infer(data, tmp_path)
    assert maps["train"].supervision == ("masks",)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["total"] < 0.7 * json.loads(lines[0])["total"]


@pytest.mark.parametrize("supervision, given", [("tags", True), ("masks", False)])
def test_masks_go_in_only_where_the_run_says_so(data, tmp_path, supervision, given):
    truth = {"truth": data / "truth.h5"} if given else {}
    outcome = train(data, tmp_path, settings={**LEARNING_TO_SEGMENT, "supervision": supervision}, **truth)
    assert outcome.status == 2 and "supervision is 'masks'" in outcome.errors[0]
    assert not any(tmp_path.iterdir())


def test_pictures_shrink_with_what_is_valid_of_them():
    picture = torch.arange(3 * 10 * 8).reshape(1, 3, 10, 8).to(torch.uint8)
    valid = torch.ones(1, 10, 8, dtype=torch.bool)
    valid[0, 5, 7] = False
    small, counted = shrink(picture, valid)
    assert small.shape == (1, 3, 3, 2) and counted[0].tolist() == [[True, True], [True, False], [True, True]]
    assert small[0, 1, 0, 1] == picture[0, 1, :4, 4:].float().mean()
    assert small[0, 2, 2, 0] == picture[0, 2, 8:, :4].float().mean()
