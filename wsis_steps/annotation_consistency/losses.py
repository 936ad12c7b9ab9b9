"""The task loss, the diversities of the two distributions, and the objective of each network.

Annotation Consistent Instances (ECCV 2020), supplement, equations 1 to 15 and algorithm 1. A labeling gives each of P
proposals a label. The task loss between two labelings is a sum over proposals, of class and mask. A proposal's mask is
its own, so against another labeling of the same proposals only the label can be wrong; against the prediction network
the mask can be wrong, too. Boxes follow from the masks and have no term of their own (docs/systems).

The prediction distribution is independent over proposals, so its expectations are exact; the conditional distribution
is represented by K samples.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Inference = Callable[[Tensor], Tensor]  # scores (B, P, L) -> the labelings of highest score, int64 (B, P)


# ---- diversities: the dissimilarity coefficient is DIV(p, c) - gamma DIV(c, c) - (1 - gamma) DIV(p, p) ----


def label_losses(labels: Tensor, count: int) -> Tensor:
    """0/1 loss of each of `count` labels against labelings (K, P), float (K, P, count)."""
    return 1 - functional.one_hot(labels, count).float()


def task_losses(probabilities: Tensor, mask_losses: Tensor, mask_weight: float, missed_cost: float) -> Tensor:
    """Delta(y_p, y): expected loss of class and mask of each label, float (P, L): the class loss plus, where the
    prediction has the right class, `mask_weight` times the mask loss. Label 0, the background, has no mask;
    where the prediction is a class, it costs `missed_cost` times as much as other errors.

    probabilities, mask_losses: float (P, L), 0 to 1, of the L possible labels, so that their sum may be below 1.
    """
    background = missed_cost * (1 - probabilities[:, :1])
    objects = 1 - probabilities[:, 1:] + mask_weight * probabilities[:, 1:] * mask_losses[:, 1:]
    return torch.cat([background, objects], dim=1)


def cross_diversity(losses: Tensor, labels: Tensor) -> Tensor:
    """DIV(p, c), equation 3, from the expected loss (P, L) of each label and K labelings (K, P)."""
    return losses[torch.arange(len(losses), device=losses.device), labels].sum(dim=1).mean()


def sampled_self_diversity(labels: Tensor) -> Tensor:
    """DIV(c, c), equation 6, of 0/1 loss between K > 1 labelings (K, P): the mean over ordered pairs of different
    samples, which makes it unbiased."""
    samples = len(labels)
    differing = (labels[:, None] != labels[None]).sum(dim=2).sum()
    return differing / (samples * (samples - 1))


def exact_self_diversity(probabilities: Tensor) -> Tensor:
    """Each independent proposal's part of DIV(p, p), equation 9, with 0/1 loss, from (P, L): 1 - sum of p^2, (P,)."""
    return 1 - probabilities.square().sum(dim=1)


def mask_self_diversity(probabilities: Tensor) -> Tensor:
    """DIV(p, p) of the mean Hamming loss of masks of independent pixels (n, H, W), (n,): means of 2 m (1 - m)."""
    return (2 * probabilities * (1 - probabilities)).mean(dim=(1, 2))


# ---- direct loss minimization of the conditional network ----


def score_of(scores: Tensor, labels: Tensor) -> Tensor:
    """S^k(y): the sum over proposals of scores (B, P, L) at labels (B, P), float (B,)."""
    return scores.gather(2, labels[..., None])[..., 0].sum(dim=1)


def direct_loss(scores: Tensor, losses: Tensor, infer: Inference, gamma: float, epsilon: float) -> dict[str, Tensor]:
    """A surrogate whose gradient in the scores is that of algorithm 1, and the diversities themselves.

        1/epsilon { 1/K sum_k [S^k(y_a) - S^k(y_c)] - 2 gamma / (K (K - 1)) sum_{k != k'} [S^k(y_b) - S^k(y_c^k)] }

    with y_c = argmax S^k(y), y_a = argmax S^k(y) + epsilon Delta(y_p, y) and y_b = argmax S^k(y) + epsilon
    Delta(y_c^k', y). (Equation 15 as printed has the solved output inside Delta, which would change no argmax. In the
    second sum S^k' (y_c') and S^k (y_c) are the same over all ordered pairs.) Labelings are constants.

    Args:
        scores: S, float (K, P, L), K > 1 unless gamma is 0.
        losses: Delta of each label against the prediction network, float (P, L).
        infer: the exact inference for the image's annotation.
        gamma: 0 leaves out the diversity of the conditional network, which is still reported.

    Returns:
        total, the surrogate, per proposal; cross_diversity and sample_diversity, DIV(p, c) and DIV(c, c) per proposal:
        the latter is the share of proposals whose labels differ between two samples.
    """
    samples, proposals, count = scores.shape
    fixed = scores.detach()
    labels = infer(fixed)
    toward = infer(fixed + epsilon * losses)
    surrogate = (score_of(scores, toward) - score_of(scores, labels)).mean()
    if gamma:
        others = label_losses(labels, count)
        first, second = ordered_pairs(samples, scores.device)
        apart = infer(fixed[first] + epsilon * others[second])
        differences = score_of(scores[first], apart) - score_of(scores[first], labels[first])
        surrogate = surrogate - gamma * 2 * differences.mean()
    return {
        "cross_diversity": cross_diversity(losses, labels) / proposals,
        "sample_diversity": sampled_self_diversity(labels) / proposals,
        "total": surrogate / (epsilon * proposals),
    }


def ordered_pairs(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Both members of the count (count - 1) ordered pairs of different numbers, int64."""
    first = torch.arange(count, device=device).repeat_interleave(count - 1)
    offset = torch.arange(1, count, device=device).repeat(count)
    return first, (first + offset) % count
