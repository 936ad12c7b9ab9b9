import contextlib
import io

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from instance_sets import instances, random_set, rectangle, rectangles
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from wsis_steps.evaluation.coco_scores import coco_ap
from wsis_steps.evaluation.overlaps import overlap_table

ONE, TWO, THREE = rectangle(0, 0, 4, 4), rectangle(4, 0, 8, 4), rectangle(8, 0, 12, 4)


def reference(predictions, truths, class_count):
    """The three figures per class by pycocotools, from the twelve it summarises by class."""
    annotations, results = [], []
    for image_id, (prediction, truth) in enumerate(zip(predictions, truths, strict=True)):
        for k, rle in enumerate(truth.rles):
            row = {"id": len(annotations) + 1, "image_id": image_id, "category_id": int(truth.categories[k])}
            row |= {"segmentation": rle, "area": float(truth.areas[k]), "iscrowd": int(truth.crowd[k])}
            annotations.append(row)
        for k, rle in enumerate(prediction.rles):
            row = {"image_id": image_id, "category_id": int(prediction.categories[k]), "segmentation": rle}
            results.append(row | {"score": float(prediction.scores[k])})
    scores = {"coco_ap": [], "coco_ap50": [], "coco_ap75": []}
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i, "height": 50, "width": 50} for i in range(len(truths))],
            "categories": [{"id": c, "name": str(c)} for c in range(class_count)],
            "annotations": annotations,
        }
        coco.createIndex()
        loaded = coco.loadRes(results)
        for category in range(class_count):
            evaluation = COCOeval(coco, loaded, "segm")
            evaluation.params.catIds = [category]
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            for name, value in zip(scores, evaluation.stats[:3], strict=True):
                scores[name].append(np.nan if value < 0 else value)
    return scores


@pytest.mark.parametrize("void", ["keep", "drop"])
@pytest.mark.parametrize("crowd", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_as_pycocotools(seed, crowd, void):
    predictions, truths = random_set(seed, images=10, classes=3, crowd=crowd)
    found, wanted = coco_ap(overlap_table(predictions, truths, 4, void)), reference(predictions, truths, 4)
    assert 0 < np.nanmean(wanted["coco_ap"]) < np.nanmean(wanted["coco_ap50"]) < 1
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, atol=1e-9, err_msg=name)


@settings(max_examples=60)
@given(st.lists(st.tuples(rectangles(), rectangles()), min_size=1, max_size=3))
def test_equal_scores_and_overlaps_are_told_apart_as_pycocotools_does(pairs):
    predictions, truths = zip(*pairs, strict=True)
    assume(any(prediction.rles for prediction in predictions))  # pycocotools wants one
    found, wanted = coco_ap(overlap_table(predictions, truths, 2, "keep")), reference(predictions, truths, 2)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("wanted", [0, 1])
def test_of_truths_that_it_overlaps_alike_a_prediction_takes_the_one_that_pycocotools_gives_it(wanted):
    left, right, between = rectangle(0, 0, 6, 4), rectangle(2, 0, 8, 4), rectangle(1, 0, 7, 4)
    truth = instances([left, right], [0, 0])
    second = (left, right)[wanted]  # finds its own truth only where the first has taken the other
    prediction = instances([between, second], [0, 0], [0.9, 0.8])
    found = coco_ap(overlap_table([prediction], [truth], 1, "keep"))
    assert found["coco_ap"][0] == pytest.approx(reference([prediction], [truth], 1)["coco_ap"][0], abs=1e-9)


def test_of_an_image_and_class_the_best_hundred_count():
    rng = np.random.default_rng(0)
    shifts = [rectangle(k % 3, 0, 8, 4 + k % 5) for k in range(240)]
    predictions = [instances(shifts, rng.integers(0, 2, 240), rng.permutation(240) / 240) for _ in range(3)]
    truths = [instances([rectangle(0, 0, 8, 6), rectangle(8, 0, 12, 9)], [0, 1])] * 3
    found, wanted = coco_ap(overlap_table(predictions, truths, 2, "keep")), reference(predictions, truths, 2)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, atol=1e-9, err_msg=name)


def test_perfect_predictions_score_one():
    _, truths = random_set(1)
    for values in coco_ap(overlap_table(truths, truths, 3, "keep")).values():
        np.testing.assert_allclose(values, 1.0)


def test_predictions_inside_a_crowd_count_neither_way():
    truth = instances([ONE, np.logical_or(TWO, THREE)], [0, 0], crowd=[False, True])
    in_crowd, outside = instances([TWO, THREE, ONE], [0] * 3, [0.9, 0.8, 0.7]), rectangle(0, 8, 4, 12)
    assert coco_ap(overlap_table([in_crowd], [truth], 1, "keep"))["coco_ap50"][0] == pytest.approx(1.0)
    wrong = instances([outside, ONE], [0, 0], [0.9, 0.7])
    assert coco_ap(overlap_table([wrong], [truth], 1, "keep"))["coco_ap50"][0] == pytest.approx(0.5)


def test_classes_without_truth_are_undefined_and_missed_classes_score_nothing():
    scores = coco_ap(overlap_table([instances([ONE, TWO], [0, 2])], [instances([ONE, TWO], [0, 1])], 3, "keep"))
    for values in scores.values():
        np.testing.assert_allclose(values, [1.0, 0.0, np.nan])


def test_no_predictions_at_all_score_nothing():
    empty = instances([], [])
    assert coco_ap(overlap_table([empty, empty], [instances([ONE], [0]), empty], 1, "keep"))["coco_ap"][0] == 0


def test_no_truth_at_all_is_undefined():
    empty = instances([], [])
    assert np.isnan(coco_ap(overlap_table([instances([ONE], [0]), empty], [empty, empty], 2, "keep"))["coco_ap"]).all()
