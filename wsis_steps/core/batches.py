"""Pictures of several sizes as one batch."""

from collections.abc import Callable

import torch


def stack_pictures(pictures: list[torch.Tensor], normalise: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Normalised pictures (B, 3, H, W) of uint8 pictures (3, h, w), at the top left of the largest height and width;
    the mean color around them."""
    height, width = (max(picture.shape[axis] for picture in pictures) for axis in (1, 2))
    stacked = torch.zeros(len(pictures), 3, height, width, device=pictures[0].device)
    for place, picture in zip(stacked, pictures, strict=True):
        place[:, : picture.shape[1], : picture.shape[2]] = normalise(picture[None])[0]
    return stacked
