"""Pictures as the classifier sees them at inference: squares or, with a frozen backbone, at their own aspect ratio."""

from collections.abc import Callable

import numpy as np
import torch

from wsis_steps.classifier.network import nearest_multiple
from wsis_steps.classifier.settings import ClassifierTrain
from wsis_steps.vision.backbones import Backbone
from wsis_steps.vision.batches import to_tensor
from wsis_steps.vision.device import autocast
from wsis_steps.vision.images import fit

View = Callable[[np.ndarray], torch.Tensor]  # from an RGB picture to uint8 (3, height, width)


def view_square(size: int) -> View:
    """Pictures as squares of `size`, whatever their aspect ratio."""
    return lambda picture: to_tensor(fit(*picture.shape[:2], size, size).picture(picture))


def view_whole(long_side: int, stride: int) -> View:
    """Pictures at the size given by `size_of_view`."""

    def resize(picture: np.ndarray) -> torch.Tensor:
        height, width = picture.shape[:2]
        return to_tensor(fit(height, width, *size_of_view(height, width, long_side, stride)).picture(picture))

    return resize


def size_of_view(height: int, width: int, long_side: int, stride: int) -> tuple[int, int]:
    """Height and width of a picture whose longer side becomes `long_side`; both are rounded to multiples of `stride`,
    at least one, so that every cell of a backbone's map covers the same area."""
    scale = long_side / max(height, width)
    return tuple(nearest_multiple(side * scale, stride) for side in (height, width))


def patch_side(backbone: Backbone) -> int:
    """Sides of squares are multiples of this: a vision transformer's patch, since one that reaches beyond the picture
    would shift the maps; otherwise 1."""
    return backbone.strides[-1] if backbone.one_stride else 1


def views_of(settings: ClassifierTrain, backbone: Backbone, size: int) -> list[View]:
    """How a classifier trained with these settings sees a picture; its answers are averaged.

    size: of the square, if the backbone is not frozen.
    """
    if settings.frozen:
        return [view_whole(long_side, backbone.strides[-1]) for long_side in settings.long_sides]
    return [view_square(nearest_multiple(size, patch_side(backbone)))]


def features_of(backbone: Backbone, picture: torch.Tensor) -> np.ndarray:
    """The map float16 (channels, h, w) of the last level for a picture uint8 (1, 3, height, width)."""
    device = backbone.mean.device
    normalized = backbone.normalize(picture.to(device))
    with torch.inference_mode(), autocast(device):
        return backbone(normalized)[-1][0].half().cpu().numpy()
