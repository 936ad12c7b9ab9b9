"""Pictures as the classifier sees them in inference: squares, whatever their aspect."""

from collections.abc import Callable

import numpy as np
import torch

from wsis_steps.vision.batches import to_tensor
from wsis_steps.vision.images import fit


def prepare(size: int) -> Callable[[np.ndarray], torch.Tensor]:
    """A function from an RGB picture to uint8 (3, size, size)."""

    def resize(picture: np.ndarray) -> torch.Tensor:
        height, width = picture.shape[:2]
        return to_tensor(fit(height, width, size, size).picture(picture))

    return resize
