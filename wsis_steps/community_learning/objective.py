"""The loss of a batch: from the network's outputs to pseudo labels, and from these to all terms.

Deep Community Learning (WACV 2021), sections 3.2 and 3.3.
"""

import torch
from torch import Tensor
from torchvision.ops import clip_boxes_to_image

from wsis_steps.community_learning.boxes import apply_offsets, to_offsets
from wsis_steps.community_learning.detector import Detections, midn_scores, offsets_of, refined_scores
from wsis_steps.community_learning.losses import (
    activation_loss,
    classification_loss,
    refinement_loss,
    regression_loss,
    segmentation_loss,
    total,
)
from wsis_steps.community_learning.mask_generation import pseudo_masks
from wsis_steps.community_learning.network import CommunityNetwork, to_regions
from wsis_steps.community_learning.pseudo_labels import (
    Sample,
    Seeds,
    best_of_each_class,
    cluster_boxes,
    find_foreground,
    find_seeds,
    label_proposals,
    match,
    sample_proposals,
)
from wsis_steps.community_learning.settings import CommunityLearningTrain
from wsis_steps.vision.batches import same_sizes

Terms = dict[str, Tensor]


def move(
    boxes: Tensor, offsets: Tensor, categories: Tensor, size: tuple[int, int], settings: CommunityLearningTrain
) -> Tensor:
    """Boxes (n, 4) after regression, clipped to a picture of (height, width), without gradient. Boxes that would become
    smaller than a pixel stay as they are, as do all without a regressor.

    offsets: (n, 4), (n, 4 C) or (n, 0) of the boxes; categories: int64 (n,) from 1.
    """
    if settings.regression == "none":
        return boxes
    own = offsets_of(offsets.detach().float(), categories)
    moved = clip_boxes_to_image(apply_offsets(boxes, own, settings.offset_std), size)
    usable = (moved[:, 2:] - moved[:, :2] >= 1).all(dim=1)
    return torch.where(usable[:, None], moved, boxes)


def refinement_terms(
    outputs: Detections, boxes: Tensor, tags: Tensor, size: tuple[int, int], settings: CommunityLearningTrain
) -> Terms:
    """L_cls and every L_refine of one image (equations 3, 4): each head learns from the scores of the previous one."""
    scores = midn_scores(outputs.classes, outputs.places)
    terms = {"classification": classification_loss(scores.sum(dim=0), tags)}
    for k in range(outputs.refined.shape[1]):
        best = settings.seeds == "best"
        seeds = find_seeds(scores, tags) if best else find_foreground(scores, boxes, tags, settings)
        places = boxes[seeds.rows]
        if settings.seed_boxes == "moved":
            places = move(places, outputs.offsets[seeds.rows], seeds.categories, size, settings)
        elif settings.seed_boxes == "cluster":
            places = cluster_boxes(boxes, scores, seeds, settings.cluster_overlap)
        labels = label_proposals(boxes, seeds, places, settings)
        terms[f"refinement{k + 1}"] = refinement_loss(outputs.refined[:, k], labels)
        scores = outputs.refined[:, k].detach().float().softmax(dim=1)[:, 1:]
    return terms


def regression_term(
    outputs: Detections,
    boxes: Tensor,
    scores: Tensor,
    foreground: Seeds,
    counted: Tensor,
    settings: CommunityLearningTrain,
) -> Tensor:
    """L_reg of one image (equation 5): proposals above the overlap with their nearest pseudo ground truth are regressed
    to it. counted: int64 rows of the proposals that make up R."""
    truths = best_of_each_class(foreground)
    if not len(truths.rows):
        return outputs.offsets.sum() * 0
    targets = boxes[truths.rows]
    if settings.regression_target == "cluster":
        targets = cluster_boxes(boxes, scores, truths, settings.cluster_overlap)
    overlaps, nearest = match(boxes[counted], targets)
    offsets = offsets_of(outputs.offsets[counted], truths.categories[nearest])
    wanted = to_offsets(boxes[counted], targets[nearest], settings.offset_std)
    return regression_loss(offsets, wanted, overlaps > settings.regression_overlap)


