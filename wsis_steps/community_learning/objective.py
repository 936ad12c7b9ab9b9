"""The loss of a batch: from the network's outputs to pseudo labels, and from those to all terms.

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
from wsis_steps.vision.batches import stack_pictures

Terms = dict[str, Tensor]


def refinement_terms(outputs: Detections, boxes: Tensor, tags: Tensor, settings: CommunityLearningTrain) -> Terms:
    """L_cls and every L_refine of one image (equations 3, 4): each head learns from the scores of the one before."""
    scores = midn_scores(outputs.classes, outputs.places)
    terms = {"classification": classification_loss(scores.sum(dim=0), tags)}
    for k in range(outputs.refined.shape[1]):
        seeds = find_seeds(scores, tags)
        labels = label_proposals(boxes, seeds, settings)
        terms[f"refinement{k + 1}"] = refinement_loss(outputs.refined[:, k], labels)
        scores = outputs.refined[:, k].detach().float().softmax(dim=1)[:, 1:]
    return terms


def regression_term(
    outputs: Detections, boxes: Tensor, scores: Tensor, foreground: Seeds, settings: CommunityLearningTrain
) -> Tensor:
    """L_reg of one image (equation 5): proposals above the overlap with their nearest pseudo ground truth learn to
    become it."""
    truths = best_of_each_class(foreground)
    if not len(truths.rows):
        return outputs.offsets.sum() * 0
    targets = boxes[truths.rows]
    if settings.regression_target == "cluster":
        targets = cluster_boxes(boxes, scores, truths, settings.cluster_overlap)
    overlaps, nearest = match(boxes, targets)
    offsets = offsets_of(outputs.offsets, truths.categories[nearest])
    wanted = to_offsets(boxes, targets[nearest], settings.offset_std)
    return regression_loss(offsets, wanted, overlaps > settings.regression_overlap)


def regressed(
    outputs: Detections, boxes: Tensor, sample: Sample, size: tuple[int, int], settings: CommunityLearningTrain
) -> Tensor:
    """Boxes (n, 4) of which masks are made: those sampled, of objects as the regressor moves them (section 3.4), within
    a picture of (height, width)."""
    chosen = boxes[sample.rows]
    if settings.regression == "none":
        return chosen
    offsets = offsets_of(outputs.offsets.detach().float()[sample.rows], sample.categories.clamp(min=1))
    moved = clip_boxes_to_image(apply_offsets(chosen, offsets, settings.offset_std), size)
    usable = (sample.categories > 0) & (moved[:, 2:] - moved[:, :2] >= 1).all(dim=1)
    return torch.where(usable[:, None], moved, chosen)


def image_terms(
    outputs: Detections, sample: dict[str, Tensor], settings: CommunityLearningTrain
) -> tuple[Terms, Tensor, Sample]:
    """The detector's terms of one image, the regions (n, 4) of which masks are made, and what these hold."""
    boxes, tags = sample["boxes"], sample["tags"]
    terms = refinement_terms(outputs, boxes, tags, settings)
    scores = refined_scores(outputs.refined.detach())[:, 1:]
    foreground = find_foreground(scores, boxes, tags, settings)
    if settings.regression != "none":
        terms["regression"] = regression_term(outputs, boxes, scores, foreground, settings)
    chosen = sample_proposals(boxes, foreground, settings)
    return terms, regressed(outputs, boxes, chosen, sample["picture"].shape[1:], settings), chosen


def mask_terms(
    model: CommunityNetwork, maps: list[Tensor], boxes: list[Tensor], samples: list[Sample]
) -> list[Terms]:  # fmt: skip
    """L_cam of every branch and L_seg of each image of a batch (equations 1, 7 and 9), of its boxes (n, 4)."""
    settings = model.settings
    regions, categories = to_regions(boxes), torch.cat([sample.categories for sample in samples])
    masks = model.segment(maps, regions, categories, settings.roi_chunk)
    found, counts = [], [len(sample.rows) for sample in samples]
    parts = (part.split(counts) for part in (categories, *masks))
    for own, logits, activation, segmented in zip(*parts, strict=True):
        terms = {
            f"activation{k + 1}": activation_loss(logits[:, k], own, settings.background_map)
            for k in range(logits.shape[1])
        }
        if settings.segmentation:
            objects = own > 0
            targets = pseudo_masks(activation[objects], settings.mask_threshold)
            terms["segmentation"] = segmentation_loss(segmented[objects], targets, settings.segmentation_mean)
        found.append(terms)
    return found


def batch_loss(model: CommunityNetwork, batch: list[dict[str, Tensor]], iteration: int = 0) -> Terms:
    """All terms of the loss of a batch, the mean over its images, and their sum `total` (equations 2, 6 and 8).

    batch: samples with picture uint8 (3, h, w), boxes float (R, 4) in its pixels and tags bool (C,).
    """
    settings = model.settings
    maps = model(stack_pictures([sample["picture"] for sample in batch], model.backbone.normalize))
    boxes = [sample["boxes"] for sample in batch]
    outputs = model.detect(maps, to_regions(boxes), settings.roi_chunk)
    parts = (part.split([len(part) for part in boxes]) for part in outputs)
    found = [image_terms(Detections(*own), sample, settings) for sample, *own in zip(batch, *parts, strict=True)]
    terms, regions, samples = map(list, zip(*found, strict=True))
    if settings.mask_generation:
        of_masks = mask_terms(model, maps, regions, samples)
        terms = [{**first, **second} for first, second in zip(terms, of_masks, strict=True)]
    means = {name: sum(image[name] for image in terms) / len(batch) for name in terms[0]}
    return {**means, "total": total(means)}
