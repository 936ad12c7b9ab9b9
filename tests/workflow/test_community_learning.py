"""Deep Community Learning as steps and as a run: tags and boxes teach where objects are, and what their masks are."""

import json

import numpy as np
import pytest
import torch
from artifacts import CLASSES, SIZE, png, provenance, square_mask, write_images
from calls import call
from proposal_sets import random_proposals, square_boxes, write_proposals
from tiny_settings import COMMUNITY_LEARNING

from wsis_steps.community_learning.samples import TrainingSamples
from wsis_steps.community_learning.settings import CommunityLearningTrain
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Annotation, Images, ImagesWriter
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.masks import decode

# long enough to see bright squares on dark noise
LEARNING = {**COMMUNITY_LEARNING, "iterations": 160, "batch_size": 3, "optimizer": "adamw", "learning_rate": 3e-3}
LEARNING |= {"schedule": "one_cycle", "weight_decay": 1e-2, "activation_width": 16, "segmentation_mean": True}
# the features of a place see 43 pixels, which should not be the whole picture
LEARNING |= {"norm": "frozen", "short_sides": [96], "head_lr_factor": 3, "sampled_objects": 6, "sampled_background": 6}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_images(folder / "images.h5")
    square_boxes(folder / "proposals.h5")
    return folder


@pytest.fixture(scope="module")
def colored(tmp_path_factory):
    """Squares whose color tells their class: where it is can be learned from the tags."""
    folder = tmp_path_factory.mktemp("colored")
    with create(folder / "images.h5", Images.schema, provenance(CLASSES, ())) as file:
        writer = ImagesWriter(file)
        for k in range(8):
            color = np.array([(200, 0, 0), (0, 0, 200)][k % 2], np.uint8)
            noise = np.random.default_rng(k).integers(0, 50, (SIZE, SIZE, 3)).astype(np.uint8)
            annotation = Annotation(np.array([k % 2]), np.zeros((0, 3)), np.zeros((0, 5)))
            pixels = png(noise + square_mask(k)[..., None] * color)
            writer.add(f"image{k}", "train" if k < 6 else "val", pixels, SIZE, SIZE, annotation)
        writer.close()
    square_boxes(folder / "proposals.h5")
    return folder


def train(data, folder, settings, proposals=None):
    outputs = {"model": folder / "model.pt", "metrics": folder / "metrics.jsonl"}
    inputs = {"images": data / "images.h5", "proposals": proposals or data / "proposals.h5"}
    return call("community_learning.train", settings, **inputs, **outputs)


def infer(data, folder, **settings) -> tuple[Instances, Instances]:
    outputs = {name: folder / f"{name}.h5" for name in ("labels", "predictions")}
    inputs = {"images": data / "images.h5", "proposals": data / "proposals.h5", "model": folder / "model.pt"}
    outcome = call("community_learning.infer", {"short_sides": [32], **settings}, **inputs, **outputs)
    assert outcome.status == 0, outcome.errors
    return tuple(Instances(path) for path in outputs.values())


def best_overlap(instances: Instances, i: int, number: int) -> float:
    masks, truth = decode(instances.read(i).rles, SIZE, SIZE)[:1] > 0, square_mask(number) > 0
    return float((masks & truth).sum() / (masks | truth).sum()) if len(masks) else 0.0


def test_tags_and_boxes_teach_where_objects_are(colored, tmp_path):
    assert train(colored, tmp_path, LEARNING).status == 0
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    terms = {"classification", "regression", "segmentation"}
    terms |= {f"{name}{k}" for name in ("refinement", "activation") for k in (1, 2, 3)}
    assert terms | {"total"} == set(lines[0]) - {"iteration", "learning_rate", "digest"}
    assert lines[-1]["total"] == pytest.approx(sum(lines[-1][name] for name in terms), rel=1e-4)
    assert lines[-1]["classification"] < 0.7 * lines[0]["classification"]
    labels, predictions = infer(colored, tmp_path, short_sides=[96])
    assert labels.supervision == predictions.supervision == ("tags",) and (len(labels), len(predictions)) == (6, 2)
    for i in range(6):
        assert set(labels.read(i).categories) <= {i % len(CLASSES)}  # the tags
    assert np.mean([best_overlap(labels, i, i) for i in range(6)]) > 0.3  # a random box would have some 0.1


