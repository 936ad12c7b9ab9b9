import contextlib
import dataclasses
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from instance_sets import decode, instances, random_set, rectangle, rectangles
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from wsis_steps.evaluation.average_precision import (
    ABOVE_HALF,
    MASK_THRESHOLDS,
    average_precision,
    box_ap50,
    corloc,
    mask_ap,
)
from wsis_steps.evaluation.class_means import class_mean
from wsis_steps.evaluation.overlaps import overlap_table

ONE, TWO = rectangle(0, 0, 4, 4), rectangle(4, 0, 8, 4)


def mask_iou(a, b):
    union = (a | b).sum()
    return (a & b).sum() / union if union else 0.0


def box_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    total = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - shared
    return shared / total if total else 0.0


def shapes(image, shape):
    return decode(image) if shape == "mask" else [box.astype(float) for box in image.boxes]


def slow_ap(predictions, truths, category, shape, threshold, matching):
    """AP of one class by nested loops and the textbook area under the curve."""
    iou = mask_iou if shape == "mask" else box_iou
    ranked, positives = [], 0
    for number, prediction in enumerate(predictions):
        for k in range(len(prediction)):
            if prediction.categories[k] == category:
                ranked.append((-prediction.scores[k], number, k))
        positives += sum((truths[number].categories == category) & ~truths[number].crowd)
    if positives == 0:
        return np.nan
    taken, recalls, precisions, hits = set(), [0.0], [1.0], 0
    for seen, (_, number, k) in enumerate(sorted(ranked), start=1):
        mine = shapes(predictions[number], shape)[k]
        best, best_iou = None, -1.0
        for j, other in enumerate(shapes(truths[number], shape)):
            if truths[number].categories[j] != category or truths[number].crowd[j]:
                continue
            if matching == "uncovered" and (number, j) in taken:
                continue
            if iou(mine, other) > best_iou:
                best, best_iou = (number, j), iou(mine, other)
        if best is not None and best_iou >= threshold and best not in taken:
            taken.add(best)
            hits += 1
        recalls.append(hits / positives)
        precisions.append(hits / seen)
    area = 0.0
    for k in range(1, len(recalls)):
        area += (recalls[k] - recalls[k - 1]) * max(precisions[k:])
    return area


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("matching", ["argmax", "uncovered"])
@pytest.mark.parametrize("shape", ["mask", "box"])
def test_as_nested_loops(seed, matching, shape):
    predictions, truths = random_set(seed, classes=3, crowd=0.1)
    thresholds = (0.1, 0.25, 0.5, 0.7)
    found = average_precision(overlap_table(predictions, truths, 3, "keep"), shape, thresholds, matching)
    wanted = [
        [slow_ap(predictions, truths, category, shape, threshold, matching) for category in range(3)]
        for threshold in thresholds
    ]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@given(
    st.lists(st.tuples(rectangles(), rectangles()), min_size=1, max_size=3),
    st.sampled_from(["argmax", "uncovered"]),
)
def test_as_nested_loops_on_any_rectangles(images, matching):
    predictions, truths = map(list, zip(*images, strict=True))
    found = average_precision(overlap_table(predictions, truths, 2, "keep"), "mask", (0.25, 0.5), matching)
    wanted = [
        [slow_ap(predictions, truths, category, "mask", threshold, matching) for category in range(2)]
        for threshold in (0.25, 0.5)
    ]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_uncovered_matching_as_pycocotools():
    """COCO matches like `uncovered`; read at the recalls k / positives, its precision adds up to our area."""
    predictions, truths = random_set(11, images=20, classes=1)
    positives = sum(map(len, truths))
    images = [{"id": i + 1, "height": 50, "width": 50} for i in range(len(truths))]
    annotations, results = [], []
    for i, (prediction, truth) in enumerate(zip(predictions, truths, strict=True)):
        for rle, area in zip(truth.rles, truth.areas, strict=True):
            row = {"id": len(annotations) + 1, "image_id": i + 1, "category_id": 1, "iscrowd": 0}
            annotations.append({**row, "segmentation": rle, "area": area})
        for rle, score in zip(prediction.rles, prediction.scores, strict=True):
            results.append({"image_id": i + 1, "category_id": 1, "segmentation": rle, "score": float(score)})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "0"}]}
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "segm")
        evaluation.params.iouThrs = np.array([0.25, 0.5, 0.7])
        evaluation.params.recThrs = (np.arange(positives) + 0.5) / positives
        evaluation.evaluate()
        evaluation.accumulate()
    wanted = evaluation.eval["precision"][:, :, 0, 0, -1].mean(axis=1)
    found = average_precision(
        overlap_table(predictions, truths, 1, "keep"), "mask", (0.25, 0.5, 0.7), matching="uncovered"
    )
    assert 0 < wanted[2] < wanted[0] < 1
    np.testing.assert_allclose(found[:, 0], wanted, atol=1e-9)


