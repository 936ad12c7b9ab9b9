"""The best labeling of an image's proposals that agrees with its annotation, exactly.

A labeling gives each proposal a label: 0 for background, or a class that the annotation allows. The higher-order term
of the score is 0 if every claim of the annotation is met and minus infinity otherwise (Annotation Consistent Instances,
ECCV 2020, section on the conditional distribution). A claim is a class with the proposals that can meet it: for tags
each class of the image and all proposals, for boxes each box and the proposals that overlap it.

Without claims each proposal takes its best label. A proposal that meets a claim costs regret: the score that it loses
by taking the claim's class. Since claims need different proposals, minimizing the total regret is an assignment
problem. Everything is batched over samples and has sizes that do not depend on values, so it needs no GPU
synchronization.
"""

import torch
from torch import Tensor

UNMET = 1e6  # regret of a claim that no proposal can meet, far above all scores


def infer(scores: Tensor, claimed: Tensor, candidates: Tensor) -> Tensor:
    """The labelings of highest score, int64 (B, P).

    Args:
        scores: float (B, P, L) of P proposals in B samples; minus infinity forbids a label, label 0 is never forbidden.
        claimed: int64 (R,), the label of each claim.
        candidates: bool (R, P), the proposals that can meet each claim.

    A claim without candidates, or one of several that compete for too few, stays unmet.
    """
    best, labels = scores.max(dim=-1)
    count, claims = scores.shape[1], len(claimed)
    if not claims:
        return labels
    regrets = best[:, None] - scores[..., claimed].transpose(1, 2)
    regrets = regrets.masked_fill(~candidates, UNMET).clamp(max=UNMET)
    # some best assignment has each claim at one of its R cheapest proposals, since the R - 1 others can take no more
    cheapest = regrets.topk(min(claims, count), dim=-1, largest=False).indices
    columns = cheapest.flatten(1).sort(dim=1).values
    repeated = torch.zeros_like(columns, dtype=torch.bool)
    repeated[:, 1:] = columns[:, 1:] == columns[:, :-1]
    costs = regrets.gather(2, columns[:, None].expand(-1, claims, -1)).masked_fill(repeated[:, None], UNMET)
    costs = torch.cat([costs, costs.new_full((len(costs), claims, claims), UNMET)], dim=2)  # ensures R columns
    chosen = assign(costs)
    met = costs.gather(2, chosen[..., None])[..., 0] < UNMET
    rows = columns.gather(1, chosen.clamp(max=columns.shape[1] - 1))
    # an unmet claim writes into a proposal beyond the last, which is dropped
    padded = torch.cat([labels, labels.new_zeros(len(labels), 1)], dim=1)
    return padded.scatter(1, torch.where(met, rows, count), claimed.expand(len(labels), -1))[:, :count]


def assign(costs: Tensor) -> Tensor:
    """A different column for each row at minimum total cost, int64 (B, R); the Hungarian method on a batch.

    costs: float (B, R, N) with R <= N, finite. Rows are added one by one, each by a shortest augmenting path with
    potentials (Jonker and Volgenant, 1987); after i rows a path has at most i columns, so the loops have fixed lengths.
    Column 0 and row 0 are sentinels; `owner` 0 means that a column is free.
    """
    costs = costs.double()  # with potentials as large as UNMET, 24 bits would lose the regrets
    batch, rows, columns = costs.shape
    device, infinite = costs.device, float("inf")
    samples = torch.arange(batch, device=device)
    row_potential = costs.new_zeros(batch, rows + 1)
    column_potential = costs.new_zeros(batch, columns + 1)
    owner = torch.zeros(batch, columns + 1, dtype=torch.int64, device=device)
    places = torch.arange(columns + 1, device=device)
    for row in range(1, rows + 1):
        owner[:, 0] = row
        at = torch.zeros(batch, 1, dtype=torch.int64, device=device)
        came_from = torch.zeros_like(owner)
        distance = costs.new_full((batch, columns + 1), infinite)
        visited = torch.zeros_like(owner, dtype=torch.bool)
        searching = torch.ones(batch, 1, dtype=torch.bool, device=device)
        for _ in range(row):
            visited |= searching & (places == at)
            here = owner.gather(1, at)
            reduced = costs[samples, here[:, 0] - 1] - row_potential.gather(1, here) - column_potential[:, 1:]
            reduced = torch.cat([reduced.new_full((batch, 1), infinite), reduced], dim=1)
            closer = searching & ~visited & (reduced < distance)
            distance = torch.where(closer, reduced, distance)
            came_from = torch.where(closer, at, came_from)
            step, nearest = distance.masked_fill(visited, infinite).min(dim=1, keepdim=True)
            step = torch.where(searching, step, 0)
            row_potential.scatter_add_(1, owner, visited * step)
            column_potential -= visited * step
            distance = torch.where(visited, distance, distance - step)
            at = torch.where(searching, nearest, at)
            searching = searching & (owner.gather(1, at) > 0)
        for _ in range(row):
            before = came_from.gather(1, at)
            moved = torch.where(at > 0, owner.gather(1, before), owner.gather(1, at))
            owner.scatter_(1, at, moved)
            at = torch.where(at > 0, before, at)
    chosen = torch.zeros(batch, rows + 1, dtype=torch.int64, device=device)
    chosen.scatter_(1, owner[:, 1:], places[1:].expand(batch, -1) - 1)
    return chosen[:, 1:]


def forbid(scores: Tensor, allowed: Tensor) -> Tensor:
    """Scores (B, P, L) with minus infinity for labels that are not allowed, bool (P, L)."""
    return scores.masked_fill(~allowed, float("-inf"))