def test_passes_and_thresholds_of_inference_are_settings(data, tmp_path):
    assert train(data, tmp_path, COMMUNITY_LEARNING).status == 0
    labels, _ = infer(data, tmp_path, short_sides=[32, 48], flip=True, min_score=0, detections=3)
    assert all(len(labels.read(i)) <= 3 for i in range(6))
    for instances in labels:  # boxes are the detector's, and what is pasted stays within them
        for box, mask in zip(instances.boxes, decode(instances.rles, SIZE, SIZE), strict=True):
            rows, columns = np.nonzero(mask)
            assert box[0] - 0.5 <= columns.min() and columns.max() + 0.5 <= box[2]
            assert box[1] - 0.5 <= rows.min() and rows.max() + 0.5 <= box[3]
    assert not sum(map(len, infer(data, tmp_path, min_score=1)[0]))


def test_without_mask_generation_boxes_are_the_masks(data, tmp_path):
    settings = {**COMMUNITY_LEARNING, "mask_generation": False, "segmentation": False, "regression": "none"}
    assert train(data, tmp_path, settings).status == 0
    labels, _ = infer(data, tmp_path, min_score=0)
    given = {tuple(box) for box in Proposals(data / "proposals.h5").read(0).boxes.astype(int).tolist()}
    found = labels.read(0)
    assert len(found) and {tuple(box) for box in found.boxes.astype(int).tolist()} <= given
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    assert (found.areas == sides.prod(axis=1)).all()


def test_parts_of_a_batch_give_the_gradient_of_the_whole(data, tmp_path):
    # regions are drawn by the sample's own random numbers, so they are the same in any part
    settings = {
        **COMMUNITY_LEARNING,
        "iterations": 1,
        "optimizer": "sgd",
        "sampled_objects": 2,
        "sampled_background": 2,
    }
    models = []
    for parts in (1, 2):
        (tmp_path / str(parts)).mkdir()
        assert train(data, tmp_path / str(parts), {**settings, "accumulation": parts}).status == 0
        models.append(torch.load(tmp_path / f"{parts}/model.pt", weights_only=True)["model"])
    for name in models[0]:
        torch.testing.assert_close(models[0][name], models[1][name], rtol=1e-4, atol=1e-6)


def test_what_the_boxes_have_seen_goes_with_the_model(data, tmp_path):
    rng = np.random.default_rng(0)
    images = {f"image{k}": (random_proposals(rng, "regions", 9, SIZE, SIZE), SIZE, SIZE) for k in range(8)}
    seen = write_proposals(tmp_path / "seen.h5", "regions", images, ("masks_seen",))
    assert train(data, tmp_path, COMMUNITY_LEARNING, seen).status == 0
    assert infer(data, tmp_path)[0].supervision == ("masks_seen", "tags")


def test_proposals_of_other_images_are_refused(data, tmp_path):
    rng = np.random.default_rng(0)
    images = {"image0": (random_proposals(rng, "boxes", 9, SIZE, SIZE), SIZE, SIZE)}
    other = write_proposals(tmp_path / "other.h5", "boxes", images)
    outcome = train(data, tmp_path, COMMUNITY_LEARNING, other)
    assert outcome.status == 2 and "holds image 'image1', which" in outcome.errors[0]
    assert not (tmp_path / "model.pt").exists()


def test_samples_move_boxes_with_their_pictures(data):
    images, proposals = Images(data / "images.h5"), Proposals(data / "proposals.h5")
    settings = CommunityLearningTrain(weights="none", short_sides=(64,), rot90=True, max_proposals=5)
    samples = TrainingSamples(images, proposals, settings.model_copy(update={"max_proposals": 100}))
    for place in range(8):
        sample = samples[(place % 6, 0, place)]
        assert sample["picture"].shape == (3, 64, 64) and sample["tags"].tolist() == images.tags[place % 6].tolist()
        x1, y1, x2, y2 = sample["boxes"][-1].round().int().tolist()  # the last is the bright square's
        assert (x2 - x1, y2 - y1) == (24, 24)
        bright = sample["picture"].float().mean(dim=0)
        inside = bright[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1]
        assert inside.mean() > 150 and (bright.sum() - inside.sum()) / (64 * 64 - inside.numel()) < 80
    few = TrainingSamples(images, proposals, settings)
    assert few[(0, 0, 0)]["boxes"].shape == (5, 4)


def test_an_image_without_proposals_is_one_proposal(tmp_path):
    write_images(tmp_path / "images.h5")
    rng = np.random.default_rng(0)
    nothing = {f"image{k}": (random_proposals(rng, "boxes", 0, SIZE, SIZE), SIZE, SIZE) for k in range(8)}
    write_proposals(tmp_path / "proposals.h5", "boxes", nothing)
    assert train(tmp_path, tmp_path, COMMUNITY_LEARNING).status == 0
    labels, predictions = infer(tmp_path, tmp_path, min_score=0)
    assert all(len(labels.read(i)) <= 1 for i in range(6)) and len(predictions) == 2
