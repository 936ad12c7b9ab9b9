"""Feature extractors shared by all systems.

All backbones have the same attributes and the same forward, whatever is inside. So a system asks a backbone for its
channels, strides and levels, never for its name. `backbone_table` lists them, `weights` loads their weights. Parameter
names of vgg16, resnet50, resnet101 and mobilenet_v2 are torchvision's, those of hrnet_w48 timm's, so their weight files
load unchanged. Pixel normalization belongs to the weights: mean and standard deviation are buffers, saved and loaded
with them.
"""

import hashlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.vision.backbone_table import NORMALIZATIONS, Colors, entry_of
from wsis_steps.vision.plain_backbones import build_parts


class Backbone(nn.Module):
    """Layers in forward order, divided into levels; the output of each level is a feature map.

    Attributes:
        name: as passed to `build_backbone`.
        levels: for each level, the names of the submodules that lead to it, in forward order.
        channels, strides: per level, fine to coarse.
        mean, std: float32 buffers of shape (3,), for RGB in 0..1.
        high_resolution: whether the levels are branches that run in parallel to the end (HRNet).
        sequential: whether each level depends only on the previous one, so that `run_level` works.
        multiple: images are padded to multiples of it with their mean color, and the maps are cropped accordingly.
        rounds_up: whether maps have ceil(H / stride) rows instead of floor.
        prefix: of its parameter names; files of the network alone do not have it.
    """

    high_resolution = False
    sequential = True
    prefix = ""

    def __init__(
        self,
        name: str,
        layers: dict[str, nn.Module],
        levels: list[list[str]],
        channels: tuple[int, ...],
        strides: tuple[int, ...],
        colors: Colors,
    ):
        super().__init__()
        for layer_name, layer in layers.items():
            self.add_module(layer_name, layer)
        self.name, self.levels, self.channels, self.strides = name, levels, channels, strides
        self.fixed_norm = False
        self.multiple, self.rounds_up = 1, True
        mean, std = colors
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))

    def forward(self, images: Tensor, count: int | None = None) -> list[Tensor]:
        """Feature maps, fine to coarse.

        Args:
            images: B x 3 x H x W float, normalized (see `normalize`).
            count: how many levels, from the finest; by default all. In a sequential backbone the others are not
                computed.

        Returns:
            One B x channels[i] x ceil(H / strides[i]) x ceil(W / strides[i]) map per level (vgg16: floor, unless
            `round_up` was called), after the level's last activation (ReLU; in mobilenet_v2 none, except for the last
            level; other networks as in timm; vision transformers after their last normalization).
        """
        height, width = images.shape[-2:]
        if self.multiple > 1:
            # 0 after normalization is the mean color
            images = F.pad(images, (0, -width % self.multiple, 0, -height % self.multiple))
        maps = self._maps(images, len(self.channels) if count is None else count)
        if self.multiple > 1:
            steps = self.strides[: len(maps)]
            maps = [m[..., : -(-height // s), : -(-width // s)] for m, s in zip(maps, steps, strict=True)]
        return maps

    def _maps(self, images: Tensor, count: int) -> list[Tensor]:
        maps = []
        for level in range(count):
            images = self.run_level(level, images)
            maps.append(images)
        return maps

    def run_level(self, level: int, maps: Tensor) -> Tensor:
        """The maps of a level, of any size, from those of the previous one; for sequential backbones."""
        for name in self.levels[level]:
            maps = self.get_submodule(name)(maps)
        return maps

    def round_up(self) -> None:
        """Makes maps have ceil(H / stride) rows and ceil(W / stride) columns from now on."""
        if not self.rounds_up:
            self.multiple, self.rounds_up = self.strides[-1], True

    def freeze(self, count: int) -> None:
        """Stops training the layers of the `count` finest levels; InputError if the levels cannot be separated."""
        if count and not self.levels:
            raise InputError(f"Levels of backbone {self.name} cannot be frozen one by one; freeze none (0).")
        for names in self.levels[:count]:
            for name in names:
                self.get_submodule(name).requires_grad_(False)

    def converted(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Converts a weight file to the layout of the network's own files; InputError says why that is impossible."""
        return state

    def leaves_out(self, key: str) -> bool:
        """Whether an entry of a weight file belongs to layers that the backbone leaves out."""
        return False

    def fix_norm(self) -> None:
        """Fixes the statistics of batch normalization, and stops training it, from now on (for few images)."""
        self.fixed_norm = True
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Backbone":
        """As in any module, but fixed batch normalization stays in evaluation mode."""
        super().train(mode)
        if self.fixed_norm:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    @property
    def one_stride(self) -> bool:
        """Whether all levels have the same stride, as in a vision transformer."""
        return len(set(self.strides)) == 1

    @property
    def cell_centers(self) -> tuple[float, ...]:
        """For each level, the offset in pixels, in x and y, from the image's corner to the center of its first cell.

        Half a pixel where strided layers are padded on both sides alike (ResNet, MobileNetV2), half a cell where they
        see as many pixels as they skip (VGG's pools, ConvNeXt), up to a whole cell with TensorFlow's padding. Taken
        from the first strided layer: networks that pad later ones differently (DenseNet, the shortcuts of timm's
        resnet-d) are off by a few pixels in coarse levels.
        """
        strided = (module for module in self.modules() if isinstance(module, _STRIDED) and _side(module.stride) > 1)
        first = next((module for module in strided if _side(module.kernel_size) > 1), None)
        if first is None:
            return tuple(stride / 2 for stride in self.strides)
        kernel, step, padding = _side(first.kernel_size), _side(first.stride), _side(first.padding)
        if type(first).__name__.endswith("Same"):  # timm's TensorFlow padding; the odd pixel goes to the right
            padding = max(kernel - step, 0) // 2
        shift = (kernel - 1) / 2 - padding  # of a cell's center, in cells of the level below
        return tuple(0.5 + shift * (stride - 1) / (step - 1) for stride in self.strides)

    @property
    def normalization(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """(mean, std) per RGB channel for pixel values in 0..1, as the loaded weights expect."""
        return tuple(self.mean.tolist()), tuple(self.std.tolist())

    def normalize(self, images: Tensor) -> Tensor:
        """B x 3 x H x W RGB bytes, or float in 0..255, to the network's float32 input."""
        return (images.float() / 255 - self.mean[:, None, None]) / self.std[:, None, None]


_STRIDED = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


def _side(value: int | tuple[int, int]) -> int:
    return value if isinstance(value, int) else value[0]


def build_backbone(name: str, output_stride: int | None = None, normalization: str = "imagenet") -> Backbone:
    """A backbone with random weights; `weights.load_weights` loads trained ones.

    Args:
        name: one of `backbone_table.TABLE`, or timm/<name>.
        output_stride: stride of the coarsest level; None for the network's own (16 for vgg16 and small, 32 for the
            rest of the table; a vision transformer has no stride but the side of its patches). A smaller one turns
            further strides into dilation; HRNet, which has no dilation, leaves out coarser branches. vgg16 with 8 is
            the classifier of BESTIE: 3 x 3 pool of stride 1 after block 4, block 5 with dilation 2 (BESTIE supp.
            section 3; released code); with 32 its last pool makes a sixth level.
        normalization: imagenet, that of the network's ImageNet weights; half, for weights trained on (x - 128) / 128.
            Weights saved by a step of this package contain their own, which replaces it.

    Raises:
        InputError: unknown name, stride or normalization, or a timm network that is not a backbone.
    """
    entry = entry_of(name)
    if normalization not in NORMALIZATIONS:
        raise InputError(f"unknown normalization '{normalization}', {nearest(normalization, NORMALIZATIONS)}")
    if output_stride is not None and output_stride not in entry.output_strides:
        valid = ", ".join(map(str, entry.output_strides))
        raise InputError(f"backbone {name} cannot have output stride {output_stride}; valid: {valid}")
    if entry.family == "timm":
        from wsis_steps.vision.timm_backbones import (
            build_timm,  # importing timm takes seconds, so only its networks pay for it
        )

        colors = NORMALIZATIONS["half"] if normalization == "half" else NORMALIZATIONS.get(entry.normalization)
        return build_timm(name, entry.weights, output_stride, colors)
    output_stride = output_stride or entry.output_stride
    layers, levels, channels, strides = build_parts(entry.family, name, output_stride)
    strides = tuple(min(stride, output_stride) for stride in strides)
    own = NORMALIZATIONS["half" if normalization == "half" else entry.normalization]
    backbone = Backbone(name, layers, levels, channels, strides, own)
    backbone.rounds_up = entry.family != "vgg"
    return backbone


def refuse_single_level(backbone: Backbone, network: str) -> None:
    """InputError if all maps of a backbone have the same stride (a vision transformer), which `network` cannot
    use."""
    if backbone.one_stride:
        raise InputError(
            f"{network} needs maps of several strides, but all maps of backbone {backbone.name} have stride "
            f"{backbone.strides[0]}; use it for the tag classifier (classifier_train)."
        )


def state_digest(module: nn.Module) -> str:
    """A digest of the names and values of a state dict."""
    state = hashlib.blake2b(digest_size=16)
    for name, value in module.state_dict().items():
        state.update(name.encode() + value.cpu().numpy().tobytes())
    return state.hexdigest()


def parameter_groups(
    network: nn.Module,
    slow: nn.Module,
    learning_rate: float,
    head_lr_factor: float,
    bias_lr_factor: float | None = None,
    by_rate: bool = False,
) -> list[dict]:
    """Groups of the trained parameters of a network, for an optimizer; none is empty.

    Args:
        network: everything to train.
        slow: the part that learns at `learning_rate`; the rest learns `head_lr_factor` times as fast.
        bias_lr_factor: factor on the learning rates of biases, which then form their own groups.
        by_rate: whether all parameters with the same learning rate share a group.

    Returns:
        Dicts of `params` and `lr`: the slow part's weights and biases, then those of the rest.
    """
    known = set(map(id, slow.parameters()))
    groups: dict = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            new = id(parameter) not in known
            bias = bias_lr_factor is not None and name.endswith("bias")
            rate = learning_rate * ((head_lr_factor if new else 1.0) * (bias_lr_factor if bias else 1.0))
            group = groups.setdefault(rate if by_rate else (new, bias), {"params": [], "lr": rate})
            group["params"].append(parameter)
    return list(groups.values()) if by_rate else [groups[key] for key in sorted(groups)]