def test_perfect_predictions_score_one():
    _, truths = random_set(0, classes=3)
    for scores in mask_ap(overlap_table(truths, truths, 3, "keep"), "argmax").values():
        np.testing.assert_array_equal(scores, 1.0)


def test_metrics_go_by_their_names():
    truth = instances([rectangle(0, 0, 10, 1)], [0])
    prediction = instances([rectangle(0, 0, 7, 1)], [0])
    scores = mask_ap(overlap_table([prediction], [truth], 1, "keep"), "argmax")
    assert {name: values[0] for name, values in scores.items()} == {
        "mask_ap25": 1.0,
        "mask_ap50": 1.0,
        "mask_ap70": 1.0,  # IoU of just 0.7 is enough
        "mask_ap75": 0.0,
    }
    assert list(MASK_THRESHOLDS) == list(scores)


def test_duplicates_are_false_positives():
    truth = instances([ONE, TWO], [0, 0])
    prediction = instances([ONE, ONE, TWO], [0, 0, 0], [0.9, 0.8, 0.7])
    scores = average_precision(overlap_table([prediction], [truth], 1, "keep"), "mask", (0.5,), "argmax")
    assert scores[0, 0] == pytest.approx((1 + 2 / 3) / 2)


def test_only_uncovered_matching_allows_a_second_choice():
    truth = instances([ONE, TWO], [0, 0])
    between = rectangle(1, 0, 6, 4)  # IoU 1/2 with ONE, 2/7 with TWO
    table = overlap_table([instances([ONE, between], [0, 0], [0.9, 0.8])], [truth], 1, "keep")
    assert average_precision(table, "mask", (0.25,), "argmax")[0, 0] == 0.5
    assert average_precision(table, "mask", (0.25,), "uncovered")[0, 0] == 1.0


def test_dropping_void_changes_the_score():
    truth = instances([ONE], [0], ignore=rectangle(4, 0, 6, 4))
    prediction = instances([rectangle(0, 0, 6, 4)], [0])
    scores = [
        mask_ap(overlap_table([prediction], [truth], 1, void), "argmax")["mask_ap75"][0] for void in ("keep", "drop")
    ]
    assert scores == [0.0, 1.0]


def test_classes_without_truth_are_undefined_and_missed_classes_score_nothing():
    truth, prediction = instances([ONE, TWO], [0, 1]), instances([ONE, TWO], [0, 2])
    scores = mask_ap(overlap_table([prediction], [truth], 4, "keep"), "argmax")["mask_ap50"]
    np.testing.assert_array_equal(scores, [1.0, 0.0, np.nan, np.nan])
    assert class_mean(scores) == 0.5


def test_a_prediction_in_another_image_finds_nothing():
    empty, one = instances([], []), instances([ONE], [0])
    table = overlap_table([empty, one], [one, empty], 1, "keep")
    assert mask_ap(table, "argmax")["mask_ap25"][0] == 0
    assert corloc(table)[0] == 0


def test_ties_keep_the_order_of_the_file():
    truth = instances([ONE], [0])
    table = overlap_table([instances([ONE, TWO], [0, 0])], [truth], 1, "keep")
    swapped = overlap_table([instances([TWO, ONE], [0, 0])], [truth], 1, "keep")
    assert mask_ap(table, "argmax")["mask_ap50"][0] == 1.0
    assert mask_ap(swapped, "argmax")["mask_ap50"][0] == 0.5


