"""Means of class maps over regions, computed from sums over superpixels, without drawing regions."""

import cv2
import numpy as np

from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.regions import RegionProposals

ACTIVATION_BACKGROUND = 0.2  # best of 0, 0.2 and 0.4 on photographs


def least_background(maps: Maps, wanted: float | None) -> float:
    """Lowest value of the background: `wanted` or, if None, 0 for pixel probabilities and more for activation maps."""
    if wanted is not None:
        return wanted
    return 0.0 if maps.provenance.step == "classifier_learn_pixels" else ACTIVATION_BACKGROUND


def with_background(maps: np.ndarray, background: float) -> np.ndarray:
    """Probabilities float32 (1 + k, h, w), background first, from maps (k, h, w) in 0..1 of an image's classes.

    The background gets what the classes leave of 1, but at least `background`; then all are divided by their sum.
    """
    maps = maps.astype(np.float32)
    rest = np.clip(1 - maps.sum(axis=0, keepdims=True), background, 1)
    probabilities = np.concatenate([rest, maps])
    return probabilities / np.maximum(probabilities.sum(axis=0), 1e-6)


def superpixel_sums(maps: np.ndarray, regions: RegionProposals) -> np.ndarray:
    """Sums of maps (k, any size) over each superpixel of an image, float32 (k, superpixels).

    Maps are enlarged to image size by bilinear interpolation.
    """
    height, width = regions.superpixels.shape
    labels, count = regions.superpixels.ravel(), regions.members.shape[1]
    full = (cv2.resize(m.astype(np.float32), (width, height)) for m in maps)
    sums = [np.bincount(labels, m.ravel(), minlength=count) for m in full]
    return np.array(sums, dtype=np.float32).reshape(len(maps), count)


def region_sums(sums: np.ndarray, regions: RegionProposals) -> np.ndarray:
    """Sums over regions, float32 (k, regions), of `sums` (k, superpixels)."""
    return sums @ regions.members.T.astype(np.float32)
