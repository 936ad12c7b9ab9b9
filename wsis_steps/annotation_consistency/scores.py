"""The score of a labeling: S^k(y) = sum over proposals of G^k at their labels, and minus infinity if y disagrees with
the annotation.

G^k starts from the network's scores F^k (semantic unary term) and grows along pairs of proposals, the less the stronger
the edges between them (boundary-aware pairwise term). `inference` handles agreement with the annotation. Annotation
Consistent Instances (ECCV 2020), section on the conditional distribution.

The best labeling does not change when a constant is added to all scores of a proposal, or when all scores are
multiplied by a positive number. But the term adds exp(-I) / (H + delta), which would. So it works on margins
m = F - F_background, where the background is 0 and gains nothing, divided by their spread s: between two random
proposals of the same picture, class and sample, m differs by 2 s^2 in mean square. In these units H is of order 1, and
delta and `edge_scale` mean the same in every picture and at every stage of training. The gains times s are added to F.
"""

from typing import Any

import torch
from torch import Tensor

from wsis_steps.annotation_consistency.settings import Scoring


def final_scores(unary: Tensor, graph: dict[str, Any], settings: Scoring) -> Tensor:
    """G^{k,N} float32 (K, P, L) from F^k (K, P, L); label 0 is the background, which gains nothing."""
    if not settings.pairwise or unary.shape[2] == 1:
        return unary
    margins = (unary[..., 1:] - unary[..., :1]).transpose(1, 2)  # (K, L, P), from here on L counts the classes only
    spread = spread_of(margins)
    start = scores = margins / spread
    anchors = scores.detach().mean(dim=0).topk(min(settings.anchors, scores.shape[2]), dim=1).indices  # (L, T)
    find = {"within": contours_beyond, "touching": contours_to}[settings.neighbours]
    contour, neighbours = find(anchors.flatten(), graph)
    # above 0 for every neighbor, however strong the contour
    likeness = (-settings.edge_scale * contour).exp().clamp(min=torch.finfo(contour.dtype).tiny) * neighbours
    likeness = likeness.reshape(len(contour), *anchors.shape).transpose(0, 1).contiguous()  # (L, P, T)
    for _ in range(settings.pairwise_iterations):
        scores = scores + gains(scores, anchors, likeness, settings)
    grown = spread * (scores - start).transpose(1, 2)
    return torch.cat([unary[..., :1], unary[..., 1:] + grown], dim=2)


def spread_of(margins: Tensor) -> Tensor:
    """The spread of margins (K, L, P) of a picture's proposals, a number: the square root of their variance over
    proposals, averaged over samples and classes."""
    variance = margins.var(dim=2, correction=0).mean()
    return variance.clamp(min=torch.finfo(margins.dtype).tiny).sqrt()


def gains(scores: Tensor, anchors: Tensor, likeness: Tensor, settings: Scoring) -> Tensor:
    """exp(-I_uv) / (H_uv + delta) for every sample, label and proposal u, float (K, L, P).

    v is the neighbor of u, among the anchors of the label, with the highest score or the greatest gain
    (`pairwise_choice`), and H is how much higher its score is; 0 if no neighbor's is higher.

    Args:
        scores: float (K, L, P).
        anchors: int64 (L, T), proposals.
        likeness: exp(-I) float (L, P, T) of every proposal with the anchors of each label, 0 if the two are not
            neighbors.
    """
    of_anchors = scores.gather(2, anchors.expand(len(scores), -1, -1))  # (K, L, T)
    with torch.no_grad():  # pairs of all samples at once would not fit the CPU cache
        chosen = torch.stack([_choose(*sample, likeness, settings) for sample in zip(of_anchors, scores, strict=True)])
    height = of_anchors.gather(2, chosen) - scores
    return _gain(height, likeness.expand(len(scores), -1, -1, -1).gather(3, chosen[..., None])[..., 0], settings)


def _choose(of_anchors: Tensor, scores: Tensor, likeness: Tensor, settings: Scoring) -> Tensor:
    """Which of the anchors each proposal grows along, int64 (L, P), from scores (L, T) and (L, P)."""
    if settings.pairwise_choice == "highest_score":
        return of_anchors[:, None].where(likeness > 0, -torch.inf).argmax(dim=2)
    return _gain(of_anchors[:, None] - scores[..., None], likeness, settings).argmax(dim=2)


def _gain(height: Tensor, likeness: Tensor, settings: Scoring) -> Tensor:
    """The gain of pairs, 0 if the neighbor's score is not higher; a likeness of 0 gains nothing."""
    return likeness / (height.clamp(min=0) + settings.delta) * (height > 0)


def contours_beyond(parts: Tensor, graph: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """I_uv of every proposal u and some others v, float (P, A), and whether v is a proper part of u, bool (P, A).

    For a part, I is the summed strength of the contours that u contains and v does not (lengths are those of
    `RegionGraph`); otherwise 0.

    A proposal that reaches beyond an object contains the object's outline; one that stays inside contains little of it.
    """
    members = graph["members"]
    held = members.T.contiguous()  # (S, P)
    inside = (torch.sparse.mm(graph["edge_strengths"], held) * held).sum(dim=0) / 2  # each contour counts for two
    # counts of superpixels, exact in float32 but not in shorter types; labels share anchors, so all pairs may be fewer
    shared = (members @ held)[:, parts] if len(parts) > len(members) else members @ held[:, parts]
    sizes = members.sum(dim=1)
    within = (shared == sizes[parts]) & (sizes[:, None] > sizes[parts])
    return (inside[:, None] - inside[parts]).masked_fill(~within, 0), within


def contours_to(others: Tensor, graph: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """I_uv, the mean strength of the contour between every proposal u and some others v, float (P, A), and whether the
    two are neighbors, bool (P, A).

    The contour between u and v separates a superpixel of one from a superpixel of the other that the first does not
    contain: where they touch, it is their common border; where v contains u, it is the border of u within v. Proposals
    with such a contour are neighbors.
    """
    held = graph["members"].T.contiguous()  # (S, P)
    beyond = 1 - held
    found = []
    for name in ("edge_strengths", "edge_lengths"):
        beside = torch.sparse.mm(graph[name], held) * beyond  # contour to each superpixel outside a proposal
        found.append(held.T @ beside[:, others] + beside.T @ held[:, others])
    strength, length = found
    return strength / length.clamp(min=1e-6), length > 0
