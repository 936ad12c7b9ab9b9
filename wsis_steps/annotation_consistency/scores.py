"""The score of a labelling: S^k(y) = sum over proposals of G^k at their labels, and minus infinity where y disagrees
with the annotation.

G^k starts from the network's scores F^k (semantic unary term) and grows along pairs of proposals that no edge parts
(boundary-aware pairwise term). Agreement with the annotation is the matter of `inference`. Annotation Consistent
Instances (ECCV 2020), section on the conditional distribution.
"""

from typing import Any

import torch
from torch import Tensor

from wsis_steps.settings.annotation_consistency import Scoring


def final_scores(unary: Tensor, graph: dict[str, Any], settings: Scoring) -> Tensor:
    """G^{k,N} float32 (K, P, L) from F^k (K, P, L)."""
    if not settings.pairwise:
        return unary
    anchors = unary.detach().mean(dim=0).T.topk(min(settings.anchors, unary.shape[1]), dim=1).indices  # (L, T)
    contour, neighbours = contours_to(anchors.flatten(), graph)
    shape = (len(contour), *anchors.shape)
    likeness = (-settings.edge_scale * contour).exp().reshape(shape).transpose(1, 2)  # (P, T, L)
    neighbours = neighbours.reshape(shape).transpose(1, 2)
    scores = unary
    for _ in range(settings.pairwise_steps):
        scores = scores + gains(scores, anchors, likeness, neighbours, settings)
    return scores


def gains(scores: Tensor, anchors: Tensor, likeness: Tensor, neighbours: Tensor, settings: Scoring) -> Tensor:
    """exp(-I_uv) / (H_uv + delta) for every sample, proposal u and label, float (K, P, L).

    v is the neighbour of u of the highest score among the anchors of the label, H how much higher its score is; 0 where
    no neighbour's is. With `pairwise_clip` no gain exceeds H.

    Args:
        scores: float (K, P, L).
        anchors: int64 (L, T), proposals.
        likeness, neighbours: exp(-I) float and bool (P, T, L), of every proposal with the anchors of each label.
    """
    of_anchors = torch.stack([scores[:, rows, label] for label, rows in enumerate(anchors)], dim=2)  # (K, T, L)
    higher = of_anchors[:, None] - scores[:, :, None]  # (K, P, T, L)
    usable = neighbours & (higher > 0)
    chosen = higher.detach().masked_fill(~usable, -1).argmax(dim=2, keepdim=True)
    height = higher.gather(2, chosen)[:, :, 0]
    gain = likeness.expand_as(higher).gather(2, chosen)[:, :, 0] / (height + settings.delta)
    if settings.pairwise_clip:
        gain = torch.minimum(gain, height)
    return gain * usable.any(dim=2)


def contours_to(others: Tensor, graph: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """I_uv, the mean strength of the contour between every proposal u and some others v, float (P, A), and whether the
    two are neighbours, bool (P, A).

    The contour between u and v parts a superpixel of the one from a superpixel of the other that the first does not
    hold: where they touch it is their common border, where v holds u it is the border of u within v. Proposals with
    such a contour are neighbours.
    """
    members = graph["members"]
    chosen = members[others]
    beside = [outside(members, graph[name]) for name in ("edge_strengths", "edge_lengths")]
    strength, length = (members @ part[others].T + part @ chosen.T for part in beside)
    return strength / length.clamp(min=1e-6), length > 0


def outside(members: Tensor, weights: Tensor) -> Tensor:
    """Weight of the contour from each proposal to each superpixel that it does not hold, float (P, S).

    members: float (P, S); weights: sparse (S, S), symmetric, of superpixels that touch.
    """
    return torch.sparse.mm(weights, members.T).T * (1 - members)
