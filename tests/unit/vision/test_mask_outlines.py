"""Masks that follow the outlines of a picture."""

import cv2
import numpy as np
import torch

from wsis_steps.maskrcnn.detections import detect
from wsis_steps.maskrcnn.network import build_maskrcnn
from wsis_steps.maskrcnn.settings import MaskrcnnInfer, MaskrcnnTrain
from wsis_steps.vision import outlines
from wsis_steps.vision.masks import decode
from wsis_steps.vision.outlines import follow_outlines

FIVE = MaskrcnnInfer(crf_iterations=5, bilateral_sxy=20, bilateral_srgb=10)


def disc(size: int, center: tuple[int, int], radius: int) -> np.ndarray:
    return cv2.circle(np.zeros((size, size), np.uint8), center, radius, 1, -1) > 0


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


def test_a_coarse_mask_comes_to_lie_on_the_outline_of_its_object() -> None:
    objects = [disc(80, (25, 30), 14), disc(80, (58, 52), 11)]
    picture = np.full((80, 80, 3), (90, 120, 60), np.uint8)
    picture[objects[0]], picture[objects[1]] = (200, 60, 50), (60, 60, 210)
    coarse, boxes = np.zeros((2, 80, 80), np.float32), np.array([[13.0, 18, 38, 44], [47, 40, 70, 62]])
    for mask, (x1, y1, x2, y2) in zip(coarse, boxes.astype(int), strict=True):
        mask[y1:y2, x1:x2] = 0.6
    refined = follow_outlines(picture, coarse, boxes, FIVE)
    for mask, box_mask, truth in zip(refined, coarse >= 0.5, objects, strict=True):
        assert overlap(box_mask, truth) < 0.85
        assert overlap(mask, truth) > 0.97


def test_large_windows_are_computed_smaller_with_much_the_same_result(monkeypatch) -> None:
    truth = disc(160, (80, 84), 40)
    picture = np.full((160, 160, 3), (90, 120, 60), np.uint8)
    picture[truth] = (200, 60, 50)
    coarse, box = np.zeros((1, 160, 160), np.float32), np.array([[38.0, 42, 122, 126]])
    coarse[0, 42:126, 38:122] = 0.6
    sizes, whole = [], follow_outlines(picture, coarse, box, FIVE)[0]
    field = outlines.DenseField
    monkeypatch.setattr(outlines, "DenseField", lambda p, *rest: sizes.append(p.shape[:2]) or field(p, *rest))
    monkeypatch.setattr(outlines, "MOST_PIXELS", 80 * 80)
    smaller = follow_outlines(picture, coarse, box, FIVE)[0]
    assert sizes == [(80, 80)]
    assert overlap(whole, truth) > 0.97 and overlap(smaller, truth) > 0.94


def test_a_mask_that_would_vanish_stays(monkeypatch) -> None:
    monkeypatch.setattr(outlines.DenseField, "refine_probabilities", lambda self, p: np.zeros_like(p))
    masks = np.zeros((1, 20, 20), np.float32)
    masks[0, 4:9, 5:9] = 0.9
    assert (
        follow_outlines(np.zeros((20, 20, 3), np.uint8), masks, np.array([[5.0, 4, 9, 9]]), FIVE) == (masks > 0)
    ).all()


def test_detections_keep_their_classes_and_scores_and_get_other_masks() -> None:
    torch.manual_seed(0)
    small = {"backbone": "small", "min_size": 96, "max_size": 96, "fpn_channels": 16, "anchor_scale": 3}
    model = build_maskrcnn(MaskrcnnTrain(**small), 2, inference=MaskrcnnInfer(min_score=0.01, detections=6)).eval()
    picture = torch.randint(0, 255, (3, 60, 70), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    [plain], [refined] = detect(model, [picture]), detect(model, [picture], FIVE)
    assert len(plain) == len(refined) > 0
    np.testing.assert_array_equal(plain.scores, refined.scores)
    np.testing.assert_array_equal(plain.categories, refined.categories)
    masks = decode(plain.rles, 60, 70), decode(refined.rles, 60, 70)
    assert (masks[0] != masks[1]).any()
