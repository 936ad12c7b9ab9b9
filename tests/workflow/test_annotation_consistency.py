"""Annotation Consistent Instances as steps and as runs: tags or boxes, proposals and two networks in turn."""

import json

import numpy as np
import pytest
import torch
from artifacts import CLASSES, SIZE, png, provenance, square_mask, squares, write_images
from calls import call, files
from proposal_sets import square_boxes, square_edges, square_regions
from tiny_settings import INITIALISE, TRAIN_CONDITIONAL, TRAIN_PREDICTION

from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Annotation, Images, ImagesWriter
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.label_sets import LabelSets
from wsis_steps.vision.masks import decode

# long enough to tell the color of a square
LEARNING = {
    **INITIALISE,
    "iterations": 60,
    "batch_size": 9,
    "optimizer": "adamw",
    "learning_rate": 5e-3,
    "schedule": "constant",
}
TRAIN = 9
OBJECTS = [k for k in range(TRAIN) if k % 3 < 2]
SAMPLES = {"samples": 3, "overlap": "smaller"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Squares whose color tells their class, of every third none, with tags and boxes; proposals and edges."""
    folder = tmp_path_factory.mktemp("data")
    with create(folder / "images.h5", Images.schema, provenance(CLASSES, ())) as file:
        writer = ImagesWriter(file)
        for k in range(TRAIN + 2):
            color = np.array([(200, 0, 0), (0, 0, 200), (90, 90, 90)][k % 3], np.uint8)
            noise = np.random.default_rng(k).integers(0, 50, (SIZE, SIZE, 3)).astype(np.uint8)
            box = np.append(squares(k).boxes[0], k % 3)[None]
            none = k % 3 == 2
            annotation = Annotation(np.array([k % 3])[none:], np.zeros((0, 3)), box[none:])
            pixels = png(noise + square_mask(k)[..., None] * color)
            writer.add(f"image{k}", "train" if k < TRAIN else "val", pixels, SIZE, SIZE, annotation)
        writer.close()
    square_regions(folder / "proposals.h5", TRAIN + 2)
    square_edges(folder / "edges.h5", TRAIN + 2)
    return folder


@pytest.fixture(scope="module")
def trained(data):
    """The conditional network of the first round, beside the data."""
    outputs = {"model": data / "conditional.pt", "metrics": data / "conditional.jsonl"}
    outcome = call("annotation_consistency.initialise", LEARNING, **inputs(data), **outputs)
    assert outcome.status == 0, outcome.errors
    return data


@pytest.fixture(scope="module")
def predicted(trained):
    """Label sets and the prediction network of the first round."""
    assert sample(trained, trained, samples=3).status == 0
    outcome = train_prediction(trained, trained)
    assert outcome.status == 0, outcome.errors
    return trained


def inputs(data, *names) -> dict:
    return {name: data / f"{name}.h5" for name in ("images", "proposals", *names)}


def sample(data, folder, model="conditional.pt", edges=("edges",), **settings):
    outputs = {name: folder / f"{name}.h5" for name in ("samples", "labels")}
    return call("annotation_consistency.sample", settings, **inputs(data, *edges), model=data / model, **outputs)


def train_prediction(data, folder, name="prediction", previous=None, **settings):
    paths = {"images": data / "images.h5", "samples": data / "samples.h5"} | (
        {"previous": previous} if previous else {}
    )
    outputs = {"model": folder / f"{name}.pt", "metrics": folder / f"{name}.jsonl"}
    return call("annotation_consistency.train_prediction", {**TRAIN_PREDICTION, **settings}, **paths, **outputs)


def train_conditional(data, folder, prediction="prediction.pt", edges=("edges",), **settings):
    models = {"conditional": data / "conditional.pt", "prediction": data / prediction}
    outputs = {"model": folder / "model.pt", "metrics": folder / "metrics.jsonl"}
    settings = {**TRAIN_CONDITIONAL, **settings}
    return call("annotation_consistency.train_conditional", settings, **inputs(data, *edges), **models, **outputs)


def overlaps(labels: Instances) -> list[float]:
    """Overlap of the best instance with the square in each image that has a tag."""
    found = []
    for i in OBJECTS:
        instances, truth = labels.read(i), square_mask(i) > 0
        mask = decode(instances.rles, SIZE, SIZE)[instances.scores.argmax()] > 0
        found.append(float((mask & truth).sum() / (mask | truth).sum()))
    return found


def test_tags_teach_which_proposal_is_the_object(trained, tmp_path):
    lines = [json.loads(line) for line in (trained / "conditional.jsonl").read_text().splitlines()]
    assert lines[-1]["total"] < 0.5 * lines[0]["total"]
    outcome = sample(trained, tmp_path, **SAMPLES)
    assert outcome.status == 0 and any("labels of two samples differ for" in line for line in outcome.log)
    labels, sets = Instances(tmp_path / "labels.h5"), LabelSets(tmp_path / "samples.h5")
    assert labels.supervision == ("tags",) and len(labels) == len(sets) == TRAIN
    assert not any(len(labels.read(i)) for i in range(TRAIN) if i not in OBJECTS)
    for i in OBJECTS:
        assert set(labels.read(i).categories) == {i % 3}  # the tag, which is also always met
        held = sets.sets[sets.rows(i)]
        assert held.shape[1] == 3 and held.any(axis=0).all() and held.any(axis=1).all()
    assert (
        np.mean(overlaps(labels)) > 0.4
    )  # a random proposal would have some 0.15; here features see the whole picture


def test_boxes_leave_one_proposal_each(trained, tmp_path):
    assert sample(trained, tmp_path, **SAMPLES, supervision="boxes").status == 0
    labels = Instances(tmp_path / "labels.h5")
    assert labels.supervision == ("boxes", "tags") and [len(labels.read(i)) for i in OBJECTS] == [1] * 6
    assert np.mean(overlaps(labels)) > 0.9


def test_samples_depend_on_the_seed_only(trained, tmp_path):
    found = []
    for k, seed in enumerate((0, 0, 1)):
        (tmp_path / str(k)).mkdir()
        assert sample(trained, tmp_path / str(k), seed=seed, samples=3).status == 0
        sets = LabelSets(tmp_path / f"{k}/samples.h5")
        found.append((sets.sets.tolist(), np.concatenate([sets.read(i).scores for i in range(TRAIN)]).tolist()))
    assert found[0] == found[1] != found[2]


def test_without_pairwise_term_no_edges_are_needed(trained, tmp_path):
    assert sample(trained, tmp_path, edges=(), pairwise=False, higher_order=False, absent_classes="allowed").status == 0
    refused = sample(trained, tmp_path / "other", edges=())
    assert refused.status == 2 and "give --edges, or set pairwise to false" in refused.errors[0]
    assert files(tmp_path / "other") == []


def test_the_prediction_network_is_rewarded_for_its_diversity_and_goes_on(predicted, tmp_path):
    lines = [json.loads(line) for line in (predicted / "prediction.jsonl").read_text().splitlines()]
    assert all(-1 <= line["self_diversity"] < 0 for line in lines)
    others = sum(value for name, value in lines[0].items() if name.startswith("loss_"))
    assert lines[0]["total"] == pytest.approx(others + lines[0]["self_diversity"], rel=1e-4)
    settings = {"self_diversity": False, "learning_rate": 1e-12}
    assert train_prediction(predicted, tmp_path, previous=predicted / "prediction.pt", **settings).status == 0
    assert "self_diversity" not in json.loads((tmp_path / "prediction.jsonl").read_text().splitlines()[0])
    first, second = (
        torch.load(folder / "prediction.pt", weights_only=True)["model"] for folder in (predicted, tmp_path)
    )
    name = "roi_heads.box_predictor.cls_score.weight"
    torch.testing.assert_close(first[name], second[name])
    inferred = call(
        "maskrcnn.infer", {"min_size": 32, "max_size": 32}, images=predicted / "images.h5",
        model=predicted / "prediction.pt", predictions=tmp_path / "val.h5",
    )  # fmt: skip
    assert inferred.status == 0 and len(Instances(tmp_path / "val.h5")) == 2


def test_the_conditional_network_learns_from_the_prediction_network(predicted, tmp_path):
    assert train_conditional(predicted, tmp_path, iterations=6).status == 0
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {"cross_diversity", "sample_diversity", "total"} <= set(lines[0])
    assert all(0 <= line["cross_diversity"] <= 2 and 0 <= line["sample_diversity"] <= 1 for line in lines)
    before = torch.load(predicted / "conditional.pt", weights_only=True)["model"]
    after = torch.load(tmp_path / "model.pt", weights_only=True)["model"]
    assert before.keys() == after.keys() and not torch.equal(before["classify.weight"], after["classify.weight"])
    (tmp_path / "labels").mkdir()
    sampled = call(
        "annotation_consistency.sample", {"samples": 2}, **inputs(predicted, "edges"), model=tmp_path / "model.pt",
        samples=tmp_path / "labels/samples.h5", labels=tmp_path / "labels/labels.h5",
    )  # fmt: skip
    assert sampled.status == 0, sampled.errors


def test_what_an_ablation_does_not_touch_is_the_same(predicted, tmp_path):
    """The first iteration with and without a diversity: the same initial weights, order, samples and noise."""
    found = {}
    for reward in (True, False):
        (tmp_path / str(reward)).mkdir()
        for train, file in ((train_prediction, "prediction.jsonl"), (train_conditional, "metrics.jsonl")):
            outcome = train(predicted, tmp_path / str(reward), self_diversity=reward, iterations=1)
            assert outcome.status == 0, outcome.errors
            found[reward, file] = json.loads((tmp_path / str(reward) / file).read_text().splitlines()[0])
    for file, kept in (("prediction.jsonl", "loss_"), ("metrics.jsonl", ("cross_diversity", "sample_diversity"))):
        terms = [
            {name: x for name, x in found[reward, file].items() if name.startswith(kept)} for reward in (True, False)
        ]
        assert terms[0] == terms[1] and len(terms[0]) >= 2


def test_what_does_not_fit_is_one_sentence(predicted, tmp_path):
    boxes = square_boxes(tmp_path / "boxes.h5", TRAIN + 2)
    untagged = write_images(tmp_path / "untagged.h5", train=TRAIN, tagged=False)
    out = {"model": tmp_path / "out/model.pt", "metrics": tmp_path / "out/metrics"}
    cases = [
        (
            call("annotation_consistency.initialise", INITIALISE, **{**inputs(predicted), "proposals": boxes}, **out),
            "boxes.h5 holds boxes, which have no outline",
        ),
        (
            call("annotation_consistency.initialise", INITIALISE, **{**inputs(predicted), "images": untagged}, **out),
            "no training image has a tag",
        ),
        (
            call("annotation_consistency.initialise", {**INITIALISE, "backbone": "plain", "network": "resnet"},
                 **inputs(predicted), **out),
            "network: resnet needs a backbone other than plain",
        ),
        (
            sample(predicted, tmp_path / "out", model="prediction.pt"),
            "but a model trained by annotation_consistency_initialise or",
        ),
        (
            train_conditional(predicted, tmp_path / "out", prediction="conditional.pt"),
            "but a model trained by annotation_consistency_train_prediction is needed",
        ),
        (
            train_conditional(predicted, tmp_path / "out", learning_rate=1e30, iterations=20),
            "not finite",
        ),
    ]  # fmt: skip
    for outcome, words in cases:
        assert outcome.status == 2 and not outcome.traceback, (words, outcome)
        assert len(outcome.errors) == 1 and words in outcome.errors[0], outcome.errors
    assert files(tmp_path / "out") == []
