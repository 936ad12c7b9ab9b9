"""Pseudo labels from the detector's own scores: seeds, labels of all proposals, and samples for mask generation.

Deep Community Learning (WACV 2021), section 3.2.1 and appendix A.2.3; OICR (Tang et al., CVPR 2017) for what the
paper adopts from it. All for one image, without gradients. Category 0 is the background, 1 + c class c.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_iou

from wsis_steps.community_learning.settings import CommunityLearningTrain


class Seeds(NamedTuple):
    """Proposals that represent an object: int64 rows (k,) of the proposals, their categories (k,) from 1, scores (k,)
    float."""

    rows: Tensor
    categories: Tensor
    scores: Tensor


class Labels(NamedTuple):
    """Labels of proposals: categories int64 (R,), 0 = background; weights float (R,), 0 to 1."""

    categories: Tensor
    weights: Tensor


class Sample(NamedTuple):
    """Proposals for mask generation: int64 rows (n,) and their categories (n,), objects first; bool (n,): those that
    are foreground proposals themselves, not only near one, and those selected as pseudo ground truth of their class."""

    rows: Tensor
    categories: Tensor
    foreground: Tensor
    selected: Tensor


@torch.no_grad()
def find_seeds(scores: Tensor, tags: Tensor) -> Seeds:
    """The proposal of the highest score for each class of the image (appendix A.2.3).

    scores: float (R, C), of the classes without background; tags: bool (C,). A proposal represents only one class:
    classes choose in order, and a later class cannot take a chosen proposal (OICR, released code). With fewer proposals
    than classes, the last classes have no seed.
    """
    classes = tags.nonzero()[:, 0][: len(scores)]
    left = scores.detach().float().clone()
    rows = torch.empty_like(classes)
    for place, category in enumerate(classes.tolist()):
        rows[place] = left[:, category].argmax()
        left[rows[place]] = -torch.inf
    return Seeds(rows, classes + 1, scores.detach().float()[rows, classes])


@torch.no_grad()
def match(boxes: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union with the nearest of the others, float (R,), and its index, int64 (R,).

    boxes (R, 4) and others (k, 4) are xyxy; without any others the overlap is 0 and the index 0. Ties go to the first.
    """
    if not len(others):
        return boxes.new_zeros(len(boxes)), torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
    overlaps, nearest = box_iou(boxes, others).max(dim=1)
    return overlaps, nearest


@torch.no_grad()
def label_proposals(boxes: Tensor, seeds: Seeds, places: Tensor, settings: CommunityLearningTrain) -> Labels:
    """Categories and weights of all proposals for a refinement head, y and w of equation 4 (appendix A.2.3).

    boxes: (R, 4); places: boxes (k, 4) of the seeds, as proposed or moved (`seed_boxes`). A proposal takes the category
    of its nearest seed if their IoU reaches `seed_overlap`, otherwise background; its weight is the nearest seed's
    score in both cases. Below an IoU of `min_seed_overlap` with every seed it has weight 0 (PCL's released code: 0.1;
    OICR's: 0). Without seeds all weights are 0.
    """
    overlaps, nearest = match(boxes, places)
    if not len(seeds.rows):
        return Labels(nearest, overlaps)
    categories = torch.where(overlaps >= settings.seed_overlap, seeds.categories[nearest], 0)
    return Labels(categories, torch.where(overlaps >= settings.min_seed_overlap, seeds.scores[nearest], 0))


@torch.no_grad()
def find_foreground(scores: Tensor, boxes: Tensor, tags: Tensor, settings: CommunityLearningTrain) -> Seeds:
    """Proposals that may each hold another object (section 3.2.1), by falling score.

    scores: float (R, C); tags: bool (C,). For each class of the image: the proposals with at least
    `min_foreground_share` of the class's highest score that remain after non-maximum suppression at IoU
    `foreground_nms`.
    """
    scores = scores.detach().float()
    if not len(scores):
        nothing = torch.zeros(0, dtype=torch.int64, device=scores.device)
        return Seeds(nothing, nothing, scores.new_zeros(0))
    strong = (scores >= settings.min_foreground_share * scores.amax(dim=0)) & tags
    rows, classes = strong.nonzero(as_tuple=True)
    values = scores[rows, classes]
    kept = batched_nms(boxes[rows].float(), values, classes, settings.foreground_nms)
    return Seeds(rows[kept], classes[kept] + 1, values[kept])


def best_of_each_class(seeds: Seeds) -> Seeds:
    """The pseudo ground truth boxes: the foreground proposal of the highest score of each class (section 3.2.1).

    The seeds are ordered by falling score; so are those returned.
    """
    same = seeds.categories[:, None] == seeds.categories[None]
    first = ~same.tril(-1).any(dim=1)
    return Seeds(*(column[first] for column in seeds))


@torch.no_grad()
def cluster_boxes(boxes: Tensor, scores: Tensor, truths: Seeds, overlap: float) -> Tensor:
    """Boxes float32 (k, 4): for each pseudo ground truth, the score-weighted mean of all proposals near it.

    boxes: (R, 4); scores: float (R, C). Near are those with an IoU above `overlap`, and the proposal itself. A single
    best proposal often covers only a part of its object; the mean does so less often.
    """
    weights = scores.float().T[truths.categories - 1] * (box_iou(boxes[truths.rows], boxes) > overlap)
    weights[torch.arange(len(weights), device=weights.device), truths.rows] += 1e-12
    with torch.autocast(boxes.device.type, enabled=False):  # 8 bits would shift boxes by pixels
        return weights / weights.sum(dim=1, keepdim=True) @ boxes.float()


@torch.no_grad()
def sample_proposals(boxes: Tensor, foreground: Seeds, luck: Tensor, settings: CommunityLearningTrain) -> Sample:
    """Proposals for mask generation, labeled by the detector (section 3.2.1).

    Objects have an IoU of at least `foreground_overlap` with their nearest foreground proposal, whose category they
    take; the foreground itself goes first, best first, then a random sample of the others. Background is a random
    sample of the proposals that overlap it by `background_overlap` to below `foreground_overlap`. Samples are those of
    the lowest `luck`, random numbers float (R,) from 0 to 1.
    """
    overlaps, nearest = match(boxes, boxes[foreground.rows])
    order = luck.clone()
    first = torch.arange(len(foreground.rows), device=boxes.device, dtype=order.dtype) - len(foreground.rows)
    order.scatter_reduce_(0, foreground.rows, first, "amin")  # a proposal may be the foreground of two classes
    shuffled = order.argsort(stable=True)
    near, beside = overlaps >= settings.foreground_overlap, overlaps >= settings.background_overlap
    inside = shuffled[near[shuffled]][: settings.sampled_objects]
    outside = shuffled[(beside & ~near)[shuffled]][: settings.sampled_background]
    if len(foreground.rows):
        categories = torch.cat([foreground.categories[nearest[inside]], torch.zeros_like(outside)])
    else:
        categories = torch.cat([inside, torch.zeros_like(outside)])
    rows = torch.cat([inside, outside])
    return Sample(rows, categories, order[rows] < 0, torch.isin(rows, best_of_each_class(foreground).rows))
