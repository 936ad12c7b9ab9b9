"""The recommended score and the settings of predictions, from a run with ground truth and from one without."""

import json
from dataclasses import replace

import numpy as np
import pytest
from artifacts import CLASSES, nothing, provenance, square_mask, write_images, write_labels
from calls import call

from wsis_steps.engine.documents import read_document
from wsis_steps.evaluation.recommend_score import best_by_tags
from wsis_steps.evaluation.recommendation import BASES, read_recommendation
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances, write_instances
from wsis_steps.vision.masks import describe, encode

SETTINGS = {"crf_iterations": 5, "min_score": 0.05}
SIZE = 32


@pytest.fixture
def made(tmp_path):
    """images.h5, its true instances, and predictions of which the sure half is right."""
    write_images(tmp_path / "images.h5", train=2, val=8)
    images = Images(tmp_path / "images.h5")
    members = images.members("val").tolist()
    found = []
    for i in members:
        category = int(images.tags[i].argmax())
        right, wrong = square_mask(i), np.rot90(square_mask(i), 2)
        categories = np.array([category, 1 - category])
        scores = np.array([0.6 + i / 100, 0.2 + i / 100])
        found.append(describe(encode(np.stack([right, wrong])), categories, scores=scores))
    about = replace(provenance(step="maskrcnn_infer"), settings=json.dumps(SETTINGS), inputs={"model": "0123"})
    ids, sides = [images.ids[i] for i in members], [SIZE] * len(members)
    write_instances(tmp_path / "val.h5", about, ids, sides, sides, found)
    write_labels(tmp_path / "truth.h5", first=members[0], count=len(members))
    return tmp_path


def test_with_ground_truth_the_score_is_that_of_the_figures(made):
    figures, advice = made / "figures.json", made / "model.json"
    done = call("evaluation.score_instances", truth=made / "truth.h5", predictions=made / "val.h5", figures=figures)
    assert done.status == 0, done.errors
    inputs = {"images": made / "images.h5", "predictions": made / "val.h5", "figures": figures}
    done = call("evaluation.recommend_score", **inputs, advice=advice)
    assert done.status == 0, done.errors
    found = read_recommendation(advice)
    thresholds = read_document(figures)["thresholds"]
    best = thresholds["pooled"]["best"]
    assert (found.score, found.precision, found.recall, found.f1) == tuple(
        best[name] for name in ("score", "precision", "recall", "f1")
    )
    assert found.basis == "truth" and found.settings == SETTINGS and found.model == "0123"
    assert set(thresholds["classes"]) == set(CLASSES) and len(thresholds["scores"]) == 19
    assert sum(thresholds["errors"]["true"].values()) == 8


def test_without_it_the_score_separates_tags_from_other_classes_and_says_so(made):
    done = call("evaluation.recommend_score", images=made / "images.h5", predictions=made / "val.h5",
                advice=made / "model.json")  # fmt: skip
    assert done.status == 0, done.errors
    found = read_recommendation(made / "model.json")
    images, predictions = Images(made / "images.h5"), Instances(made / "val.h5")
    wrong, right = [], []
    for i, one in zip(images.members("val"), predictions, strict=True):
        for category, score in zip(one.categories, one.scores, strict=True):
            (right if images.tags[i, category] else wrong).append(score)
    assert max(wrong) < found.score <= min(right)  # separable, so the F1 is 1
    assert (found.precision, found.recall, found.f1) == (1, 1, 1)
    assert found.basis == "tags" and BASES["tags"] in found.sentence()
    assert any("have no ground-truth masks" in line for line in done.log)


def test_images_without_a_tag_say_nothing_and_where_nothing_is_right_there_is_no_score(made, tmp_path):
    images, predictions = Images(made / "images.h5"), Instances(made / "val.h5")
    before = best_by_tags(predictions, images)
    images.tags[images.members("val")[0]] = False
    after = best_by_tags(predictions, images)
    assert after["f1"] == 1 and before["f1"] == 1
    ids, sides = list(predictions.ids), [SIZE] * len(predictions)
    write_instances(made / "none.h5", predictions.provenance, ids, sides, sides, [nothing() for _ in ids])
    done = call("evaluation.recommend_score", images=made / "images.h5", predictions=made / "none.h5",
                advice=made / "none.json")  # fmt: skip
    assert done.status == 0 and any("no score can be recommended" in line for line in done.log)
    found = read_recommendation(made / "none.json")
    assert found.score is None and found.settings == SETTINGS and found.sentence() == ""


def test_no_score_is_recommended_below_the_least_of_the_predictions(made):
    """All of them are right, so any score up to the lowest has the best F1, also those that predictions cannot have."""
    images, predictions = Images(made / "images.h5"), Instances(made / "val.h5")
    found = []
    for i in images.members("val").tolist():
        mask, category = square_mask(i), int(images.tags[i].argmax())
        found.append(describe(encode(mask[None]), np.array([category]), scores=np.array([0.31])))
    ids, sides = list(predictions.ids), [SIZE] * len(predictions)
    about = replace(predictions.provenance, settings=json.dumps({"min_score": 0.3}))
    write_instances(made / "sure.h5", about, ids, sides, sides, found)
    done = call("evaluation.recommend_score", images=made / "images.h5", predictions=made / "sure.h5",
                advice=made / "sure.json")  # fmt: skip
    assert done.status == 0, done.errors
    advice = read_recommendation(made / "sure.json")
    assert (advice.score, advice.f1) == (0.3, 1)


def test_predictions_that_name_no_model_are_refused(made):
    done = call("evaluation.recommend_score", images=made / "images.h5", predictions=made / "truth.h5",
                advice=made / "model.json")  # fmt: skip
    assert done.status == 2 and "was not predicted by a model" in done.errors[0]
    assert not (made / "model.json").exists()
