"""Features of pictures and of their proposals: a backbone whose last level runs on proposals only.

Deep Community Learning (WACV 2021), section 3.2.1 and appendix A.1: one SPP layer after res4, followed by res5.
"""

import logging
import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.ops import roi_pool

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.backbones import build_backbone, refuse_single_level
from wsis_steps.vision.region_pooling import align_regions
from wsis_steps.vision.weights import load_weights, read_weights

LEVELS = 4  # the last ones of the backbone, used as res2, res3, res4 and res5
GROUPS = 32  # Wu and He, Group Normalization, ECCV 2018

log = logging.getLogger(__name__)


class Features(nn.Module):
    """A backbone whose last level (res5) runs on proposals, without its stride.

    Attributes: channels, of res2, res3, res4 and res5.
    """

    def __init__(self, name: str, weights: str, normalization: str, norm: str, roi: str) -> None:
        super().__init__()
        self.backbone = build_backbone(name, normalization=normalization)
        refuse_single_level(self.backbone, "Deep Community Learning")
        if not self.backbone.sequential or len(self.backbone.levels) < LEVELS:
            raise InputError(f"Deep Community Learning cannot cut backbone {name} before the last of four levels.")
        if norm == "group":
            use_group_norm(self.backbone)
        if weights != "none":
            _tell_norm(name, weights, norm)
        load_weights(self.backbone, weights)
        for layer in self.backbone.levels[-1]:
            _keep_size(self.backbone.get_submodule(layer))
        if norm == "frozen":
            self.backbone.fix_norm()
        self.channels = self.backbone.channels[-LEVELS:]
        self.take = partial(align_regions, aligned=True) if roi == "align" else roi_pool

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """The maps of res2, res3 and res4, (B, channels, h, w) each, of normalized pictures (B, 3, H, W)."""
        return self.backbone(pictures, len(self.backbone.levels) - 1)[1 - LEVELS :]

    def crop(self, maps: list[Tensor], level: int, regions: Tensor, size: int) -> Tensor:
        """SPP: features (n, channels, size, size) of regions (n, 5) image, x1, y1, x2, y2 in pixels.

        level: 0, 1 or 2 for res2, res3 or res4.
        """
        scale = 1 / self.backbone.strides[level - LEVELS]
        # in half precision, coordinates would be off by pixels
        return self.take(maps[level].float(), regions.float(), size, scale)

    def last_level(self, cropped: Tensor) -> Tensor:
        """res5: (n, channels of res5, size, size) from res4's features (n, channels of res4, size, size)."""
        features = self.backbone.run_level(len(self.backbone.levels) - 1, cropped)
        if features.shape[2:] != cropped.shape[2:]:
            raise InputError(
                f"Deep Community Learning cannot remove the stride of the last level of backbone {self.backbone.name}."
            )
        return features


def use_group_norm(module: nn.Module) -> None:
    """Replaces every batch normalization of a network without weights by group normalization.

    32 groups, or fewer if 32 does not divide the channels.
    """
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            group = nn.GroupNorm(math.gcd(GROUPS, child.num_features), child.num_features, child.eps)
            # timm's normalization layers may include an activation
            setattr(module, name, nn.Sequential(group, child.drop, child.act) if hasattr(child, "act") else group)
        else:
            use_group_norm(child)


def in_chunks(function: Callable[..., tuple[Tensor, ...]], size: int, *columns: Tensor) -> tuple[Tensor, ...]:
    """The outputs of function(*columns), computed for `size` rows of the columns at a time and joined.

    With more than one chunk only inputs and outputs are kept; everything between is recomputed for the gradient, so
    memory does not grow with it. The result and its gradient are those of a single call, as long as rows are
    independent.
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


def _tell_norm(name: str, weights: str, norm: str) -> None:
    """Logs how the weights' normalization is used; InputError if its statistics would be lost.

    Scale and shift of a batch normalization are useless without its statistics: with group normalization instead,
    ImageNet's MobileNetV2 gives the same top answer on none of 48 photographs, and on a quarter of them if the
    statistics are folded into the convolutions first.
    """
    path, state = read_weights(name, weights)
    if not any(key.endswith("running_mean") for key in state):
        log.info("%s has no batch normalization; its normalization is kept", path)
    elif norm == "frozen":
        log.info("%s was trained with batch normalization, which keeps its statistics (norm: frozen)", path)
    else:
        raise InputError(
            f"{path} was trained with batch normalization, whose statistics would be lost with norm: group; "
            "use norm: frozen, which keeps them, or weights trained with group normalization (backbone resnet50_gn)."
        )


def _keep_size(layer: nn.Module) -> None:
    """Removes the strides in a layer, so its output is as large as its input."""
    for module in layer.modules():
        if isinstance(module, nn.Conv2d):
            if module.stride != (1, 1) and module.kernel_size[0] % 2 == 0:
                module.padding = "same"  # an even kernel, as in ConvNeXt, has no matching explicit padding
            module.stride = (1, 1)
        elif isinstance(module, nn.MaxPool2d):
            module.kernel_size, module.stride, module.padding = 3, 1, 1
        elif isinstance(module, nn.AvgPool2d):  # of a shortcut parallel to the strided convolution
            module.kernel_size, module.stride, module.padding = 1, 1, 0
