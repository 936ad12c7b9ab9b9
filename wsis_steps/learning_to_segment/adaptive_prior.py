"""Pixel labels from tags: the network's own probabilities under a prior that gives every tag its share of the image.

Learning to segment with image-level supervision (WACV 2019), section 3.3 (Eq. 4 to 7) and appendix (Eq. 19 to 22).
The labels are q_j(l) = p_j(l) beta_l / sum over present l' of p_j(l') beta_l' at pixel j, zero for absent classes. Each
image has its own beta, as even as the quotas allow. The paper searches a grid of beta, for one object class.

Here beta = softmax(b), with b = 0 for an even prior. The quotas require share_l(b) = mean_j q_j(l) >= c_l. Raising b_l
raises share_l and lowers the others, so the cheapest way to meet the quotas raises every class that is short of its own
just enough, and leaves the others at 0:

    b_l = 0 and share_l >= c_l,  or  b_l > 0 and share_l = c_l.

With one object class this is the prior of the largest entropy under the quotas (the feasible logits of beta are an
interval, and it is the point nearest to 0). With more classes it is the only solution that raises no class
unnecessarily, to which bisection class by class converges; the paper leaves this case open. These are the conditions
for the maximum over b >= 0 of the concave function

    sum_l c_l b_l - mean_j log sum_l p_j(l) exp(b_l),

whose slopes are c_l - share_l. Bisection class by class needs hundreds of rounds if two confident classes compete for
the pixels of a third, since each takes from the other. So all classes rise together, along Newton's direction, and
bisection finds the step length.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.vision.device import precise
from wsis_steps.vision.ranks import divisor

METHODS = ("bisection", "grid", "none")
LARGEST_TOTAL = 0.9  # sum of an image's quotas above which they are scaled down to it
BISECTIONS = 30  # of ranges that are mostly below 100: to 1e-7, the limit of single precision
LOWEST = -1e3  # replaces the logarithm of probability 0, so differences stay finite
NEGLIGIBLE = 1e-5  # offsets below this count as 0; they change no share by more than a quarter of themselves
RIDGE = 1e-6  # added to the diagonal of a system whose diagonal is 1
GRID_PART = 64  # grid points at a time, to bound memory


@torch.no_grad()
def adaptive_prior(
    logits: Tensor,
    tags: Tensor,
    valid: Tensor | None = None,
    *,
    background_quota: float,
    object_quota: float,
    method: Literal["bisection", "grid", "none"],
    grid_size: int = 999,
    most_tags: int | None = None,
) -> Tensor:
    """Logarithm of the prior beta of each image (Eq. 6, 7); float (B, 1 + C), -inf for absent classes.

    Images are independent, nothing synchronizes with the device, and no gradient flows. If the quotas of an image with
    n tags, background_quota + n object_quota, sum to more than 0.9, they are scaled to that sum: the paper's can be met
    for at most two object classes. An image without a tag is all background.

    Args:
        logits: (B, 1 + C, h, w), any floating type; logits or log probabilities, channel 0 is the background.
        tags: (B, C), above 0 where the image has the class.
        valid: bool (B, h, w), False for ignored pixels, such as padding; None: all count.
        background_quota: minimum share of the pixels for the background, 0 to 1.
        object_quota: minimum share for each tag.
        method: bisection meets the quotas for any probabilities. grid is the paper's search over beta for images with
            one tag, and bisection for the others; if no point of the grid meets both quotas, it takes the point that
            misses them least (Eq. 22). none: the even prior, without quotas.
        grid_size: number n of points i / (n + 1) of the grid.
        most_tags: an upper bound of the number of tags of an image in the batch; a smaller number drops tags. Absent
            classes beyond it cost nothing. None: counted if the tags are on the CPU, otherwise all C.

    Raises:
        InputError: unknown method, quota outside 0..1, or tags that do not fit the logits.
    """
    if method not in METHODS:
        raise InputError(f"unknown method '{method}' of the prior, {nearest(method, METHODS)}")
    if not (0 <= background_quota <= 1 and 0 <= object_quota <= 1):
        raise InputError(f"quotas are shares from 0 to 1, not {background_quota} and {object_quota}")
    if tags.shape != (logits.shape[0], logits.shape[1] - 1):
        raise InputError(f"logits {tuple(logits.shape)} need tags {(logits.shape[0], logits.shape[1] - 1)}")
    if most_tags is None:
        most_tags = int((tags > 0).sum(dim=1).amax()) if tags.device.type == "cpu" else tags.shape[1]

    # pack: background first, then the present classes, then absent ones up to the maximum
    tags = (tags.to(logits.device, non_blocking=True) > 0).int()
    order = tags.argsort(dim=1, descending=True, stable=True)[:, : max(most_tags, 1)]
    labels = F.pad(order + 1, (1, 0))
    present = F.pad(tags.gather(1, order), (1, 0), value=1) > 0
    scores = precise(logits.flatten(2)).clamp(min=LOWEST)
    scores = scores.gather(1, labels[:, :, None].expand(-1, -1, scores.shape[2]))
    scores = scores.where(present[:, :, None], scores[:, :1])
    weights = torch.ones_like(scores[:, 0]) if valid is None else valid.flatten(1).to(scores.dtype)
    scores = scores.where(weights[:, None] > 0, 0)
    weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1)

    quotas = torch.full_like(scores[:, :, 0], object_quota)
    quotas[:, 0] = background_quota
    quotas = quotas * present
    quotas = quotas * (LARGEST_TOTAL / quotas.sum(dim=1, keepdim=True)).clamp(max=1)

    offsets = torch.zeros_like(quotas).masked_fill(~present, -torch.inf)
    if method != "none":
        offsets = _raise_classes(offsets, scores, weights, quotas)
    prior = offsets.log_softmax(dim=1)
    if method == "grid":
        found = _search_grid(scores[:, 1] - scores[:, 0], weights, quotas, grid_size)
        found = F.pad(found, (0, prior.shape[1] - 2), value=-torch.inf)
        prior = found.where(present.sum(dim=1, keepdim=True) == 2, prior)
    absent = torch.full_like(prior[:, :1], -torch.inf).repeat(1, logits.shape[1])
    return absent.scatter(1, labels, prior)


def _raise_classes(offsets: Tensor, scores: Tensor, weights: Tensor, quotas: Tensor) -> Tensor:
    """Offsets b (B, L), given as 0, or -inf for absent classes, that meet the quotas (B, L).

    scores: (B, L, N), finite; weights: (B, N), of each pixel in the means, sum 1.
    """
    spread = (scores.amax(dim=1) - scores.amin(dim=1)).amax(dim=1)
    span = 2 * spread + 5  # no single class needs to rise further: its quota is at most 0.9, with logit 2.2
    # one class needs one bisection; several needed up to as many directions as classes plus a few
    rounds = 1 if scores.shape[1] <= 2 else scores.shape[1] + 4
    for _ in range(rounds):
        moved = scores + offsets[:, :, None]
        direction = _direction(moved.softmax(dim=1), weights, quotas, offsets)
        reach = (-offsets / direction).where(direction < 0, torch.inf).amin(dim=1).minimum(span)
        wanted = (direction * quotas).sum(dim=1)
        slopes = direction[:, :, None] * weights[:, None]
        step = torch.zeros_like(reach)
        for i in range(1, BISECTIONS + 1):
            trial = step.add(reach, alpha=0.5**i)
            got = moved.addcmul(direction[:, :, None], trial[:, None, None]).softmax(dim=1).mul(slopes).sum(dim=(1, 2))
            step = trial.where(got < wanted, step)
        step = step.add(reach, alpha=0.5**BISECTIONS)  # the upper end, which meets the quota
        offsets = offsets + step[:, None] * direction
    return offsets


def _direction(labels: Tensor, weights: Tensor, quotas: Tensor, offsets: Tensor) -> Tensor:
    """Newton's direction (B, L) for the classes that are short of their quota or already raised, largest entry 1.

    labels: (B, L, N), the distributions q at the present offsets. The Hessian is the Laplacian of a graph whose edges
    are the mean products of two classes. Built from the products, it stays exact where q is almost 0 or 1, and scaled
    to a diagonal of 1 it can be solved in single precision.
    """
    shares = (labels * weights[:, None]).sum(dim=2)
    lacking = quotas - shares
    raised = offsets > NEGLIGIBLE
    free = ((lacking > 0) | raised).to(labels.dtype)
    overlaps = (labels[:, :, None] * labels[:, None] * weights[:, None, None]).sum(dim=3)
    one = torch.eye(overlaps.shape[1], dtype=overlaps.dtype, device=overlaps.device)
    overlaps = overlaps * (1 - one)
    scale = free * overlaps.sum(dim=2).clamp(min=1e-30).rsqrt()
    matrix = one * (1 + RIDGE) - scale[:, :, None] * overlaps * scale[:, None]
    direction = scale * torch.linalg.solve_ex(matrix, scale * lacking).result  # _ex: no synchronization
    direction = direction.where((direction > 0) | raised, 0)  # no offset falls below 0
    return direction / direction.abs().amax(dim=1, keepdim=True).clamp(min=1e-30)


def _search_grid(differences: Tensor, weights: Tensor, quotas: Tensor, size: int) -> Tensor:
    """Log prior (B, 2) of background and object, the best of the grid (appendix of the paper, Eq. 20 to 22).

    differences: (B, N), log p(object) - log p(background); weights: (B, N), sum 1; quotas: (B, 2 or more).
    """
    betas = torch.arange(1, size + 1, dtype=differences.dtype, device=differences.device) / (size + 1)
    shares = torch.cat(
        [
            ((differences[:, None] + part[:, None]).sigmoid() * weights[:, None]).sum(dim=2)
            for part in betas.logit().split(GRID_PART)
        ],
        dim=1,
    )
    missed = (quotas[:, 1:2] - shares).relu() + (quotas[:, :1] - (1 - shares)).relu()
    entropy = -(betas * betas.log() + (1 - betas) * (1 - betas).log())
    best = betas[torch.where(missed > 0, -missed, entropy).argmax(dim=1)]  # entropies are above 0
    return torch.stack([1 - best, best], dim=1).log()


@torch.no_grad()
def estimate_pixel_labels(logits: Tensor, log_prior: Tensor) -> Tensor:
    """The auxiliary distribution q (Eq. 5), float32 or float64 (B, 1 + C, h, w): sums to 1 over the classes of a
    pixel, 0 for absent ones; a constant, through which no gradient flows.

    logits: as in `adaptive_prior`, and log_prior: (B, 1 + C), its result.
    """
    return (precise(logits).clamp(min=LOWEST) + log_prior[:, :, None, None]).softmax(dim=1)


def pixel_label_loss(logits: Tensor, labels: Tensor, valid: Tensor | None = None) -> Tensor:
    """Cross entropy -sum_l q(l) log p(l) of the labels q, its mean over the valid pixels of the batch (Eq. 4); scalar.

    logits: (B, 1 + C, h, w), finite, any floating type; labels: (B, 1 + C, h, w), distributions; valid: bool
    (B, h, w), None: all. 0 where no pixel is valid.
    """
    losses = F.cross_entropy(precise(logits), labels, reduction="none")
    if valid is None:
        return losses.mean()
    return losses.where(valid, 0).sum() / divisor(valid.sum())
