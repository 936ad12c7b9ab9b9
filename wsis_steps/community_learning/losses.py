"""The losses of Deep Community Learning (WACV 2021), equations 2 to 9, each for one image.

Scores are logits where the equations have their softmax or sigmoid, so the logarithm is exact. Category 0 is the
background, class C + 1 in the paper. Half precision is computed as float32.
"""

import torch
from torch import Tensor
from torch.nn import functional

from wsis_steps.community_learning.pseudo_labels import Labels
from wsis_steps.vision.device import precise

SURE = 1e-6  # probabilities keep this distance from 1, where log(1 - p) ends in float32
SMALLEST = 1e-12  # and this distance from 0, below which a missed class would have no gradient


def classification_loss(probability: Tensor, tags: Tensor) -> Tensor:
    """L_cls, equation 3: cross entropy of the image's classes, a sum over them.

    probability: float (C,), phi, sums over proposals that lie in 0 to 1; tags: bool (C,).
    """
    sure = precise(probability).clamp(SMALLEST, 1 - SURE)
    present = tags.to(sure.dtype)
    # written out, since autocast on a GPU refuses torch's function for probabilities of any type
    return -(present * sure.log() + (1 - present) * torch.log1p(-sure)).sum()


def refinement_loss(logits: Tensor, labels: Labels) -> Tensor:
    """L_refine of a head, equation 4: weighted cross entropy, divided by the number of proposals.

    logits: float (R, 1 + C); labels: categories and weights of the R proposals.
    """
    if not len(logits):
        return logits.sum()
    losses = functional.cross_entropy(precise(logits), labels.categories, reduction="none")
    return (labels.weights * losses).mean()


def regression_loss(offsets: Tensor, targets: Tensor, matched: Tensor) -> Tensor:
    """L_reg, equation 5: smooth L1 of the offsets of matched proposals, divided by the number of all given ones.

    offsets: float (R, 4) predicted, v; targets: (R, 4), t; matched: bool (R,), sum over j of q.
    """
    if not len(offsets):
        return offsets.sum()
    # unmatched rows may hold anything, even infinities, which a product with 0 would not remove
    errors = functional.smooth_l1_loss(precise(offsets)[matched], targets[matched], reduction="sum")
    return errors / len(offsets)


def activation_loss(logits: Tensor, categories: Tensor, background: bool) -> Tensor:
    """L_cam of a branch, equation 7: binary cross entropy of the softmax, summed over classes, divided by the number of
    regions.

    logits: float (n, 1 + C), or (n, C) if the branch has no background class (`background` False, an ablation);
    then only regions of an object count. categories: int64 (n,), 0 = background.
    """
    if not background:
        logits, categories = logits[categories > 0], categories[categories > 0] - 1
    if not len(logits):
        return logits.sum()
    log_p = precise(logits).log_softmax(dim=1)
    chosen = functional.one_hot(categories, logits.shape[1]).bool()
    # log(1 - p) = log-sum-exp of the other classes minus that of all
    log_rest = torch.log1p(-log_p.exp().clamp(max=1 - SURE))
    return -torch.where(chosen, log_p, log_rest).sum() / len(logits)


def segmentation_loss(logits: Tensor, masks: Tensor, mean: bool) -> Tensor:
    """L_seg, equation 9, for the map of each region's own class: pixelwise binary cross entropy, divided by the T^2
    cells.

    logits: float (n, T, T), of s for the class that the detector assigned; masks: bool or float (n, T, T), m. Summed
    over the regions as printed; `mean` divides by their number.
    """
    if not len(logits):
        return logits.sum()
    logits = precise(logits)
    losses = functional.binary_cross_entropy_with_logits(logits, masks.to(logits.dtype), reduction="none")
    per_region = losses.mean(dim=(1, 2))
    return per_region.mean() if mean else per_region.sum()


def total(terms: dict[str, Tensor]) -> Tensor:
    """L, equations 2, 6 and 8: the sum of all terms, each with weight 1."""
    return sum(terms.values())
