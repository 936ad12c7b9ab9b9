"""Masks between boxes and pictures, to a fraction of a pixel: the mask head's targets, and the pasting of its masks.

torchvision treats pixels as points in the former and enlarges boxes by a pixel in the latter: a mask of 8 x 8 pixels
comes back as 10 x 10. Here pixels are squares in both, as in Detectron2, so a perfectly learned mask is unchanged.
"""

import torch
from torch import Tensor
from torchvision.ops import roi_align


def cut_masks(masks: Tensor, boxes: Tensor, matched: Tensor, size: int) -> Tensor:
    """The masks within boxes, float32 (n, size, size) in 0..1: the share of each cell that the mask covers.

    masks: (k, h, w), 0 or 1; boxes: (n, 4), x1 y1 x2 y2 in pixels, x2 and y2 one past the last; matched: int64 (n,),
    the mask of each box.
    """
    regions = torch.cat([matched[:, None].to(boxes), boxes], dim=1)
    return roi_align(masks[:, None].to(boxes), regions, (size, size), aligned=True)[:, 0]


def paste_masks(masks: Tensor, boxes: Tensor, height: int, width: int) -> Tensor:
    """Masks in pictures, float32 (n, 1, height, width): the interpolated value at each pixel whose center lies in the
    box, 0 at all others.

    masks: (n, 1, m, m) in 0..1; boxes: (n, 4), x1 y1 x2 y2 in pixels. Can be traced for programs without this package.
    """
    x1, y1, x2, y2 = boxes.unbind(dim=1)
    rows, columns = _shares(y1, y2, masks.shape[-1], height), _shares(x1, x2, masks.shape[-1], width)
    return (rows @ masks[:, 0] @ columns.transpose(1, 2))[:, None]


def _shares(start: Tensor, end: Tensor, cells: int, length: int) -> Tensor:
    """The contribution of each cell along a box's side to each of `length` pixels, (n, length, cells), by linear
    interpolation."""
    middle = torch.arange(length, device=start.device) + 0.5
    start, end = start[:, None], end[:, None]
    place = (middle - start) / (end - start).clamp(min=1e-6) * cells - 0.5
    near = 1 - (place.clamp(0, cells - 1)[..., None] - torch.arange(cells, device=start.device)).abs()
    return near.clamp(min=0) * ((middle >= start) & (middle < end))[..., None]
