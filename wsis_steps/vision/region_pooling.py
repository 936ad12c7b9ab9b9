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
CANONICAL_LEVEL = 4  # stride 16, from which boxes of 224 pixels are pooled (FPN, section 4.2)
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
    """Pools each box from the level of a feature pyramid that fits its size, as torchvision's, where its cells look.

    torchvision takes the middle of a pyramid's first cell for the corner of the picture. Here the center of each
    level's first cell is stated.

    Args:
        levels: names of the maps, fine to coarse.
        strides: pixels a cell of each is wide, powers of two.
        centers: pixels from the picture's corner to the center of each level's first cell.
        size: cells a side of what is pooled.
        finer: by how many levels finer than usual the level of a box is.
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
        """(n, channels, size, size) of all boxes (n_b, 4) of all images; maps by name, (B, channels, h, w) each."""
        images = torch.cat([torch.full_like(of_image[:, :1], image) for image, of_image in enumerate(boxes)])
        level = self.map_levels(boxes)
        pooled, places = [], []
        for number, (name, stride, center) in enumerate(
            zip(self.featmap_names, self.strides, self.centers.unbind(), strict=True)
        ):
            here = (level == number).nonzero()[:, 0]
            moved = torch.cat(boxes)[here] + (stride / 2 - center)  # to where the first cell would be a square
            regions = torch.cat([images[here], moved], dim=1)
            pooled.append(align_regions(maps[name], regions, self.output_size[0], 1 / stride, aligned=True))
            places.append(here)
        return torch.cat(pooled)[torch.cat(places).argsort()]