@given(st.lists(st.tuples(rectangles(), rectangles()), min_size=1, max_size=3))
def test_only_the_order_of_scores_matters(images):
    predictions, truths = map(list, zip(*images, strict=True))
    moved = [dataclasses.replace(p, scores=(p.scores**3 / 4).astype(np.float32)) for p in predictions]
    for matching in ("argmax", "uncovered"):
        before, after = (mask_ap(overlap_table(p, truths, 2, "keep"), matching) for p in (predictions, moved))
        for name in before:
            np.testing.assert_array_equal(before[name], after[name])


@given(rectangles(), rectangles(), st.sampled_from(["argmax", "uncovered"]))
def test_a_false_positive_of_low_score_never_helps(prediction, truth, matching):
    masks, nothing = decode(prediction), np.zeros_like(ONE)
    worse = instances([*masks, nothing, nothing], [*prediction.categories, 0, 1], [*prediction.scores, 0.01, 0.01])
    before, after = (mask_ap(overlap_table([p], [truth], 2, "keep"), matching) for p in (prediction, worse))
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


@given(rectangles(), rectangles(), st.sampled_from(["argmax", "uncovered"]))
def test_a_false_positive_of_top_score_never_helps(prediction, truth, matching):
    masks, nothing = decode(prediction), np.zeros_like(ONE)
    worse = instances([*masks, nothing, nothing], [*prediction.categories, 0, 1], [*prediction.scores, 2, 2])
    before, after = (mask_ap(overlap_table([p], [truth], 2, "keep"), matching) for p in (prediction, worse))
    for name in before:
        defined = ~np.isnan(before[name])
        assert (after[name][defined] <= before[name][defined] + 1e-12).all()
        assert ((before[name][defined] >= 0) & (before[name][defined] <= 1)).all()
        found = before[name] > 0
        assert (after[name][found] < before[name][found]).all()


def test_boxes_need_more_than_half():
    truth = instances([rectangle(0, 0, 8, 4)], [0])
    half, more = instances([rectangle(0, 0, 4, 4)], [0]), instances([rectangle(0, 0, 5, 4)], [0])
    assert ABOVE_HALF > 0.5
    assert (
        box_ap50(overlap_table([half], [truth], 1, "keep"))[0]
        == corloc(overlap_table([half], [truth], 1, "keep"))[0]
        == 0
    )
    assert (
        box_ap50(overlap_table([more], [truth], 1, "keep"))[0]
        == corloc(overlap_table([more], [truth], 1, "keep"))[0]
        == 1
    )


def slow_corloc(predictions, truths, category):
    right = images = 0
    for prediction, truth in zip(predictions, truths, strict=True):
        wanted = [b.astype(float) for b, c in zip(truth.boxes, truth.categories, strict=True) if c == category]
        if not wanted:
            continue
        images += 1
        mine = [k for k in range(len(prediction)) if prediction.categories[k] == category]
        if mine:
            top = max(mine, key=lambda k: (prediction.scores[k], -k))
            right += any(box_iou(prediction.boxes[top].astype(float), box) > 0.5 for box in wanted)
    return right / images if images else np.nan


@pytest.mark.parametrize("seed", range(6))
def test_corloc_as_nested_loops(seed):
    predictions, truths = random_set(seed, images=12, classes=4)
    found = corloc(overlap_table(predictions, truths, 5, "keep"))
    np.testing.assert_allclose(found, [slow_corloc(predictions, truths, category) for category in range(5)])
    assert np.nanmax(found) > np.nanmin(found)


def test_corloc_judges_the_top_box_alone():
    truth = instances([ONE], [0])
    predictions = [
        instances([ONE, TWO], [0, 0], [0.9, 0.1]),
        instances([ONE, TWO], [0, 0], [0.1, 0.9]),
        instances([ONE, TWO], [0, 1], [0.1, 0.9]),
        instances([], []),
    ]
    np.testing.assert_array_equal(corloc(overlap_table(predictions, [truth] * 4, 2, "keep")), [0.5, np.nan])