def regressed(
    outputs: Detections, boxes: Tensor, sample: Sample, size: tuple[int, int], settings: CommunityLearningTrain
) -> Tensor:
    """Boxes (n, 4) for mask generation: the sampled ones, those of objects regressed (section 3.4), within a picture of
    (height, width)."""
    chosen = boxes[sample.rows]
    moved = move(chosen, outputs.offsets[sample.rows], sample.categories.clamp(min=1), size, settings)
    return torch.where((sample.categories > 0)[:, None], moved, chosen)


def image_terms(
    outputs: Detections, sample: dict[str, Tensor], settings: CommunityLearningTrain
) -> tuple[Terms, Tensor, Sample]:
    """The detector's terms of one image, the regions (n, 4) for mask generation, and the labels of these."""
    boxes, tags, size = sample["boxes"], sample["tags"], tuple(sample["picture"].shape[1:])
    terms = refinement_terms(outputs, boxes, tags, size, settings)
    scores = refined_scores(outputs.refined.detach())[:, 1:]
    foreground = find_foreground(scores, boxes, tags, settings)
    chosen = sample_proposals(boxes, foreground, sample["luck"], settings)
    if settings.regression != "none":
        every = torch.arange(len(boxes), device=boxes.device)
        counted = chosen.rows if settings.regression_regions == "sampled" else every
        terms["regression"] = regression_term(outputs, boxes, scores, foreground, counted, settings)
    return terms, regressed(outputs, boxes, chosen, size, settings), chosen


def mask_terms(
    model: CommunityNetwork, maps: list[Tensor], boxes: list[Tensor], samples: list[Sample]
) -> list[Terms]:  # fmt: skip
    """L_cam of every branch and L_seg of each image of a batch (equations 1, 7 and 9), of its boxes (n, 4)."""
    settings = model.settings
    regions, categories = to_regions(boxes), torch.cat([sample.categories for sample in samples])
    masks = model.segment(maps, regions, categories, settings.roi_chunk)
    found, counts = [], [len(sample.rows) for sample in samples]
    parts = (part.split(counts) for part in masks)
    for sample, logits, activation, segmented in zip(samples, *parts, strict=True):
        terms = {
            f"activation{k + 1}": activation_loss(logits[:, k], sample.categories, settings.background_map)
            for k in range(logits.shape[1])
        }
        if settings.segmentation:
            kinds = {"selected": sample.selected, "foreground": sample.foreground, "sampled": sample.categories > 0}
            objects = kinds[settings.segmentation_regions]
            targets = pseudo_masks(activation[objects], settings.mask_threshold)
            terms["segmentation"] = segmentation_loss(segmented[objects], targets, settings.segmentation_mean)
        found.append(terms)
    return found


def pass_terms(model: CommunityNetwork, batch: list[dict[str, Tensor]]) -> list[Terms]:
    """All terms of each of several images of equal size, in one pass through the network."""
    settings = model.settings
    maps = model(model.backbone.normalize(torch.stack([sample["picture"] for sample in batch])))
    boxes = [sample["boxes"] for sample in batch]
    outputs = model.detect(maps, to_regions(boxes), settings.roi_chunk)
    parts = (part.split([len(part) for part in boxes]) for part in outputs)
    found = [image_terms(Detections(*own), sample, settings) for sample, *own in zip(batch, *parts, strict=True)]
    terms, regions, samples = map(list, zip(*found, strict=True))
    if not settings.mask_generation:
        return terms
    of_masks = mask_terms(model, maps, regions, samples)
    return [{**first, **second} for first, second in zip(terms, of_masks, strict=True)]


def batch_loss(model: CommunityNetwork, batch: list[dict[str, Tensor]], iteration: int = 0) -> Terms:
    """All terms of the loss of a batch and their sum `total` (equations 2, 6 and 8); the mean or the sum over its
    images.

    Pictures of different sizes are processed one after the other: group normalization includes padding in its
    statistics, so a padded picture would have other features.

    batch: samples with picture uint8 (3, h, w), boxes float (R, 4) in its pixels, tags bool (C,) and luck float (R,).
    """
    settings = model.settings
    groups = same_sizes([sample["picture"] for sample in batch])
    terms = [image for group in groups for image in pass_terms(model, [batch[place] for place in group])]
    # the loop averages over the parts of a batch and over processes, so each part divides by all images
    scale = settings.batch_size if settings.image_losses == "sum" else 1
    found = {name: sum(image[name] for image in terms) * (scale / len(batch)) for name in terms[0]}
    return {**found, "total": total(found)}
