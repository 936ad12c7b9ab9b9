"""Boxes as offsets from proposals, and under changes of the picture. All boxes are xyxy in pixels, corners."""

import math

import torch
from torch import Tensor

LARGEST = math.log(1000 / 16)  # a proposal grows at most that much, as in R-CNN's successors


def to_offsets(proposals: Tensor, targets: Tensor) -> Tensor:
    """Offsets (R, 4) tx, ty, tw, th from proposals (R, 4) to targets (R, 4), of centers and sides (equation 14)."""
    x, y, width, height = _centered(proposals)
    to_x, to_y, to_width, to_height = _centered(targets)
    return torch.stack(
        [(to_x - x) / width, (to_y - y) / height, (to_width / width).log(), (to_height / height).log()], dim=1
    )


def apply_offsets(proposals: Tensor, offsets: Tensor) -> Tensor:
    """Boxes (R, 4) that lie by offsets (R, 4) from proposals (R, 4): the inverse of equation 14."""
    x, y, width, height = _centered(proposals)
    x, y = x + offsets[:, 0] * width, y + offsets[:, 1] * height
    width, height = width * offsets[:, 2].clamp(max=LARGEST).exp(), height * offsets[:, 3].clamp(max=LARGEST).exp()
    return torch.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], dim=1)


def mirror(boxes: Tensor, width: float) -> Tensor:
    """Boxes (R, 4) in the mirrored picture of `width` pixels."""
    return torch.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], dim=1)


def _centered(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return boxes[:, 0] + width / 2, boxes[:, 1] + height / 2, width, height
