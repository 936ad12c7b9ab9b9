"""Contour strength and direction of a picture at several scales, from which region hierarchies are built.

Directions are those of the contour's normal, x to the right and y down, modulo pi.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

EdgeFinder = Callable[[np.ndarray], np.ndarray]  # uint8 RGB (h, w, 3) -> contour strength float32 (h, w), 0 to 1
SCALES = {"accurate": (1.5, 1.0, 0.5, 0.25), "fast": (1.0,)}  # of the picture, finest first
NORMAL_SIGMA = 1.5  # pixels; smoothing before second derivatives


@dataclass(frozen=True)
class Gradient:
    """How a color gradient is converted to contour strength.

    sigma: of its Gaussian derivatives, pixels at scale 1; saturation: Lab units per pixel that give 1 - 1/e; lightness:
    weight of L relative to a and b, below 1 because shadows and textures change little else.
    """

    sigma: float
    saturation: float
    lightness: float


BESIDE, ALONE = Gradient(1.5, 12, 1), Gradient(2.5, 9, 0.6)  # combined with a model's contours, and without a model


@dataclass(frozen=True)
class Contours:
    """Strength float32 (h, w), 0 to 1, and direction of the normal float32 (h, w), radians."""

    strength: np.ndarray
    normal: np.ndarray


def gradient_contours(picture: np.ndarray, gradient: Gradient = BESIDE, scale: float = 1) -> Contours:
    """Contours from the color gradient of an RGB picture uint8 (h, w, 3) at a scale; of the picture's size, or smaller
    for scales below 1."""
    sigma = gradient.sigma / max(scale, 1)
    lab = cv2.cvtColor(resize(picture, min(scale, 1)).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lab[..., 0] *= gradient.lightness
    smooth = cv2.GaussianBlur(lab, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    dx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, scale=sigma / 8, borderType=cv2.BORDER_REFLECT)
    dy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, scale=sigma / 8, borderType=cv2.BORDER_REFLECT)
    xx, xy, yy = (dx * dx).sum(2), (dx * dy).sum(2), (dy * dy).sum(2)
    magnitude = np.sqrt((xx + yy + np.hypot(xx - yy, 2 * xy)) / 2)  # largest singular value of the color gradient
    return Contours(1 - np.exp(-magnitude / gradient.saturation), np.arctan2(2 * xy, xx - yy) / 2)


def ridge_normals(strength: np.ndarray) -> np.ndarray:
    """Direction float32 (h, w) across the ridges of a contour map: of the most negative second derivative."""
    smooth = cv2.GaussianBlur(strength, (0, 0), NORMAL_SIGMA, borderType=cv2.BORDER_REFLECT)
    xx = cv2.Sobel(smooth, cv2.CV_32F, 2, 0, ksize=5, borderType=cv2.BORDER_REFLECT)
    yy = cv2.Sobel(smooth, cv2.CV_32F, 0, 2, ksize=5, borderType=cv2.BORDER_REFLECT)
    xy = cv2.Sobel(smooth, cv2.CV_32F, 1, 1, ksize=5, borderType=cv2.BORDER_REFLECT)
    return np.arctan2(-2 * xy, yy - xx) / 2


def learned_contours(picture: np.ndarray, scale: float, find_edges: EdgeFinder, gradient_share: float) -> Contours:
    """Contours from a model at the picture resized by `scale`, mixed with the gradient's at that scale."""
    found = find_edges(resize(picture, scale))
    if scale > 1:
        found = cv2.resize(found, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    if gradient_share:
        found = (1 - gradient_share) * found + gradient_share * gradient_contours(picture, BESIDE, scale).strength
    return Contours(found, ridge_normals(found))


def resize(picture: np.ndarray, scale: float) -> np.ndarray:
    """The picture with scaled sides; the same object if scale is 1."""
    if scale == 1:
        return picture
    height, width = picture.shape[:2]
    size = max(round(width * scale), 8), max(round(height * scale), 8)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def find_contours(
    picture: np.ndarray, mode: str, find_edges: EdgeFinder | None, gradient_share: float
) -> list[Contours]:
    """Contours at the scales of a mode, finest first; without a model (None) those of the gradient.

    The first are of the picture's size, those of scales below 1 correspondingly smaller.
    """
    scales = SCALES[mode]
    if find_edges is None:
        return [gradient_contours(picture, ALONE, scale) for scale in scales]
    return [learned_contours(picture, scale, find_edges, gradient_share) for scale in scales]
