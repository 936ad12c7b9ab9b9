"""Targets of the center and offset heads of the instance network, drawn from instance maps on any device.

BESTIE (CVPR 2022), supplement, listing 4, and the released code.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wsis_steps.bestie.centers import Pixels, list_pixels


class Targets(NamedTuple):
    """Target maps of a batch.

    centers: float32 (B, C, H, W) heat in [0, 1], or None if centers have no refined target (refinement with points);
    offsets: float32 (B, 2, H, W), channel 0 = y, pixels from the pixel to its instance's center; weight: float32
    (B, H, W) in [0, 1], 0 = not supervised.
    """

    centers: Tensor | None
    offsets: Tensor
    weight: Tensor


@lru_cache(maxsize=8)
def gaussian_window(sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row offsets, column offsets (int64) and heights (float32) of the Gaussian window, 6 sigma + 3 pixels wide.

    Its height is 1 at the center; all three are flat and in the same order.
    """
    radius = int(3 * sigma + 1)
    dy, dx = (part.ravel() for part in np.mgrid[-radius : radius + 1, -radius : radius + 1])
    return dy, dx, np.exp(-(dx**2 + dy**2) / (2 * sigma**2)).astype(np.float32)


def _zeros(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Float32 zeros; on the CPU from NumPy, whose huge pages make large maps ten times cheaper to touch."""
    if device.type == "cpu":
        return torch.from_numpy(np.zeros(shape, dtype=np.float32))
    return torch.zeros(shape, device=device)


@torch.no_grad()
def draw_centers(points: Tensor, shape: tuple[int, int, int, int], sigma: float) -> Tensor:
    """Gaussians of height 1 at points, combined by maximum: float32 maps of `shape` (B, C, H, W).

    points: int64 (n, 4), rows image, channel, y, x, inside the maps.
    """
    heat = _zeros(shape, points.device)
    _, channels, height, width = shape
    dy, dx, values = (torch.from_numpy(part).to(points.device) for part in gaussian_window(sigma))
    image, channel, y, x = points.T[:, :, None]
    y, x = y + dy, x + dx
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    index = ((image * channels + channel) * height + y) * width + x
    index, values = torch.where(inside, index, 0), torch.where(inside, values, 0)  # heat 0 has no effect
    heat.view(-1).scatter_reduce_(0, index.flatten(), values.flatten(), "amax")
    return heat


def write_offsets(pixels: Pixels, place: Tensor, y: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Offset maps (B, 2, H, W) from each pixel to its instance's center, and weight maps (B, H, W).

    place: (n,), row of each pixel in the instances' y, x and weight; rows with negative weight leave zeros.
    """
    images, height, width = pixels.component_map.shape
    offsets = _zeros((images, 2, height, width), place.device)
    weights = _zeros((images, height, width), place.device)
    used = (weight >= 0).float().index_select(0, place)
    at = pixels.index + pixels.image * (height * width)
    for channel, (center, pixel) in enumerate(((y, pixels.y), (x, pixels.x))):
        way = (center.index_select(0, place) - pixel) * used
        offsets.view(-1)[channel * height * width :].scatter_(0, at, way)
    weights.view(-1).scatter_(0, pixels.index, weight.clamp(min=0).float().index_select(0, place))
    return offsets, weights


@torch.no_grad()
def render_targets(
    instance_map: Tensor,
    table: Tensor,
    weights: Tensor,
    channels: int,
    points: Tensor | None,
    sigma: float,
) -> Targets:
    """Targets of a batch, drawn on the device, so that workers pass on tables instead of heat maps.

    instance_map: int32 (B, H, W), 0 = none, k = row k - 1 of the image's table and weights; table: int (B, M,
    3), rows category, x, y, padded with -1; weights: float (B, M); channels: number of classes, or 1 for one
    map of all; points: int (B, N, 3), like the table, centers that replace the table's in the heat maps.
    """
    images, height, width = instance_map.shape
    pixels = list_pixels(instance_map, table.shape[1])
    rows = table.reshape(-1, 3).long()
    offsets, weight = write_offsets(pixels, pixels.component, rows[:, 2], rows[:, 1], weights.reshape(-1))
    given = (table if points is None else points).long()
    category, x, y = given.unbind(-1)
    image = torch.arange(images, device=given.device)[:, None].expand_as(category)
    seen = (category >= 0) & (x >= 0) & (y >= 0) & (x < width) & (y < height)
    centers = torch.stack([image, category.clamp(max=channels - 1), y, x], dim=-1)[seen]
    return Targets(draw_centers(centers, (images, channels, height, width), sigma), offsets, weight)
