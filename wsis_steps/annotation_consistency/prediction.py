"""The prediction network (Mask R-CNN): its self-diversity in training, and its task loss against any proposal.

Annotation Consistent Instances (ECCV 2020), supplement, sections 1 and 2. The distribution over its regions is fully
factorized. How the paper pairs its regions with proposals is not known: here the heads run on the proposals' boxes.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from wsis_steps.annotation_consistency.losses import (
    exact_self_diversity,
    mask_self_diversity,
    task_losses,
)
from wsis_steps.annotation_consistency.settings import TaskLoss
from wsis_steps.maskrcnn.samples import LabelledPictures
from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.contracts.label_sets import LabelSets
from wsis_steps.vision.ranks import divisor


class SampledPictures(LabelledPictures):
    """Pictures with one of their K label sets as target, chosen at random each time.

    The expected loss is the mean over the K sets, as in equation 3 of the supplement.
    """

    labels: LabelSets

    def choose(self, index: int, rng: np.random.Generator) -> ImageInstances:
        """The instances of one label set."""
        sets = self.labels.sets[self.labels.rows(index)]
        return self.labels.read(index).at(np.flatnonzero(sets[:, rng.integers(sets.shape[1])]))


def diversity_reward(gamma: float) -> Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], dict[str, Tensor]]:
    """-(1 - gamma) DIV(p, p) of equation 10 as a further loss of the heads, on the scale of their other losses: the
    class term averaged over regions, the mask term over pixels of the positive regions' masks of their class. Regions
    have the same weights as in DIV(p, c); with a full reward but a small loss, weakly weighted instances would be
    unlearned."""

    def further_losses(
        logits: Tensor, weights: Tensor, mask_logits: Tensor, labels: Tensor, mask_weights: Tensor
    ) -> dict[str, Tensor]:
        classes = exact_self_diversity(logits.softmax(dim=1)) * weights
        rows = torch.arange(len(labels), device=labels.device)
        masks = mask_self_diversity(mask_logits[rows, labels].sigmoid()) * mask_weights
        means = [terms.sum() / divisor(len(terms)) for terms in (classes, masks)]
        return {"self_diversity": -(1 - gamma) * sum(means)}

    return further_losses


@torch.no_grad()
def losses_of_proposals(
    network: GeneralizedRCNN, picture: Tensor, graph: dict[str, Tensor], labels: Tensor, settings: TaskLoss
) -> Tensor:
    """Delta(y_p, y) of every label of every proposal, the expectation over the prediction network, float (P, L).

    Args:
        network: in evaluation mode.
        picture: uint8 (3, h, w).
        graph: the tensors of `with_matrices`, of this picture.
        labels: int64 (L,), of 0 to C, 0 first.
    """
    images, _ = network.transform([picture.float() / 255])
    height, width = images.image_sizes[0]
    scale = graph["boxes"].new_tensor([width / picture.shape[2], height / picture.shape[1]] * 2)
    features, heads = network.backbone(images.tensors), network.roi_heads
    regions = features, [graph["boxes"] * scale], images.image_sizes
    logits = heads.box_predictor(heads.box_head(heads.box_roi_pool(*regions)))[0]
    probabilities = logits.softmax(dim=1)[:, labels]
    mask_losses = torch.zeros_like(probabilities)
    if settings.mask_weight:  # on a CPU the mask head takes six times as long as everything else
        masks = heads.mask_predictor(heads.mask_head(heads.mask_roi_pool(*regions)))[:, labels].sigmoid()
        mask_losses = (masks - masks_in_boxes(graph, masks.shape[-1])[:, None]).abs().mean(dim=(2, 3))
    return task_losses(probabilities, mask_losses, settings.mask_weight, settings.missed_cost)


def masks_in_boxes(graph: dict[str, Tensor], size: int) -> Tensor:
    """The part of its box that each proposal covers, at the centers of size x size cells: float (P, size, size), 0 or
    1."""
    superpixels, boxes = graph["superpixels"], graph["boxes"]
    middles = (torch.arange(size, device=boxes.device) + 0.5) / size
    places = boxes[:, :2, None] + (boxes[:, 2:] - boxes[:, :2])[..., None] * middles  # (P, 2, size), x and y
    x = places[:, 0].long().clamp(0, superpixels.shape[1] - 1)
    y = places[:, 1].long().clamp(0, superpixels.shape[0] - 1)
    held = superpixels[y[:, :, None], x[:, None, :]].long().flatten(1)
    return graph["members"].gather(1, held).unflatten(1, (size, size))
