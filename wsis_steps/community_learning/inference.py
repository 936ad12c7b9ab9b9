"""Detections with masks of one image: the mean over several scales and the mirrored picture.

Deep Community Learning (WACV 2021), section 3.4.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import batched_nms, box_iou, clip_boxes_to_image

from wsis_steps.community_learning.boxes import apply_offsets, mirror
from wsis_steps.community_learning.detector import offsets_of, refined_scores
from wsis_steps.community_learning.network import CommunityNetwork, to_regions
from wsis_steps.community_learning.pseudo_labels import find_seeds
from wsis_steps.community_learning.samples import scale_to
from wsis_steps.community_learning.settings import CommunityLearningInfer

PASTED = 1 << 24  # maximum number of mask pixels pasted at once


class View(NamedTuple):
    """A picture as the network sees it in one pass: its maps, its size relative to the image's, whether it is mirrored,
    and its width in pixels."""

    maps: list[Tensor]
    scale: Tensor
    mirrored: bool
    width: int

    def boxes(self, boxes: Tensor) -> Tensor:
        """Boxes (R, 4) of the image in this picture."""
        scaled = boxes * self.scale
        return mirror(scaled, self.width) if self.mirrored else scaled

    def back(self, boxes: Tensor) -> Tensor:
        """Boxes (R, 4) of this picture in the image."""
        return (mirror(boxes, self.width) if self.mirrored else boxes) / self.scale


class Found(NamedTuple):
    """Detections of an image, best first: boxes float (n, 4) in its pixels, categories int64 (n,) from 1, scores."""

    boxes: Tensor
    categories: Tensor
    scores: Tensor


def make_views(model: CommunityNetwork, picture: Tensor, settings: CommunityLearningInfer) -> list[View]:
    """The passes over a picture uint8 (3, h, w): every short side, optionally also mirrored."""
    views = []
    height, width = picture.shape[1:]
    normalized = model.backbone.normalize(picture[None])
    for short_side in settings.short_sides:
        size = scale_to(height, width, short_side, settings.long_side)
        resized = normalized
        if (size.height, size.width) != (height, width):
            resized = functional.interpolate(normalized, (size.height, size.width), mode="bilinear", antialias=True)
        scale = torch.tensor([size.width / width, size.height / height] * 2, device=picture.device)
        for mirrored in (False, True) if settings.flip else (False,):
            maps = model(resized.flip(-1) if mirrored else resized)
            views.append(View(maps, scale, mirrored, size.width))
    return views


def detect(
    model: CommunityNetwork, views: list[View], boxes: Tensor, tags: Tensor | None, settings: CommunityLearningInfer
) -> Found:
    """Detections from proposals (R, 4) of an image (section 3.4).

    The scores are the mean over the refinement heads and the views; each proposal has the class of its highest score
    and the mean of its regressed boxes. With tags, bool (C,), only these classes are detected, and each gets its best
    proposal, even if another class scores higher there: CorLoc needs one box of each.
    """
    outputs = [model.detect(view.maps, to_regions([view.boxes(boxes)]), settings.roi_chunk) for view in views]
    scores = torch.stack([refined_scores(output.refined) for output in outputs]).mean(dim=0)[:, 1:]
    if tags is None:
        scores, classes = scores.max(dim=1)
    else:
        seeds = find_seeds(scores, tags)
        scores, classes = scores.masked_fill(~tags, 0).max(dim=1)
        scores[seeds.rows], classes[seeds.rows] = seeds.scores, seeds.categories - 1
    if model.settings.regression != "none":
        std = model.settings.offset_std
        moved = [
            view.back(apply_offsets(view.boxes(boxes), offsets_of(output.offsets.float(), classes + 1), std))
            for view, output in zip(views, outputs, strict=True)
        ]
        boxes = torch.stack(moved).mean(dim=0)
    return Found(boxes, classes + 1, scores)


def keep_best(found: Found, height: int, width: int, settings: CommunityLearningInfer) -> Found:
    """The detections left by thresholds and non-maximum suppression, within an image of (height, width), best first."""
    boxes = clip_boxes_to_image(found.boxes, (height, width))
    sides = boxes[:, 2:] - boxes[:, :2]
    usable = ((found.scores >= settings.min_score) & (found.scores > 0) & (sides >= 1).all(dim=1)).nonzero()[:, 0]
    kept = batched_nms(boxes[usable], found.scores[usable], found.categories[usable], settings.nms)
    rows = usable[kept[: settings.detections]]
    best = Found(boxes[rows], found.categories[rows], found.scores[rows])
    if settings.box_voting:
        return vote(best, Found(boxes[usable], found.categories[usable], found.scores[usable]), settings.box_voting)
    return best


def vote(best: Found, all_found: Found, overlap: float) -> Found:
    """The best detections, each with the score-weighted mean box of all detections of its class that overlap it by more
    than `overlap`, including itself. A single best box is often a part of its object."""
    near = box_iou(best.boxes, all_found.boxes) > overlap
    weights = near * (best.categories[:, None] == all_found.categories) * all_found.scores
    with torch.autocast(weights.device.type, enabled=False):  # 8 bits would shift boxes by pixels
        sums = weights.float() @ all_found.boxes.float()
    return best._replace(boxes=sums / weights.sum(dim=1, keepdim=True))


def mean_masks(model: CommunityNetwork, views: list[View], found: Found, chunk: int) -> Tensor:
    """(M + S) / 2 of equation 10, the mean over views, for detections: float (n, T, T), 0 to 1.

    M alone for a network without segmentation, and 1 everywhere without mask generation.
    """
    side = model.settings.mask_size
    if not model.settings.mask_generation or not len(found.boxes):
        return found.boxes.new_ones(len(found.boxes), side, side)
    mean = found.boxes.new_zeros(len(found.boxes), side, side)
    for view in views:
        masks = model.segment(view.maps, to_regions([view.boxes(found.boxes)]), found.categories, chunk)
        values = masks.activation.float()
        if model.settings.segmentation:
            values = (values + masks.segmentation.float().sigmoid()) / 2
        mean += values.flip(-1) if view.mirrored else values
    return mean / len(views)


def paste(values: Tensor, boxes: Tensor, height: int, width: int, threshold: float) -> Tensor:
    """Equation 10's O in the image: bool (n, height, width), where values (n, T, T) in their boxes exceed xi.

    Values are interpolated before the threshold, so outlines are finer than the cells. A detection with no value above
    xi has an empty mask.
    """
    rows, columns = (torch.arange(side, device=boxes.device) + 0.5 for side in (height, width))
    pasted = []
    size = max(PASTED // (height * width), 1)
    for part, box in zip(values.split(size), boxes.split(size), strict=True):
        x = 2 * (columns - box[:, :1]) / (box[:, 2:3] - box[:, :1]) - 1
        y = 2 * (rows - box[:, 1:2]) / (box[:, 3:] - box[:, 1:2]) - 1
        grid = torch.stack(
            [x[:, None].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)], dim=-1
        )  # fmt: skip
        sampled = functional.grid_sample(part[:, None], grid, padding_mode="border", align_corners=False)[:, 0]
        inside = (x.abs() <= 1)[:, None] & (y.abs() <= 1)[:, :, None]
        pasted.append((sampled > threshold) & inside)
    return torch.cat(pasted)
