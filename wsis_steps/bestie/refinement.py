"""Labels and instances from the outputs of the network, for a whole batch on any device, without gradients.

`refine` makes the self-refined labels of an iteration, `refine_with_points` those under point supervision,
`instances_from_outputs` the instances of an image at inference. Source: BESTIE (CVPR 2022), supplement section 1, and
the released code.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wsis_steps.bestie.centers import CLUSTERED, Centers, Pixels, find_centers, list_pixels
from wsis_steps.bestie.grouping import semantic_components
from wsis_steps.bestie.settings import BestieInfer, BestieTrain
from wsis_steps.bestie.targets import Targets, draw_centers, write_offsets
from wsis_steps.vision.masks import UNSURE


@dataclass(frozen=True)
class Instances:
    """Instances of one image.

    instance_map: int32 (H, W), 0 = none, k = row k - 1 of categories, int64 (n,), and scores, float32 (n,) in [0, 1].
    """

    instance_map: np.ndarray
    categories: np.ndarray
    scores: np.ndarray


def _assign(pixels: Pixels, offsets: Tensor, centers: Centers, components: int) -> tuple[Tensor, Tensor]:
    """Assigns each pixel to the center of its component nearest to where its offset points; of equal ones, the first.

    Returns the rows of the pixels whose component has a center, and for each of these the row of its center.
    """
    count = torch.bincount(centers.component, minlength=components)
    start = count.cumsum(0) - count
    kept = (count > 0).index_select(0, pixels.component).nonzero()[:, 0]
    component = pixels.component.index_select(0, kept)
    place = start.index_select(0, component)
    rest = (count > 1).index_select(0, component).nonzero()[:, 0]
    if not len(rest):
        return kept, place
    several = pixels.select(kept.index_select(0, rest))
    to_y = several.y + several.read(offsets, 0)
    to_x = several.x + several.read(offsets, 1)
    first, centers_here = place.index_select(0, rest), count.index_select(0, several.component)
    chosen, nearest = first, torch.full_like(to_y, torch.inf)
    for slot in range(int(count.max())):
        row = first + slot * (slot < centers_here)  # past its last center a component repeats the first
        distance = (to_y - centers.y.index_select(0, row)) ** 2 + (to_x - centers.x.index_select(0, row)) ** 2
        chosen = torch.where(distance < nearest, row, chosen)
        nearest = torch.minimum(nearest, distance)
    return kept, place.index_copy(0, rest, chosen)


def _mean(values: Tensor, place: Tensor, count: int) -> Tensor:
    """Means of the values in each of `count` places, float32; 0 for places without values."""
    total = torch.zeros(count, dtype=torch.float64, device=values.device).scatter_add_(0, place, values.double())
    return (total / torch.bincount(place, minlength=count).clamp(min=1)).float()


def _highest(values: Tensor, place: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The highest value in each of `count` places (-inf if empty), and the first row that has it."""
    top = torch.full((count,), -torch.inf, device=values.device).scatter_reduce_(0, place, values, "amax")
    rows = (values == top.index_select(0, place)).nonzero()[:, 0]
    first = torch.full((count,), max(len(values) - 1, 0), dtype=torch.int64, device=values.device)
    return top, first.scatter_reduce_(0, place.index_select(0, rows), rows, "amin")


def _own_probability(pixels: Pixels, logits: Tensor, categories: Tensor) -> Tensor:
    """Softmax probability, float32 (n,), of each pixel's component's class, from (B, 1 + C, H, W) logits."""
    size = pixels.component_map[0].numel()
    own = pixels.read(logits, (categories + 1).index_select(0, pixels.component))
    at = pixels.index + pixels.image * (size * (logits.shape[1] - 1))
    flat, total = logits.reshape(-1), torch.zeros_like(own)
    for channel in range(logits.shape[1]):  # one class at a time, since memory bandwidth dominates
        total += flat[channel * size :].index_select(0, at).float().sub_(own).exp_()
    return 1 / total


