"""Finds the instance centers of a batch in the network's center maps and offset maps.

Runs on any device, without gradients, and without a loop over pixels, instances or classes: everything works on one
flat list of the pixels that lie in components. Source: BESTIE (CVPR 2022), supplement section 1, and the released
code.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from wsis_steps.bestie.settings import CenterFinding

CLUSTERED = 1.0  # heat given to clustered centers


class Pixels(NamedTuple):
    """The pixels that lie in a component, in raster order.

    component_map: int32 (B, H, W), 0 = none, k = row k - 1 of the image's table of `rows` rows. For each pixel, int64
    (n,): its index in the flattened map, image, y, x, and its component's number, image * rows + k - 1.
    """

    component_map: Tensor
    rows: int
    index: Tensor
    image: Tensor
    y: Tensor
    x: Tensor
    component: Tensor

    def select(self, rows: Tensor) -> "Pixels":
        """The pixels in the given rows of the list."""
        chosen = (part.index_select(0, rows) for part in self[2:])
        return Pixels(self.component_map, self.rows, *chosen)

    def read(self, maps: Tensor, channel: Tensor | int = 0) -> Tensor:
        """Values of (B, C, H, W) maps at every pixel, in one channel or in each pixel's own: float32 (n,)."""
        size = self.component_map[0].numel()
        flat, at = maps.reshape(-1), self.index + self.image * ((maps.shape[1] - 1) * size)
        if isinstance(channel, int):
            flat = flat[channel * size :]
        else:
            at += channel * size
        return flat.index_select(0, at).float()

    def component_at(self, index: Tensor) -> Tensor:
        """Component numbers, int64, at pixels given by their index in the flattened map."""
        image = index // self.component_map[0].numel()
        return self.component_map.view(-1).take(index) + (image * self.rows - 1)


class Centers(NamedTuple):
    """Centers in order of their component: component numbers, y and x; all int64 (k,)."""

    component: Tensor
    y: Tensor
    x: Tensor


def list_pixels(component_map: Tensor, rows: int) -> Pixels:
    """Lists the pixels in components of int32 (B, H, W) maps, for tables of `rows` rows per image."""
    component_map = component_map.contiguous()
    _, height, width = component_map.shape
    index = component_map.view(-1).nonzero()[:, 0]
    row = index // width
    image = row // height
    component = component_map.view(-1).index_select(0, index) + (image * rows - 1)
    return Pixels(component_map, rows, index, image, row - image * height, index - row * width, component)


