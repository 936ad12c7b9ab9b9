"""Processes that train one network together, each on its share of every batch: ranks 0 to count - 1.

With `--ranks n`, torchrun starts n processes and sets their numbers in the environment. Up to rounding they compute the
same as one process on the whole batch: gradients are averaged over ranks, losses that are sums over a count divide by
the total count (`divisor`), and batch normalization uses statistics over all ranks (`join_batch_norms`). Random numbers
that a network draws differ between ranks. With a single process, nothing here has an effect.
"""

import os
from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce as sum_over_ranks  # its gradient is the sum of the ranks'


def join(device: torch.device) -> None:
    """Makes this process a rank, if torchrun started it."""
    if "RANK" in os.environ and not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")


def count() -> int:
    """Number of ranks; 1 for a single process."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def number() -> int:
    """Number of this rank, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def any_of(here: bool) -> bool:
    """Whether a condition holds on any rank."""
    if count() == 1:
        return here
    found = torch.tensor(float(here), device=_device())
    distributed.all_reduce(found)
    return bool(found)


def divisor(amount: Tensor | int) -> Tensor | int:
    """The divisor of a rank's sum such that the mean over ranks is the total sum divided by the total `amount`.

    amount: how many items this rank has, a scalar; the total counts as at least 1.
    """
    if count() == 1:
        return amount.clamp(min=1) if isinstance(amount, Tensor) else max(amount, 1)
    total = torch.as_tensor(amount).to(_device(), torch.float64)
    distributed.all_reduce(total)
    return total.clamp(min=1) / count()


def mean_of_largest(values: Tensor, share: float) -> Tensor:
    """Mean of the largest values among (n,), a `share` (0 to 1) of them but at least one; a scalar.

    With several ranks of n values each, the mean over ranks is that of the largest of all values.
    """
    amount = max(1, int(share * len(values) * count()))
    if count() == 1:
        return values.topk(amount, sorted=False).values.mean()
    everywhere = [torch.empty_like(values) for _ in range(count())]
    distributed.all_gather(everywhere, values.detach().contiguous())
    places = torch.cat(everywhere).topk(amount, sorted=False).indices - number() * len(values)
    return values[places[(places >= 0) & (places < len(values))]].sum() / (amount / count())


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter], more: Iterable[Tensor]) -> list[Tensor]:
    """Replaces gradients by their means over ranks; returns the means of the scalars in `more`, in order.

    A parameter that has no gradient on any rank still has none.
    """
    if count() == 1:
        return list(more)
    parameters = [p for p in parameters if p.requires_grad]
    used = torch.tensor([p.grad is not None for p in parameters], dtype=torch.float32, device=_device())
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters] + [*more, used]
    flat = torch.cat([part.to(parts[0]).flatten() for part in parts])
    distributed.all_reduce(flat)
    *means, used = (flat / count()).split([part.numel() for part in parts])
    for parameter, mean, anywhere in zip(parameters, means[: len(parameters)], used.tolist(), strict=True):
        parameter.grad = mean.view(parameter.shape) if anywhere else None
    return [mean[0] for mean in means[len(parameters) :]]


class JointBatchNorm(nn.BatchNorm2d):
    """Batch normalization whose statistics in training are those of the batches of all ranks together."""

    def forward(self, maps: Tensor) -> Tensor:
        """Normalized maps (B, C, h, w); must be called on every rank."""
        if not self.training:
            return super().forward(maps)
        values = maps.double() if maps.dtype == torch.float64 else maps.float()
        mine = values.new_tensor([maps.numel() / maps.shape[1]])
        sums = sum_over_ranks(torch.cat([values.sum(dim=(0, 2, 3)), mine]))
        pixels, mean = sums[-1].detach(), sums[:-1] / sums[-1]
        centered = values - mean[:, None, None]
        variance = sum_over_ranks(centered.square().sum(dim=(0, 2, 3))) / pixels
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            unbiased = variance * pixels / (pixels - 1)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        scale = (variance + self.eps).rsqrt() * self.weight
        return (centered * scale[:, None, None] + self.bias[:, None, None]).to(maps.dtype)


class JointBatchNormAct(JointBatchNorm):
    """The same for timm's batch normalization with a built-in activation."""

    def forward(self, maps: Tensor) -> Tensor:
        """Activated maps (B, C, h, w); must be called on every rank."""
        return self.act(self.drop(super().forward(maps)))


def join_batch_norms(model: nn.Module) -> None:
    """Converts the batch normalizations of a network to joint ones, in place, if there are several ranks."""
    if count() > 1:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d) and not isinstance(module, JointBatchNorm):
                # keeps parameters, names and mode
                module.__class__ = JointBatchNormAct if hasattr(module, "act") else JointBatchNorm


def _device() -> torch.device:
    """The device of this rank's collective operations."""
    return torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")
