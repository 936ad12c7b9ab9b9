"""RoIAlign (He et al., Mask R-CNN, section 3) as matrix products, for training on CPUs.

torchvision's gradient is summed cell by cell, which took a quarter of an iteration. The bilinear weights of a region's
cells are products of row and column weights, so on small maps two matrix products give the same result in a tenth of
the time.
"""

import torch
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign, roi_align
from torchvision.ops.poolers import initLevelMapper

SAMPLES = 2  # per side of a cell
CANONICAL_LEVEL = 4  # stride 16, the level of boxes of 224 pixels (FPN, section 4.2)
LARGEST = 64 * 64  # cells of the largest map for which products are faster


def align_regions(maps: Tensor, regions: Tensor, size: int, scale: float, aligned: bool) -> Tensor:
    """Features float (n, channels, size, size) of regions (n, 5): image, x1, y1, x2, y2 in pixels, sorted by image.

    maps: float (B, channels, h, w), with cells of 1 / `scale` pixels. aligned: pixels are squares, as in torchvision;
    otherwise they are points, and a region is at least one cell wide and high.
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
    """Weights (n, size, length) of a map's cells along one axis, for regions from `start` (n,) with `extent` (n,)."""
    steps = (torch.arange(size * SAMPLES) + 0.5) / (size * SAMPLES)
    places = start[:, None] + extent[:, None] * steps
    inside = (places >= -1) & (places <= length)
    near = 1 - (places.clamp(0, length - 1)[..., None] - torch.arange(length)).abs()
    return (near.clamp(min=0) * inside[..., None]).unflatten(1, (size, SAMPLES)).mean(2)


class RegionPooling(MultiScaleRoIAlign):
    """Pools each box from the pyramid level that fits its size, like torchvision's, but where the cells really are.

    torchvision assumes that the center of the first cell is the corner of the image. Here the center of each level's
    first cell is given.

    Args:
        levels: names of the maps, fine to coarse.
        strides: width of a cell of each map in pixels, powers of two.
        centers: for each level, pixels from the image's corner to the center of the first cell.
        size: cells per side of the result.
        finer: by how many levels to pool from a finer level than usual.
    """

    def __init__(
        self, levels: list[str], strides: tuple[int, ...], centers: tuple[float, ...], size: int, finer: int = 0
    ) -> None:
        super().__init__(levels, size, SAMPLES, canonical_level=CANONICAL_LEVEL - finer)
        self.strides = strides
        self.scales = [1 / stride for stride in strides]
        finest, coarsest = strides[0].bit_length() - 1, strides[-1].bit_length() - 1
        self.map_levels = initLevelMapper(finest, coarsest, canonical_level=CANONICAL_LEVEL - finer)
        self.register_buffer("centers", torch.tensor(centers))

    def forward(self, maps: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """(n, channels, size, size) for all boxes (n_b, 4) of all images; maps by name, (B, channels, h, w) each."""
        images = torch.cat([torch.full_like(of_image[:, :1], image) for image, of_image in enumerate(boxes)])
        level = self.map_levels(boxes)
        pooled, places = [], []
        for number, (name, stride, center) in enumerate(
            zip(self.featmap_names, self.strides, self.centers.unbind(), strict=True)
        ):
            here = (level == number).nonzero()[:, 0]
            moved = torch.cat(boxes)[here] + (stride / 2 - center)  # as if the first cell started at the corner
            regions = torch.cat([images[here], moved], dim=1)
            pooled.append(align_regions(maps[name], regions, self.output_size[0], 1 / stride, aligned=True))
            places.append(here)
        return torch.cat(pooled)[torch.cat(places).argsort()]
