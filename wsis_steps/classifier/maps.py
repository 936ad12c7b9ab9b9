"""Activation maps of cached features; a separate module, so that editing it does not rerun trainings."""

import numpy as np
import torch
from torch import Tensor, nn

from wsis_steps.classifier.network import activation_maps, normalize


def cached_maps(head: nn.Module, cached: list[np.ndarray], tags: Tensor, size: tuple[int, int]) -> Tensor:
    """Activation maps float32 (tagged classes, height, width), 0 to 1, of an image, like those of `activation_maps`.

    Args:
        head: from features to raw maps.
        cached: the image's features, float16 (channels, h, w) for each size at which the backbone saw it.
        tags: bool (classes,).
        size: height and width of the result.
    """

    def see(features: Tensor) -> tuple[None, Tensor]:
        return None, head(features)[:, tags]

    seen, present = [torch.from_numpy(one)[None].float() for one in cached], tags[tags][None]
    maps = [activation_maps(see, one, present, (1.0,), flip=False, size=size)[0] for one in seen]
    return maps[0] if len(maps) == 1 else normalize(sum(maps))
