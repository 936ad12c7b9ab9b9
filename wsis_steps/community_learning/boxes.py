"""Boxes as offsets from proposals, and under mirroring. All boxes are xyxy in pixels, corners."""

import math

import torch
from torch import Tensor

Std = tuple[float, float, float, float]  # of tx, ty, tw, th; offsets are divided by it
LARGEST = math.log(1000 / 16)  # limits the growth of a proposal, as in R-CNN's successors


def to_offsets(proposals: Tensor, targets: Tensor, std: Std) -> Tensor:
    """Offsets (R, 4) tx, ty, tw, th from proposals (R, 4) to targets (R, 4), of centers and sides (equation 14), each
    divided by its standard deviation (Fast R-CNN)."""
    x, y, width, height = _centered(proposals)
    to_x, to_y, to_width, to_height = _centered(targets)
    offsets = (to_x - x) / width, (to_y - y) / height, (to_width / width).log(), (to_height / height).log()
    return torch.stack([offset / one for offset, one in zip(offsets, std, strict=True)], dim=1)


def apply_offsets(proposals: Tensor, offsets: Tensor, std: Std) -> Tensor:
    """Boxes (R, 4) at offsets (R, 4) from proposals (R, 4): the inverse of `to_offsets`."""
    x, y, width, height = _centered(proposals)
    right, down, wider, higher = (offsets[:, k] * one for k, one in enumerate(std))
    x, y = x + right * width, y + down * height
    width, height = width * wider.clamp(max=LARGEST).exp(), height * higher.clamp(max=LARGEST).exp()
    return torch.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], dim=1)


def mirror(boxes: Tensor, width: float) -> Tensor:
    """Boxes (R, 4) in the mirrored picture, which is `width` pixels wide."""
    return torch.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], dim=1)


def _centered(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return boxes[:, 0] + width / 2, boxes[:, 1] + height / 2, width, height
