"""Outlines of predicted masks that follow the image, by a dense CRF around each mask."""

import cv2
import numpy as np

from wsis_steps.vision.dense_crf import DenseField
from wsis_steps.vision.settings import DenseCrf

MARGIN = 0.5  # of a box's sides, around it: the CRF sees what the object stands out from
SUREST = 0.99  # a mask head is never surer than this of a pixel, nor of its absence
MOST_PIXELS = 400 * 400  # of a window; larger ones are shrunk, since time and memory grow with them


def follow_outlines(picture: np.ndarray, masks: np.ndarray, boxes: np.ndarray, settings: DenseCrf) -> np.ndarray:
    """Masks bool (n, h, w) after mean-field inference of object against background, each separately.

    Krähenbühl and Koltun (NIPS 2011), with the predicted mask as the unary term, within the box and MARGIN around it. A
    window of more than MOST_PIXELS is computed at that size; 0.4 s of a core for 5 iterations. Outside the window, and
    where nothing would be left, a mask stays as it was.

    picture: uint8 RGB (h, w, 3); masks: float (n, h, w) in 0..1; boxes: (n, 4), x1 y1 x2 y2 in pixels.
    """
    height, width = picture.shape[:2]
    refined = masks >= 0.5
    grown = np.tile(MARGIN * (boxes[:, 2:] - boxes[:, :2]), 2) * (-1, -1, 1, 1) + boxes
    limits = np.array([width, height, width, height])
    corners = np.concatenate([np.floor(grown[:, :2]), np.ceil(grown[:, 2:])], axis=1).clip(0, limits).astype(int)
    for mask, own, (x1, y1, x2, y2) in zip(masks, refined, corners, strict=True):
        part = np.s_[y1:y2, x1:x2]
        if not own[part].any():
            continue
        found = _refine(picture[part], mask[part].astype(np.float32), settings) >= 0.5
        if found.any():
            own[part] = found
    return refined


def _refine(picture: np.ndarray, mask: np.ndarray, settings: DenseCrf) -> np.ndarray:
    """Probability of the object, float32 (h, w), from that of the mask."""
    height, width = mask.shape
    scale = min(1, (MOST_PIXELS / mask.size) ** 0.5)
    if scale < 1:
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        picture, mask = (cv2.resize(values, size, interpolation=cv2.INTER_AREA) for values in (picture, mask))
        kernels = {name: getattr(settings, name) * scale for name in ("gaussian_sxy", "bilateral_sxy")}
        settings = settings.model_copy(update=kernels)
    probability = mask.clip(1 - SUREST, SUREST)
    found = DenseField(picture, 2, settings).refine_probabilities(np.stack([1 - probability, probability]))[1]
    return found if scale == 1 else cv2.resize(found, (width, height))
