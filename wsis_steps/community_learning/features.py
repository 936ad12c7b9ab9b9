"""Features of pictures and of the proposals in them: a backbone cut before its last level, which sees proposals only.

Deep Community Learning (WACV 2021), section 3.2.1 and appendix A.1: one SPP layer after res4, followed by res5.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.ops import roi_pool

from wsis_steps.vision.backbones import build_backbone, load_weights, read_weights
from wsis_steps.vision.region_pooling import align_regions

# the levels that stand for res2, res3, res4 and res5
LEVELS = {"resnet50": (0, 1, 2, 3), "mobilenet_v2": (1, 2, 3, 4), "small": (0, 1, 2, 3)}
GROUPS = 32  # Wu and He, Group Normalization, ECCV 2018


class Features(nn.Module):
    """A backbone whose last level (res5) runs on proposals, without its stride.

    Attributes: channels, of res2, res3, res4 and res5.
    """

    def __init__(self, name: str, weights: str, normalization: str, norm: str, roi: str) -> None:
        super().__init__()
        self.backbone = build_backbone(name, normalization=normalization)
        if norm == "group" and weights != "none" and not _has_statistics(name, weights):
            use_group_norm(self.backbone)
        load_weights(self.backbone, weights)
        last = [self.backbone.get_submodule(layer) for layer in self.backbone.levels[LEVELS[name][-1]]]
        for layer in last:
            _keep_size(layer)
        if norm == "group":
            use_group_norm(self.backbone)
        else:
            self.backbone.fix_norm()
        self.channels = tuple(self.backbone.channels[level] for level in LEVELS[name])
        self.take = partial(align_regions, aligned=True) if roi == "align" else roi_pool

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """The maps of res2, res3 and res4, (B, channels, h, w) each, of normalized pictures (B, 3, H, W)."""
        maps, wanted = [], LEVELS[self.backbone.name][:-1]
        for names in self.backbone.levels[: wanted[-1] + 1]:
            for name in names:
                pictures = self.backbone.get_submodule(name)(pictures)
            maps.append(pictures)
        return [maps[level] for level in wanted]

    def crop(self, maps: list[Tensor], level: int, regions: Tensor, size: int) -> Tensor:
        """SPP: features (n, channels, size, size) of regions (n, 5) image, x1, y1, x2, y2 in pixels.

        level: 0, 1 or 2 for res2, res3 or res4.
        """
        scale = 1 / self.backbone.strides[LEVELS[self.backbone.name][level]]
        # in half precision places would be off by pixels
        return self.take(maps[level].float(), regions.float(), size, scale)

    def last_level(self, cropped: Tensor) -> Tensor:
        """res5: (n, channels of res5, size, size) from res4's features (n, channels of res4, size, size)."""
        for name in self.backbone.levels[LEVELS[self.backbone.name][-1]]:
            cropped = self.backbone.get_submodule(name)(cropped)
        return cropped


def use_group_norm(module: nn.Module) -> None:
    """Puts group normalization in the place of every batch normalization, with its scale and shift.

    32 groups, or fewer where 32 does not divide the channels. What the running statistics said is lost: the paper does
    not say how weights for batch normalization were carried over.
    """
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            group = nn.GroupNorm(math.gcd(GROUPS, child.num_features), child.num_features, child.eps)
            group.load_state_dict({"weight": child.weight.detach(), "bias": child.bias.detach()})
            setattr(module, name, group)
        else:
            use_group_norm(child)


def in_chunks(function: Callable[..., tuple[Tensor, ...]], size: int, *columns: Tensor) -> tuple[Tensor, ...]:
    """The outputs of function(*columns), computed for `size` rows of the columns at a time and joined.

    With more than one chunk only inputs and outputs are kept: what lies between is computed again for the gradient, so
    that memory does not grow with it. The result and its gradient are those of one call, as long as rows do not depend
    on each other.
    """
    if len(columns[0]) <= size:
        return function(*columns)
    parts = []
    for part in zip(*(column.split(size) for column in columns), strict=True):
        if torch.is_grad_enabled():
            parts.append(checkpoint(function, *part, use_reentrant=False, preserve_rng_state=False))
        else:
            parts.append(function(*part))
    return tuple(torch.cat(outputs) for outputs in zip(*parts, strict=True))


def _has_statistics(name: str, weights: str) -> bool:
    """Whether weights come from a network with batch normalization, not from one with group normalization."""
    return any(key.endswith("running_mean") for key in read_weights(name, weights)[1])


def _keep_size(layer: nn.Module) -> None:
    for module in layer.modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
