"""Mask R-CNN's proposal network and heads for pseudo labels: weighted instances and ignored regions.

torchvision's classes with other training losses. With all weights 1 and nothing ignored they are identical to
torchvision's, except for the alignment of masks with their boxes (`pasting`). `network` describes the targets.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import box_iou

from wsis_steps.maskrcnn.pasting import cut_masks
from wsis_steps.vision.ranks import divisor

IGNORED_SHARE = 0.5  # a box with more than this share of its area in an ignored region is not background
BOX_BETA = 1 / 9  # where the smooth L1 loss of boxes turns linear, as in torchvision


class WeightedProposalNetwork(RegionProposalNetwork):
    """torchvision's proposal network with weights of instances and with ignored regions, on some levels of a pyramid.

    levels: names of the feature maps that it proposes boxes on.
    """

    def __init__(self, *arguments, levels: list[str], **options) -> None:
        super().__init__(*arguments, **options)
        self.levels = levels

    def forward(
        self, images: ImageList, features: dict[str, Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Boxes and losses, as torchvision's."""
        return super().forward(images, {name: features[name] for name in self.levels}, targets)

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Per image the anchors' labels and regression targets.

        Labels are float32: 0 background, -1 not used, otherwise 1 + weight of the matched instance. The sampler treats
        values of at least 1 as objects, so the weight reaches `compute_loss` without further changes.
        """
        labels, matched_boxes = [], []
        for boxes, target in zip(anchors, targets, strict=True):
            matched = _match(self.proposal_matcher, boxes, target["boxes"])
            label = torch.where(matched >= 0, 1 + _instance_weights(target, matched), 0)
            label[matched == self.proposal_matcher.BETWEEN_THRESHOLDS] = -1
            if "ignore" in target:
                label[(label == 0) & (ignored_share(boxes, target["ignore"]) > IGNORED_SHARE)] = -1
            labels.append(label)
            # without an instance a row is still needed; no positive anchor will read it
            instances = target["boxes"] if len(target["boxes"]) else boxes[:1]
            matched_boxes.append(instances[matched.clamp(min=0)])
        return labels, matched_boxes

    def compute_loss(
        self,
        objectness: Tensor,
        pred_bbox_deltas: Tensor,
        labels: list[Tensor],
        regression_targets: list[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """(objectness loss, box loss): sums of weighted losses divided by the number of sampled anchors."""
        positive, negative = (torch.cat(chosen).bool() for chosen in self.fg_bg_sampler(labels))
        sampled = positive | negative
        label = torch.cat(labels)
        count = divisor(sampled.sum())
        weights = torch.where(positive, label - 1, 1)
        objectness_losses = functional.binary_cross_entropy_with_logits(
            objectness.flatten()[sampled], positive[sampled].to(objectness.dtype), reduction="none"
        )
        box_losses = functional.smooth_l1_loss(
            pred_bbox_deltas[positive],
            torch.cat(regression_targets)[positive],
            beta=BOX_BETA,
            reduction="none",
        )
        return (
            (objectness_losses * weights[sampled]).sum() / count,
            (box_losses.sum(dim=1) * weights[positive]).sum() / count,
        )


class WeightedRoIHeads(RoIHeads):
    """torchvision's box and mask heads with weights of instances and with ignored regions.

    `further_losses`, if set, computes named losses from the sampled regions' class logits (n, 1 + C) and weights (n,),
    and from the positive ones' mask logits (m, 1 + C, M, M), labels (m,) and weights (m,).
    """

    further_losses: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], dict[str, Tensor]] | None = None

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Detections in evaluation, losses in training, like torchvision's."""
        if not self.training:
            return super().forward(features, proposals, image_shapes)
        proposals = [self._without_ignored(*pair) for pair in zip(proposals, targets, strict=True)]
        proposals, matched, labels, regression_targets = self.select_training_samples(proposals, targets)
        weights = [
            _instance_weights(target, torch.where(label > 0, index, -1))
            for target, index, label in zip(targets, matched, labels, strict=True)
        ]
        logits, deltas = self.box_predictor(self.box_head(self.box_roi_pool(features, proposals, image_shapes)))
        region_weights = torch.cat(weights)
        class_loss, box_loss = box_losses(
            logits, deltas, torch.cat(labels), torch.cat(regression_targets), region_weights
        )
        positive = [label > 0 for label in labels]
        boxes, matched, labels, weights = (
            [values[chosen] for values, chosen in zip(lists, positive, strict=True)]
            for lists in (proposals, matched, labels, weights)
        )
        mask_logits = self.mask_predictor(self.mask_head(self.mask_roi_pool(features, boxes, image_shapes)))
        size = mask_logits.shape[-1]
        mask_targets = torch.cat(
            [
                cut_masks(target["masks"], box, index, size)
                for target, box, index in zip(targets, boxes, matched, strict=True)
            ]
        )
        of_masks = torch.cat(labels), torch.cat(weights)
        loss = mask_loss(mask_logits, mask_targets, *of_masks)
        losses = {"loss_classifier": class_loss, "loss_box_reg": box_loss, "loss_mask": loss}
        if self.further_losses is not None:
            losses |= self.further_losses(logits, region_weights, mask_logits, *of_masks)
        return [], losses

    def _without_ignored(self, proposals: Tensor, target: dict[str, Tensor]) -> Tensor:
        """The proposals that match an instance or lie mostly outside the ignored region."""
        if "ignore" not in target:
            return proposals
        matches = _match(self.proposal_matcher, proposals, target["boxes"]) >= 0
        return proposals[matches | (ignored_share(proposals, target["ignore"]) <= IGNORED_SHARE)]