def _highest(pixels: Pixels, heatmap: Tensor, candidates: Tensor, radius: int) -> Tensor:
    """Which candidates are the maximum of their component in a square of 2 radius + 1 pixels.

    Of equal pixels only the first in raster order counts; otherwise every pixel of a plateau would be a center.
    """
    _, height, width = pixels.component_map.shape
    component = pixels.component_map.view(-1)
    side = torch.arange(-radius, radius + 1, device=heatmap.device)
    kept = [candidates.new_zeros(0, dtype=torch.bool)]
    for part in candidates.split(max(1, 2**22 // side.numel() ** 2)):  # bounds the memory for any heat
        row, column = part // width, part % width
        top = row - row % height
        rows = torch.minimum(torch.maximum(row[:, None] + side, top[:, None]), top[:, None] + height - 1)
        columns = (column[:, None] + side).clamp(0, width - 1)
        around = rows[:, :, None] * width + columns[:, None, :]
        others, own = heatmap.take(around), heatmap.take(part)[:, None, None]
        higher = (others > own) | ((others == own) & (around < part[:, None, None]))
        same = component.take(around) == component.take(part)[:, None, None]
        kept.append(~(higher & same).flatten(1).any(dim=1))
    return torch.cat(kept)


def _peaks(pixels: Pixels, heatmap: Tensor, value: Tensor, min_center: float, window: int) -> Tensor:
    """Indices of the pixels above `min_center` that are the maximum of their component in the window.

    Smaller windows go first: a maximum of the large window is also one of the small windows, which leave few
    candidates.
    """
    candidates = pixels.index[value > min_center]
    last = window // 2
    for radius in (*(r for r in (1, 4) if r < last), last):
        candidates = candidates[_highest(pixels, heatmap, candidates, radius)]
    return candidates


def _sweep(run: Tensor, dim: int, side: int, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Combines every `side` adjacent values along a dimension, which gets side - 1 shorter, by doubling."""
    joined = 1
    while joined < side:
        step = min(joined, side - joined)
        kept = run.shape[dim] - step
        run = join(run.narrow(dim, 0, kept), run.narrow(dim, step, kept))
        joined += step
    return run


def _in_squares(kind: Tensor, side: int) -> Tensor:
    """Which pixels of a uint8 (B, H, W) map lie in a square of `side` pixels with a single nonzero value: bool."""
    if min(kind.shape[1:]) < side:
        return torch.zeros_like(kind, dtype=torch.bool)
    for dim in (1, 2):
        kind = _sweep(kind, dim, side, lambda a, b: a * (a == b))
    covered = F.pad(kind > 0, (side - 1,) * 4)
    for dim in (1, 2):
        covered = _sweep(covered, dim, side, torch.logical_or)
    return covered


def _link(kind: Tensor, nodes: Tensor) -> tuple[Tensor, Tensor]:
    """Connections between chosen pixels of a (B, H, W) map.

    nodes: int64 (n,), indices in the flattened map. Returns, for each node, its 4-neighbors of the same kind among the
    nodes, int64 (4, n), or the node itself if there is none; and whether a neighbor of the same kind is not a node,
    bool (n,).
    """
    _, height, width = kind.shape
    kind = kind.view(-1)
    own = torch.arange(len(nodes), device=nodes.device)
    number = torch.full(kind.shape, -1, dtype=torch.int32, device=nodes.device)
    number[nodes] = own.int()
    column, row = nodes % width, nodes // width % height
    steps = ((column > 0, -1), (column < width - 1, 1), (row > 0, -width), (row < height - 1, width))
    around = torch.stack([torch.where(there, nodes + step, nodes) for there, step in steps])
    same = kind.take(around) == kind.take(nodes)
    neighbour = number.take(around).long()
    return torch.where(same & (neighbour >= 0), neighbour, own), (same & (neighbour < 0)).any(dim=0)


def _clusters(pixels: Pixels, heatmap: Tensor, offsets: Tensor, categories: Tensor, rule: CenterFinding) -> Tensor:
    """Indices of the centers that the offsets show: the truncated centroids of 4-connected clusters of short offsets
    within a component. A cluster counts if its area is right and its centroid lies in the component and has heat.

    Labels spread from pixel to pixel for as many rounds as the largest accepted cluster has pixels. Every accepted
    cluster then carries one label and borders on no other; anything larger is unfinished, which shows. Pixels in
    squares too large for an accepted cluster are left out beforehand, only for speed.
    """
    _, height, width = pixels.component_map.shape
    largest = rule.cluster_area + rule.cluster_tolerance - 1
    short = pixels.read(offsets, 0).square() + pixels.read(offsets, 1).square() < rule.cluster_radius**2
    # adjacent components differ in class, so the class separates their pixels
    kind = torch.zeros_like(pixels.component_map, dtype=torch.uint8)
    kind.view(-1).scatter_(0, pixels.index, (categories + 1).byte().index_select(0, pixels.component) * short)
    nodes = ((kind > 0) & ~_in_squares(kind, math.isqrt(largest) + 1)).view(-1).nonzero()[:, 0]
    link, too_large = _link(kind, nodes)
    label = torch.arange(len(nodes), device=nodes.device)
    for _ in range(largest - 1):
        label = torch.minimum(label, label.take(link).amin(dim=0))
    too_large |= (label.take(link) != label).any(dim=0)
    row = nodes // width
    parts = torch.stack([torch.ones_like(row), row % height, nodes % width, too_large.long()])
    area, y, x, unfinished = torch.zeros_like(parts).index_add_(1, label, parts)
    wanted = ((area - rule.cluster_area).abs() < rule.cluster_tolerance) & (unfinished == 0)
    first, area = nodes[wanted], area[wanted]
    at = (first // (height * width) * height + y[wanted] // area) * width + x[wanted] // area
    component = pixels.component_map.view(-1)
    return at[(component.take(at) == component.take(first)) & (heatmap.take(at) > rule.min_cluster_center)]


def _far(pixels: Pixels, clusters: Tensor, peaks: Tensor, distance: float) -> Tensor:
    """Which clustered centers are farther than a distance from every peak of their component: bool."""
    width = pixels.component_map.shape[2]
    gap_y = (clusters // width)[:, None] - peaks // width
    gap_x = (clusters % width)[:, None] - peaks % width
    same = pixels.component_at(clusters)[:, None] == pixels.component_at(peaks)
    return ~(same & (gap_y**2 + gap_x**2 <= distance**2)).any(dim=1)


def find_centers(
    pixels: Pixels, centers: Tensor, offsets: Tensor, categories: Tensor, min_center: float, rule: CenterFinding
) -> tuple[Centers, Tensor]:
    """The centers of every component, and the heat of each listed pixel's own class, float32 (n,).

    centers: (B, C, H, W) heatmaps, or (B, 1, H, W) for all classes; offsets: (B, 2, H, W), channel 0 = y, pixels;
    categories: int64 (B * rows,), of the components by their number.
    Centers are the peaks, pixels of heat above `min_center` that are the maximum of their component in the window, and
    clusters of short offsets in components without a nearby peak, whose heat is set to 1 in the result.
    """
    _, height, width = pixels.component_map.shape
    channel = categories.index_select(0, pixels.component) if centers.shape[1] > 1 else 0
    value = pixels.read(centers, channel)
    heatmap = torch.full((pixels.component_map.numel(),), -math.inf, device=value.device)
    heatmap.scatter_(0, pixels.index, value)
    found = peaks = _peaks(pixels, heatmap, value, min_center, rule.window)
    if rule.cluster_tolerance > 0:
        clusters = _clusters(pixels, heatmap, offsets, categories, rule)
        clusters = clusters[_far(pixels, clusters, peaks, rule.cluster_distance)]
        found = torch.cat([peaks, clusters])
        heatmap[clusters] = CLUSTERED
        value = heatmap.index_select(0, pixels.index)
    component, order = pixels.component_at(found).sort(stable=True)
    found = found[order]
    return Centers(component, found // width % height, found % width), value
