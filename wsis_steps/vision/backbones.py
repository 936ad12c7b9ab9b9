"""Feature extractors shared by all systems.

Every backbone is a `Backbone`: the same attributes and the same forward, whatever is inside, so that a system asks
it for channels, strides and levels and never for its name. `backbone_table` lists them, `weights` fills them. Parameter
names of vgg16, resnet50, resnet101 and mobilenet_v2 are torchvision's, and those of hrnet_w48 timm's, so that their
files load as they are. How pixels are normalized is a property of the weights: mean and standard deviation are buffers,
saved and loaded with them.
"""

import hashlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.vision.backbone_table import NORMALIZATIONS, Colors, entry_of
from wsis_steps.vision.plain_backbones import build_parts


class Backbone(nn.Module):
    """Layers in their order, cut into levels; the output of each level is a feature map.

    Attributes:
        name: what `build_backbone` was asked for.
        levels: per level the names of the submodules that lead to it, in forward order.
        channels, strides: per level, fine to coarse.
        mean, std: float32 buffers of shape (3,), for RGB in 0..1.
        high_resolution: whether the levels are branches that run side by side to the end (HRNet).
        sequential: whether each level is computed from the one before alone, so that `run_level` can be used.
        multiple: images are filled up to multiples of it, with their mean color, and the maps cut back.
        rounds_up: whether maps have ceil(H / stride) rows, and not floor.
        prefix: of its parameters' names, which a file of the network alone does not have.
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
            count: how many levels, from the finest; all by default. In a sequential backbone the others are not
                computed.

        Returns:
            One B x channels[i] x ceil(H / strides[i]) x ceil(W / strides[i]) map per level (vgg16: floor, but
            after `round_up`), after the level's last activation (ReLU; mobilenet_v2 has linear ends, except for its
            last level; others as timm has them, vision transformers after their last normalization).
        """
        height, width = images.shape[-2:]
        if self.multiple > 1:
            # a 0 after normalization is the mean color
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
        """The maps of a level, of any size, from those of the one before; for sequential backbones."""
        for name in self.levels[level]:
            maps = self.get_submodule(name)(maps)
        return maps

    def round_up(self) -> None:
        """From now on maps have ceil(H / stride) rows and ceil(W / stride) columns."""
        if not self.rounds_up:
            self.multiple, self.rounds_up = self.strides[-1], True

    def freeze(self, count: int) -> None:
        """Stops training what leads to the `count` finest levels; InputError where it has no levels to cut at."""
        if count and not self.levels:
            raise InputError(f"Levels of backbone {self.name} cannot be frozen one by one; freeze none (0).")
        for names in self.levels[:count]:
            for name in names:
                self.get_submodule(name).requires_grad_(False)

    def converted(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """A file of weights in the layout that the network's own file has; InputError says why it cannot have it."""
        return state

    def leaves_out(self, key: str) -> bool:
        """Whether an entry of a file of weights is of layers of the network that the backbone has left out."""
        return False

    def fix_norm(self) -> None:
        """From now on batch normalization keeps its statistics and is not trained (for few images)."""
        self.fixed_norm = True
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Backbone":
        """As of any module, but fixed batch normalization stays as in evaluation."""
        super().train(mode)
        if self.fixed_norm:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    @property
    def one_stride(self) -> bool:
        """Whether all levels have the same stride, as the patches of a vision transformer."""
        return len(set(self.strides)) == 1

    @property
    def cell_centers(self) -> tuple[float, ...]:
        """Per level, how many pixels right of (and below) the picture's corner the center of its first cell lies.

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
        if type(first).__name__.endswith("Same"):  # timm's of TensorFlow; what is odd goes to the right
            padding = max(kernel - step, 0) // 2
        shift = (kernel - 1) / 2 - padding  # of a cell, in the cells below it
        return tuple(0.5 + shift * (stride - 1) / (step - 1) for stride in self.strides)

    @property
    def normalization(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """(mean, std) per RGB channel for pixel values in 0..1, as the loaded weights want them."""
        return tuple(self.mean.tolist()), tuple(self.std.tolist())

    def normalize(self, images: Tensor) -> Tensor:
        """B x 3 x H x W RGB bytes, or float in 0..255, to the network's float32 input."""
        return (images.float() / 255 - self.mean[:, None, None]) / self.std[:, None, None]


_STRIDED = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


def _side(value: int | tuple[int, int]) -> int:
    return value if isinstance(value, int) else value[0]


def build_backbone(name: str, output_stride: int | None = None, normalization: str = "imagenet") -> Backbone:
    """A backbone with random weights; `weights.load_weights` fills it.

    Args:
        name: one of `backbone_table.TABLE`, or timm/<name>.
        output_stride: stride of the coarsest level; None is the network's own (vgg16 and small 16, the others of the
            table 32; a vision transformer's is the side of its patches, and it has no other). A smaller one turns the
            strides beyond it into dilation; in HRNet, which has none, it leaves coarser branches out. vgg16 with 8
            is the classifier of BESTIE: 3 x 3 pool of stride 1 after block 4, block 5 with dilation 2 (BESTIE supp.
            section 3; released code); with 32 its last pool makes a sixth level.
        normalization: imagenet, that of the network's ImageNet weights, or half for weights trained on (x - 128) / 128.
            Weights saved by a step of this package bring their own, which replaces it.

    Raises:
        InputError: unknown name, stride or normalization, or a network of timm that is no backbone.
    """
    entry = entry_of(name)
    if normalization not in NORMALIZATIONS:
        raise InputError(f"unknown normalization '{normalization}', {nearest(normalization, NORMALIZATIONS)}")
    if output_stride is not None and output_stride not in entry.output_strides:
        valid = ", ".join(map(str, entry.output_strides))
        raise InputError(f"backbone {name} cannot have output stride {output_stride}; valid: {valid}")
    if entry.family == "timm":
        from wsis_steps.vision.timm_backbones import (
            build_timm,  # timm takes seconds, which only its networks should cost
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
    """InputError where the maps of a backbone have one stride (a vision transformer), of which `network` can make
    nothing."""
    if backbone.one_stride:
        raise InputError(
            f"{network} needs maps of several strides, but those of backbone {backbone.name} all have stride "
            f"{backbone.strides[0]}; it suits the tag classifier (classifier_train)."
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
    """Groups of the trained parameters of a network for an optimizer, none of them empty.

    Args:
        network: all there is to train.
        slow: its part that learns at `learning_rate`; the rest learns `head_lr_factor` times as fast.
        bias_lr_factor: of the rates of biases, which then have groups of their own.
        by_rate: whether what learns at the same rate shares a group.

    Returns:
        Dicts of `params` and `lr`: the slow part's weights and biases, then the others'.
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
