"""Outlines of predicted masks that follow the picture, by a dense CRF around each mask."""

import numpy as np

from wsis_steps.vision.dense_crf import DenseField
from wsis_steps.vision.settings import DenseCrf

MARGIN = 0.5  # of a box's sides, around it: the CRF sees what the object stands out from
SUREST = 0.99  # a mask head is never surer than this of a pixel, nor of its absence


def follow_outlines(picture: np.ndarray, masks: np.ndarray, boxes: np.ndarray, settings: DenseCrf) -> np.ndarray:
    """Masks bool (n, h, w) after mean-field inference of object against background, each by itself.

    Krähenbühl and Koltun (NIPS 2011), with a predicted mask as the unary term, in its box and MARGIN around it; outside
    there is no object. A mask of which nothing is left stays as it was.

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
        probability = mask[part].clip(1 - SUREST, SUREST)
        field = DenseField(picture[part], 2, settings)
        found = field.refine_probabilities(np.stack([1 - probability, probability]))[1] >= 0.5
        if found.any():
            own[part] = found
    return refined