def box_losses(
    logits: Tensor, deltas: Tensor, labels: Tensor, regression_targets: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Weighted Fast R-CNN losses: sums over the RoIs, divided by their number.

    Args:
        logits: n x (1 + C), deltas: n x 4(1 + C).
        labels: n int64, 0 background; regression_targets: n x 4; weights: n.

    Returns:
        (classification loss, box loss), equal to torchvision's if all weights are 1.
    """
    count = divisor(len(labels))
    positive = (labels > 0).nonzero()[:, 0]
    class_losses = functional.cross_entropy(logits, labels, reduction="none")
    regression_losses = functional.smooth_l1_loss(
        deltas.unflatten(1, (-1, 4))[positive, labels[positive]],
        regression_targets[positive],
        beta=BOX_BETA,
        reduction="none",
    )
    return (
        (class_losses * weights).sum() / count,
        (regression_losses.sum(dim=1) * weights[positive]).sum() / count,
    )


def mask_loss(logits: Tensor, targets: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted binary cross entropy of the masks of the correct class, averaged over pixels and RoIs.

    Args:
        logits: n x (1 + C) x M x M; targets: n x M x M in 0..1; labels: n int64 >= 1; weights: n.
    """
    rows = torch.arange(len(labels), device=labels.device)
    losses = functional.binary_cross_entropy_with_logits(logits[rows, labels], targets, reduction="none")
    return (losses.mean(dim=(1, 2)) * weights).sum() / divisor(len(labels))


def ignored_share(boxes: Tensor, region: Tensor) -> Tensor:
    """Share of each box, clipped to the image, that lies in a region; computed with one integral image.

    Args:
        boxes: n x 4 float, x1 y1 x2 y2, rounded to whole pixels here.
        region: H x W bool.

    Returns:
        n float32 in 0..1; 0 for boxes outside the image.
    """
    height, width = region.shape
    integral = functional.pad(region.to(torch.int32).cumsum(0).cumsum(1), (1, 0, 1, 0))
    corners = boxes.round().long()
    x1, x2 = corners[:, 0::2].clamp(0, width).unbind(1)
    y1, y2 = corners[:, 1::2].clamp(0, height).unbind(1)
    inside = integral[y2, x2] - integral[y1, x2] - integral[y2, x1] + integral[y1, x1]
    return inside.float() / ((x2 - x1) * (y2 - y1)).clamp(min=1)


def _match(matcher, boxes: Tensor, instances: Tensor) -> Tensor:
    """Per box the index of its instance, or a negative code of the matcher (background, or in between)."""
    if not len(instances) or not len(boxes):
        return torch.full((len(boxes),), matcher.BELOW_LOW_THRESHOLD, device=boxes.device)
    return matcher(box_iou(instances, boxes))


def _instance_weights(target: dict[str, Tensor], matched: Tensor) -> Tensor:
    """float32 weight of the instance that each box is matched to; 1 if the index is negative."""
    weights = target.get("weights")
    if weights is None:
        return torch.ones(len(matched), device=matched.device)
    return functional.pad(weights.float(), (0, 1), value=1.0)[matched.clamp(min=-1)]
