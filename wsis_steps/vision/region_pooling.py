"""RoIAlign (He et al., Mask R-CNN, section 3) as matrix products, for training on CPUs.

torchvision's gradient adds up cell by cell, which took a quarter of an iteration. The bilinear weights of a region's
cells are those of its rows times those of its columns, so on small maps two products give the same in a tenth of the
time.
"""

import torch
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign, roi_align
from torchvision.ops.poolers import initLevelMapper

SAMPLES = 2  # a side, in each cell
LARGEST = 64 * 64  # cells of a map up to which products are faster


def align_regions(maps: Tensor, regions: Tensor, size: int, scale: float, aligned: bool) -> Tensor:
    """Features float (n, channels, size, size) of regions (n, 5), image, x1, y1, x2, y2 in pixels, in order of images.

    maps: float (B, channels, h, w), of which a cell is 1 / `scale` pixels wide. aligned: pixels are squares, as in
    torchvision, else points, and a region has a side of one cell at least.
    """
    height, width = maps.shape[2:]
    if maps.device.type != "cpu" or height * width > LARGEST or torch.jit.is_tracing():
        return roi_align(maps, regions, size, scale, SAMPLES, aligned)
    corners = regions[:, 1:] * scale - 0.5 * aligned
    (x, y), (wide, high) = corners[:, :2].T, (corners[:, 2:] - corners[:, :2]).clamp(min=0 if aligned else 1).T
    counts = regions[:, 0].long().bincount(minlength=len(maps)).tolist()
    rows, columns = _weights(y, high, size, height).split(counts), _weights(x, wide, size, width).split(counts)
    pooled = []
    for cells, row, column in zip(maps.permute(0, 2, 3, 1), rows, columns, strict=True):
        strips = row.flatten(0, 1) @ cells.reshape(height, -1)
        pooled.append(column[:, None] @ strips.view(len(row), size, width, maps.shape[1]))
    return torch.cat(pooled).permute(0, 3, 1, 2)


def _weights(start: Tensor, extent: Tensor, size: int, length: int) -> Tensor:
    """Weights (n, size, length) of a map's cells along one side, of regions from `start` (n,), `extent` (n,) long."""
    steps = (torch.arange(size * SAMPLES) + 0.5) / (size * SAMPLES)
    places = start[:, None] + extent[:, None] * steps
    inside = (places >= -1) & (places <= length)
    near = 1 - (places.clamp(0, length - 1)[..., None] - torch.arange(length)).abs()
    return (near.clamp(min=0) * inside[..., None]).unflatten(1, (size, SAMPLES)).mean(2)


class RegionPooling(MultiScaleRoIAlign):
    """Pools each box from the level of a feature pyramid that fits its size, as torchvision's, faster on CPUs.

    Args:
        levels: names of the maps, fine to coarse.
        strides: pixels a cell of each is wide, powers of two.
        size: cells a side of what is pooled.
    """

    def __init__(self, levels: list[str], strides: tuple[int, ...], size: int) -> None:
        super().__init__(levels, size, SAMPLES)
        self.scales = [1 / stride for stride in strides]
        self.map_levels = initLevelMapper(strides[0].bit_length() - 1, strides[-1].bit_length() - 1)

    def forward(self, maps: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """(n, channels, size, size) of all boxes (n_b, 4) of all images; maps by name, (B, channels, h, w) each."""
        if boxes[0].device.type != "cpu" or torch.jit.is_tracing():
            return super().forward(maps, boxes, image_shapes)
        images = torch.arange(len(boxes)).repeat_interleave(torch.tensor([len(one) for one in boxes]))
        regions = torch.cat([images[:, None].to(boxes[0]), torch.cat(boxes)], dim=1)
        level = self.map_levels(boxes)
        parts = [(level == number).nonzero()[:, 0] for number in range(len(self.scales))]
        pooled = [
            align_regions(maps[name], regions[part], self.output_size[0], scale, aligned=False)
            for name, part, scale in zip(self.featmap_names, parts, self.scales, strict=True)
        ]
        return torch.cat(pooled)[torch.cat(parts).argsort()]
