"""Dense conditional random fields of pydensecrf: class probabilities that follow the edges of a picture.

Krähenbühl and Koltun (NeurIPS 2011): a smoothness kernel over positions and an appearance kernel over positions and
colors, Potts compatibility, mean-field inference.
"""

import numpy as np
from pydensecrf.densecrf import DenseCRF2D
from pydensecrf.utils import unary_from_labels

from wsis_steps.settings.base import DenseCrf

LOWEST = 1e-4  # probability below which a class is not told from an impossible one; its logarithm stays finite


def refine_probabilities(picture: np.ndarray, probabilities: np.ndarray, settings: DenseCrf) -> np.ndarray:
    """Marginals float32 (k, h, w) after mean-field inference.

    picture: uint8 (h, w, 3), RGB; probabilities: float (k, h, w), sum 1 over the k classes, of which there are 1 to
    255. One class, or no iteration, is returned as it came.
    """
    if len(probabilities) < 2 or not settings.crf_iterations:
        return probabilities
    return _marginals(picture, -np.log(np.clip(probabilities, LOWEST, 1)), settings)


def refine_labels(picture: np.ndarray, labels: np.ndarray, count: int, certainty: float, settings: DenseCrf):
    """Likeliest labels int64 (h, w) where `labels` (h, w), values below count, are trusted by `certainty`."""
    unary = unary_from_labels(labels, count, gt_prob=certainty, zero_unsure=False)
    return _marginals(picture, unary.reshape(count, *labels.shape), settings).argmax(axis=0)


def _marginals(picture: np.ndarray, unary: np.ndarray, settings: DenseCrf) -> np.ndarray:
    count, height, width = unary.shape
    field = DenseCRF2D(width, height, count)
    field.setUnaryEnergy(np.ascontiguousarray(unary.reshape(count, -1), dtype=np.float32))
    field.addPairwiseGaussian(sxy=settings.gaussian_sxy, compat=settings.gaussian_weight)
    field.addPairwiseBilateral(
        sxy=settings.bilateral_sxy,
        srgb=settings.bilateral_srgb,
        rgbim=np.ascontiguousarray(picture),
        compat=settings.bilateral_weight,
    )
    return np.asarray(field.inference(settings.crf_iterations)).reshape(count, height, width)
