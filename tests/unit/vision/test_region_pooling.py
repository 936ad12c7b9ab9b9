"""RoIAlign by matrix products against torchvision's, values and gradients."""

import pytest
import torch
from torchvision.ops import roi_align
from torchvision.ops.poolers import initLevelMapper

from wsis_steps.vision.region_pooling import LARGEST, RegionPooling, align_regions


def draw_boxes(count: int, side: float, seed: int) -> torch.Tensor:
    """Boxes (count, 4), some of which reach far beyond a picture of this side, some smaller than a pixel."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * 1.4 * side - 0.2 * side
    return torch.cat([corners, corners + torch.rand(count, 2, generator=generator) ** 3 * side], dim=1)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("height", "width", "stride", "size"), [(24, 24, 4, 7), (5, 9, 16, 14), (1, 1, 32, 2)])
def test_regions_are_pooled_as_by_torchvision(height: int, width: int, stride: int, size: int, aligned: bool) -> None:
    maps = torch.randn(3, 5, height, width, generator=torch.Generator().manual_seed(0), requires_grad=True)
    images = torch.tensor([0, 0, 0, 0, 2, 2, 2])  # none of image 1
    boxes = torch.cat([draw_boxes(6, stride * width, 1), torch.tensor([[-99.0, -99, -50, -50]])])
    regions = torch.cat([images[:, None], boxes], dim=1)
    ours = align_regions(maps, regions, size, 1 / stride, aligned)
    theirs = roi_align(maps, regions, size, 1 / stride, 2, aligned)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    weights = torch.randn_like(theirs)
    gradients = [torch.autograd.grad((pooled * weights).sum(), maps)[0] for pooled in (ours, theirs)]
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


def test_no_region_gives_no_feature() -> None:
    assert align_regions(torch.zeros(2, 5, 6, 6), torch.zeros(0, 5), 7, 0.25, aligned=True).shape == (0, 5, 7, 7)


def test_large_maps_go_to_torchvision() -> None:
    maps = torch.randn(1, 2, 1, LARGEST + 1, generator=torch.Generator().manual_seed(0))
    regions = torch.tensor([[0, 3.0, -1, 90, 2]])
    assert torch.equal(align_regions(maps, regions, 3, 0.5, aligned=True), roi_align(maps, regions, 3, 0.5, 2, True))


@pytest.mark.parametrize("counts", [(40, 0, 25), (0, 0, 1), (0, 0, 0)])
def test_boxes_take_the_level_that_torchvision_takes(counts: tuple[int, ...]) -> None:
    strides, names, side = (4, 8, 16, 32), ["0", "1", "2", "3"], 512
    generator = torch.Generator().manual_seed(0)
    maps = {
        name: torch.randn(3, 2, *(2 * [side // s]), generator=generator) for name, s in zip(names, strides, strict=True)
    }
    boxes = [draw_boxes(count, side, seed) for seed, count in enumerate(counts)]
    ours = RegionPooling(names, strides, tuple(stride / 2 for stride in strides), 7)(maps, boxes, [(side, side)] * 3)
    level = initLevelMapper(2, 5)(boxes)
    images = torch.arange(3).repeat_interleave(torch.tensor(counts))[:, None].float()
    regions = torch.cat([images, torch.cat(boxes)], dim=1)
    for number, (name, stride) in enumerate(zip(names, strides, strict=True)):
        theirs = roi_align(maps[name], regions[level == number], 7, 1 / stride, 2, aligned=True)
        torch.testing.assert_close(ours[level == number], theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("center", [0.5, 1.0, 4.0, 7.5])
def test_features_are_read_where_cells_look(center: float) -> None:
    stride, cells = 8, 12
    looks_at = center + stride * torch.arange(cells)
    maps = {"8": torch.stack(torch.meshgrid(looks_at, looks_at, indexing="ij"))[None]}
    boxes = [torch.tensor([[20.0, 30, 60, 44], [9, 8, 12, 80]])]
    y, x = RegionPooling(["8"], (stride,), (center,), 4)(maps, boxes, [(96, 96)]).unbind(1)
    for box, rows, columns in zip(boxes[0], y, x, strict=True):
        middles = (torch.arange(4) + 0.5) / 4
        torch.testing.assert_close(columns, (box[0] + (box[2] - box[0]) * middles).expand(4, 4))
        torch.testing.assert_close(rows, (box[1] + (box[3] - box[1]) * middles)[:, None].expand(4, 4))


def test_finer_features_are_read_one_level_below() -> None:
    strides, side = (2, 4, 8), 256
    maps = {str(stride): torch.full((1, 1, side // stride, side // stride), float(stride)) for stride in strides}
    boxes = [torch.tensor([[0.0, 0, 100, 100], [0, 0, 120, 120], [0, 0, 250, 250]])]
    names, centers = list(maps), (0.5, 0.5, 0.5)
    usual = RegionPooling(names[1:], strides[1:], centers[1:], 2)(maps, boxes, [(side, side)])
    finer = RegionPooling(names, strides, centers, 2, finer=1)(maps, boxes, [(side, side)])
    assert usual[:, 0, 0, 0].tolist() == [4, 8, 8]
    assert finer[:, 0, 0, 0].tolist() == [2, 4, 8]
