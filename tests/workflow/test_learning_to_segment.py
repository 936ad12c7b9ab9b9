"""The semantic network as steps: it learns from tags alone, and its maps keep to the tags."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from artifacts import CLASSES, SIZE, write_images, write_labels
from calls import call
from PIL import Image
from tiny_settings import LEARNING_TO_SEGMENT
from tiny_workflow import ROOT

from wsis_steps.learning_to_segment.infer import prepare
from wsis_steps.learning_to_segment.settings import LearningToSegmentInfer, LearningToSegmentTrain
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
    for split, path in outputs.items():
        outcome = call("learning_to_segment.infer", settings, **inputs, split=split, semantic=path)
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


@pytest.mark.parametrize(
    ("chosen", "shape"),
    [
        ({"short_side": 0}, (90, 120)),
        ({"short_side": 45}, (45, 60)),
        ({"short_side": 180}, (180, 240)),
        ({"size": 64, "short_side": 45}, (64, 64)),
    ],
)
def test_the_network_sees_pictures_in_the_size_that_is_set(chosen, shape):
    picture = np.random.default_rng(0).integers(0, 255, (90, 120, 3)).astype(np.uint8)
    assert prepare(LearningToSegmentInfer(**chosen))(picture).shape == (3, *shape)


@pytest.mark.parametrize("chosen", [{"short_side": 256}, {"size": 256}])
def test_noise_that_is_shrunk_is_averaged(chosen):
    noise = np.random.default_rng(0).integers(0, 256, (1800, 2400, 3)).astype(np.uint8)
    found = prepare(LearningToSegmentInfer(**chosen))(noise).permute(1, 2, 0).numpy().astype(int)
    filters = Image.Resampling.BILINEAR, Image.Resampling.BOX  # of PIL, both with antialiasing
    wide, narrow = (np.asarray(Image.fromarray(noise).resize(found.shape[1::-1], one)).std() for one in filters)
    assert wide < found.std() < narrow < 12  # sampling without averaging keeps about 50
    smooth = Image.fromarray(noise[:9, :12]).resize((2400, 1800), Image.Resampling.BICUBIC)
    found = prepare(LearningToSegmentInfer(**chosen))(np.asarray(smooth)).permute(1, 2, 0).numpy().astype(int)
    expected = np.asarray(smooth.resize(found.shape[1::-1], Image.Resampling.BOX)).astype(int)
    assert np.abs(found - expected).max() <= 2


def test_maps_keep_the_size_of_their_pictures_whatever_the_network_sees(data, tmp_path):
    assert train(data, tmp_path).status == 0
    _, own = infer(data, tmp_path)
    for chosen in ({"short_side": SIZE}, {"short_side": 0}, {"short_side": 2 * SIZE}):
        _, labels = infer(data, tmp_path, **chosen)
        assert {split: found.shape for split, found in labels.items()} == {
            split: found.shape for split, found in own.items()
        }
        same = np.mean(labels["val"] == own["val"])
        assert same < 1 if chosen["short_side"] > SIZE else same == 1
    larger = {**LEARNING, "resize": 2 * SIZE, "crop": 2 * SIZE, "iterations": 3}
    (tmp_path / "larger").mkdir()
    assert train(data, tmp_path / "larger", settings=larger).status == 0
    _, as_trained = infer(data, tmp_path / "larger")
    _, same_side = infer(data, tmp_path / "larger", short_side=2 * SIZE)
    _, other_side = infer(data, tmp_path / "larger", short_side=SIZE)
    assert (as_trained["val"] == same_side["val"]).all() and (as_trained["val"] != other_side["val"]).any()


def planned(tmp_path, *presets) -> str:
    """What a dry run of presets laid over each other says."""
    paths = [str(ROOT / "workflow/presets" / f"{name}.yaml") for name in presets]
    words = ["--dry-run", "--cores", "1", "--directory", str(tmp_path), "--configfile", *paths]
    done = subprocess.run([sys.executable, "-m", "snakemake", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_maps_of_training_images_that_nothing_reads_are_not_made(tmp_path):
    said = planned(tmp_path, "voc2012", "voc2012_imagenet")
    assert "semantic/val.h5" in said and "semantic/train.h5" not in said
