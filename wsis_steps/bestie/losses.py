"""The objective of the instance network: semantic, center and offset terms with instance-aware guidance.

BESTIE (CVPR 2022), supplement, listing 6; released code for the confidence weights, the hard pixels and the
mean of pseudo and refined terms.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from wsis_steps.bestie.settings import BestieTrain
from wsis_steps.bestie.targets import Targets
from wsis_steps.vision.device import precise
from wsis_steps.vision.masks import UNSURE
from wsis_steps.vision.ranks import divisor, mean_of_largest


def semantic_loss(logits: Tensor, semantic: Tensor, hard_pixels: float) -> Tensor:
    """Cross entropy of the hardest pixels of a batch.

    logits: (B, 1 + C, H, W); semantic: uint8 (B, H, W), 0 background, 1 + category, 255 unsure. The mean is over the
    share `hard_pixels` (0 to 1) of all pixels with the largest losses, where unsure pixels have loss 0. With 1 it is
    plain cross entropy, the mean over pixels that are not unsure.
    """
    losses = F.cross_entropy(precise(logits), semantic.long(), ignore_index=UNSURE, reduction="none")
    if hard_pixels >= 1:
        return losses.sum() / divisor((semantic != UNSURE).sum())
    return mean_of_largest(losses.flatten(), hard_pixels)


def center_loss(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Sum over pixels of weight times squared error, summed over classes, divided by the number of pixels of weight >
    0.

    predicted, target: (B, C, H, W); weight: (B, H, W). 0 if no pixel has weight.
    """
    return _guided((predicted - target).square().sum(dim=1), weight)


def offset_loss(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Like `center_loss`, for absolute errors in pixels; predicted, target: (B, 2, H, W)."""
    return _guided((predicted - target).abs().sum(dim=1), weight)


def _guided(errors: Tensor, weight: Tensor) -> Tensor:
    return (errors * weight).sum() / divisor((weight > 0).sum())


def objective(
    outputs: Mapping[str, Tensor],
    semantic: Tensor,
    pseudo: Targets,
    refined: Targets | None,
    settings: BestieTrain,
) -> dict[str, Tensor]:
    """Weighted terms `semantic`, `center` and `offset` of the loss of a batch, and their sum `total`; scalars.

    outputs: `semantic` (B, 1 + C, H, W) logits, `centers` (B, C or 1, H, W), `offsets` (B, 2, H, W) in
    pixels, of any floating type; semantic: uint8 (B, H, W); pseudo, refined: targets as tensors with a batch
    axis. Center and offset terms average those for the pseudo and for the refined labels. Without refined labels
    (refinement off), or without refined centers (supervision with points), the pseudo labels count twice.

    With instance-aware guidance off (an ablation), every pixel has weight 1 in both terms, so unlabeled pixels are
    trained to have no center and offset 0. The terms stay sums over channels divided by the number of pixels, so only
    the region differs; the released code's unguided losses also divide by the channels.
    """
    centers, offsets = precise(outputs["centers"]), precise(outputs["offsets"])
    labels = [pseudo] if refined is None else [pseudo, refined]
    with_centers = [pseudo if targets.centers is None else targets for targets in labels]

    def weight(targets: Targets) -> Tensor:
        return targets.weight if settings.instance_aware_guidance else torch.ones_like(targets.weight)

    center = sum(center_loss(centers, targets.centers, weight(targets)) for targets in with_centers)
    offset = sum(offset_loss(offsets, targets.offsets, weight(targets)) for targets in labels)
    terms = {
        "semantic": settings.semantic_weight * semantic_loss(outputs["semantic"], semantic, settings.hard_pixels),
        "center": settings.center_weight * center / len(labels),
        "offset": settings.offset_weight * offset / len(labels),
    }
    return {**terms, "total": sum(terms.values())}
