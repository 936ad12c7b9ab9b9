"""Dense conditional random fields of pydensecrf: class probabilities that follow the edges of an image.

Krähenbühl and Koltun (NeurIPS 2011): a smoothness kernel over positions and an appearance kernel over positions and
colors, Potts compatibility, mean-field inference.
"""

import numpy as np

from wsis_steps.vision.settings import DenseCrf

LOWEST = 1e-4  # lower probabilities count as this, so that their logarithm stays finite


class DenseField:
    """The kernels of an image; they cost as much as several iterations and serve any number of inferences.

    picture: uint8 (h, w, 3), RGB; count: number of classes, 1 to 255.
    """

    def __init__(self, picture: np.ndarray, count: int, settings: DenseCrf) -> None:
        from pydensecrf.densecrf import DenseCRF2D  # an extra; not every run has a CRF

        self.height, self.width = picture.shape[:2]
        self.count, self.iterations = count, settings.crf_iterations
        self.field = DenseCRF2D(self.width, self.height, count)
        self.field.addPairwiseGaussian(sxy=settings.gaussian_sxy, compat=settings.gaussian_weight)
        self.field.addPairwiseBilateral(
            sxy=settings.bilateral_sxy,
            srgb=settings.bilateral_srgb,
            rgbim=np.ascontiguousarray(picture),
            compat=settings.bilateral_weight,
        )

    def refine_probabilities(self, probabilities: np.ndarray) -> np.ndarray:
        """Marginals float32 (count, h, w) after mean-field inference, from float (count, h, w) that sum to 1."""
        return self._infer(-np.log(np.clip(probabilities, LOWEST, 1)))

    def refine_labels(self, labels: np.ndarray, certainty: float) -> np.ndarray:
        """Most likely labels int64 (h, w), given `labels` (h, w) below count, each trusted with `certainty`."""
        from pydensecrf.utils import unary_from_labels

        return self._infer(unary_from_labels(labels, self.count, certainty, zero_unsure=False)).argmax(axis=0)

    def _infer(self, unary: np.ndarray) -> np.ndarray:
        self.field.setUnaryEnergy(np.ascontiguousarray(unary.reshape(self.count, -1), dtype=np.float32))
        return np.array(self.field.inference(self.iterations)).reshape(self.count, self.height, self.width)