@torch.no_grad()
def refine(
    *,
    semantic: Tensor,
    centers: Tensor,
    offsets: Tensor,
    components: Tensor,
    table: Tensor,
    settings: BestieTrain,
) -> Targets:
    """Self-refined labels: the network's instances within the components of the given semantic maps.

    semantic, centers, offsets: float outputs of the network, (B, 1 + C, H, W) logits, (B, C, H, W) heatmaps or
    (B, 1, H, W) for all classes, (B, 2, H, W) pixels with channel 0 = y; components: int32 (B, H, W) and
    table: int (B, M, 3) are `grouping.semantic_components` of the images' given maps, stacked and padded
    (`pad_tables`).

    The centers of a component are its peaks above `min_refined_center` and its clusters of short offsets
    (`find_centers`); each pixel is assigned to the nearest one. A component without a center, or with more than
    `max_instances` instances that received a pixel, is not labeled. An instance's center is its pixel of highest heat,
    and its weight is that heat times its mean class probability, at most 1. If the heat is below `min_center`, they are
    the component's centroid and the probability alone.

    Returns float32 heatmaps shaped like `centers`, offsets and weights in [0, 1].
    """
    images, _, height, width = offsets.shape
    pixels = list_pixels(components, table.shape[1])
    rows = table.reshape(-1, 3).long()
    categories = rows[:, 0]
    found, value = find_centers(pixels, centers, offsets, categories, settings.min_refined_center, settings)
    kept, place = _assign(pixels, offsets, found, len(rows))
    pixels, count = pixels.select(kept), len(found.component)
    heat, at = _highest(value.index_select(0, kept), place, count)
    probability = _mean(_own_probability(pixels, semantic, categories), place, count)
    seen = heat > -torch.inf
    instances = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
    instances.scatter_add_(0, found.component, seen.long())
    seen &= instances.index_select(0, found.component) <= settings.max_instances
    category, x, y = rows.index_select(0, found.component).unbind(1)
    peaked = heat >= settings.min_refined_center
    y = torch.where(peaked, pixels.y[at], y)
    x = torch.where(peaked, pixels.x[at], x)
    weight = torch.where(peaked, heat * probability, probability).clamp(0, 1)
    new_offsets, weights = write_offsets(pixels, place, y, x, torch.where(seen, weight, -1.0))
    channel = category.clamp(max=centers.shape[1] - 1)
    points = torch.stack([found.component // table.shape[1], channel, y, x], dim=1)[seen]
    heatmaps = draw_centers(points, (images, centers.shape[1], height, width), settings.sigma)
    return Targets(heatmaps, new_offsets, weights)


def _class_groups(semantic: Tensor, points: Tensor) -> tuple[Pixels, Centers, int]:
    """For supervision with points: groups all pixels of a class in an image, with the class's points as centers.

    semantic: uint8 (B, H, W), 0 background, 1 + category, 255 unsure; points: (B, N, 3), rows category, x, y,
    padded with -1. Returns the pixels of all classes in groups image * 255 + category, the points by group,
    and the maximum number of groups.
    """
    groups = torch.where(semantic < UNSURE, semantic, 0).int()
    given = points.long()
    image, row = (given[..., 0] >= 0).nonzero(as_tuple=True)
    category, x, y = given[image, row].unbind(1)
    group, order = (image * UNSURE + category).sort(stable=True)
    return list_pixels(groups, UNSURE), Centers(group, y[order], x[order]), UNSURE * len(semantic)


@torch.no_grad()
def refine_with_points(*, offsets: Tensor, semantic: Tensor, points: Tensor) -> Targets:
    """Refined labels where each instance has a given point: only the offsets (and weights 1) are new.

    offsets: (B, 2, H, W) output of the network, channel 0 = y, pixels; semantic: uint8 (B, H, W), the given
    semantic map, 0 background, 1 + category, 255 unsure; points: int (B, N, 3), rows category, x, y, padded
    with -1. Every pixel of a class with points is assigned to the point nearest to where its offset points,
    in any component. The centers are None: given points are not refined.
    """
    pixels, centers, groups = _class_groups(semantic, points)
    kept, place = _assign(pixels, offsets, centers, groups)
    weight = torch.ones_like(centers.y, dtype=torch.float32)
    return Targets(None, *write_offsets(pixels.select(kept), place, centers.y, centers.x, weight))


def _collect(pixels: Pixels, place: Tensor, categories: Tensor, scores: Tensor) -> Instances:
    """Instances of one image from each pixel's row in categories and scores; rows without pixels are left out."""
    used = torch.bincount(place, minlength=len(categories)) > 0
    number = used.cumsum(0)
    instance_map = torch.zeros_like(pixels.component_map[0], dtype=torch.int32)
    instance_map.view(-1).scatter_(0, pixels.index, number.index_select(0, place).int())
    return Instances(*(part.cpu().numpy() for part in (instance_map, categories[used], scores[used])))


@torch.no_grad()
def instances_from_outputs(
    *, probability: Tensor, centers: Tensor, offsets: Tensor, settings: BestieInfer
) -> Instances:
    """Instances of one image from the network's outputs.

    probability: float (1 + C, H, W), softmax, 0 for excluded classes; centers: (C, H, W) heatmaps, or (1, H, W)
    for all classes; offsets: (2, H, W), channel 0 = y, pixels of these maps.

    Components of the most probable class, of `min_area` pixels or more, are divided as in `refine`, but without a limit
    on the number of instances; one without any center is one instance. Score, in [0, 1]: the highest heat in the
    instance times its mean class probability; heat of 1 or more, as of a clustered center, is replaced by that
    probability.
    """
    semantic = probability.max(dim=0).indices.byte()  # several times as fast as argmax
    found = semantic_components(semantic.cpu().numpy(), np.ones(len(probability) - 1, dtype=bool), settings.min_area)
    rows = torch.from_numpy(found.table).to(offsets.device).long()
    pixels = list_pixels(torch.from_numpy(found.map).to(offsets.device)[None], max(len(rows), 1))
    categories = rows[:, 0]
    offsets = offsets[None]
    found, value = find_centers(pixels, centers[None], offsets, categories, settings.min_center, settings)
    without = torch.bincount(found.component, minlength=len(rows)) == 0
    component, order = torch.cat([found.component, without.nonzero()[:, 0]]).sort(stable=True)
    y, x = torch.cat([found.y, rows[without, 2]])[order], torch.cat([found.x, rows[without, 1]])[order]
    kept, place = _assign(pixels, offsets, Centers(component, y, x), len(rows))
    pixels = pixels.select(kept)
    heat, _ = _highest(value.index_select(0, kept), place, len(component))
    category = categories.index_select(0, component)
    own = pixels.read(probability[None], (category + 1).index_select(0, place))
    mean = _mean(own, place, len(component))
    scores = (torch.where(heat >= CLUSTERED, mean, heat) * mean).clamp(0, 1)
    return _collect(pixels, place, category, scores)


@torch.no_grad()
def instances_from_points(*, probability: Tensor, offsets: Tensor, points: Tensor) -> Instances:
    """Instances of one image with given points, to which the pixels of their class are assigned.

    probability: float (1 + C, H, W), softmax, 0 for excluded classes; offsets: (2, H, W), channel 0 = y,
    pixels; points: int (n, 3), rows category, x, y. Pixels whose most probable class has no point are in no instance,
    as released. Score = mean class probability.
    """
    semantic = probability.max(dim=0).indices.byte()
    pixels, centers, groups = _class_groups(semantic[None], points[None])
    kept, place = _assign(pixels, offsets[None], centers, groups)
    pixels = pixels.select(kept)
    own = pixels.read(probability[None], (centers.component + 1).index_select(0, place))
    return _collect(pixels, place, centers.component, _mean(own, place, len(centers.y)))
