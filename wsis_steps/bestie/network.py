"""The instance network: semantic logits, center heatmaps and offsets of every pixel, on any backbone.

hrnet_w48 and resnet50 are the paper's (BESTIE, CVPR 2022; released code); mobilenet_v2 and small are for
small machines and small images. The backbone determines the decoder.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsis_steps.bestie.settings import BestieTrain
from wsis_steps.vision.backbones import Backbone, build_backbone, parameter_groups, refuse_single_level
from wsis_steps.vision.models import TrainedModel, fill, settings_of

OUTPUTS = ("semantic", "centers", "offsets")
OFFSET_UNIT = 16  # pixels per unit of output in the two networks trained for few iterations
MOMENTUM = 0.01  # batch normalization momentum throughout the network with the paper's ResNet-50 decoder
LARGE = 10_000_000  # parameters from which a backbone gets the paper's decoder


def _block(before: int, after: int, kernel: int = 3, dilation: int = 1, groups: int = 1) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, padding=padding, dilation=dilation, groups=groups, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


def _separable(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(_block(before, before, 5, groups=before), _block(before, after, 1))


def _resized(maps: Tensor, like: Tensor, align: bool = False) -> Tensor:
    return F.interpolate(maps, like.shape[-2:], mode="bilinear", align_corners=align)


class PlainHeads(nn.Module):
    """HRNet's heads: each one 3x3 convolution to 256 channels, ReLU and a 1x1 convolution."""

    released, align_corners = True, False

    def __init__(self, backbone: Backbone, widths: dict[str, int]) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({name: _head(backbone.channels[0], 256, width) for name, width in widths.items()})

    def forward(self, levels: list[Tensor]) -> dict[str, Tensor]:
        """Outputs by name at the resolution of the finest level."""
        return {name: head(levels[0]) for name, head in self.heads.items()}


def _head(before: int, hidden: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, hidden, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(hidden, after, 1))


class Pyramid(nn.Module):
    """Context of a coarse map: a 1x1 and three dilated 3x3 convolutions and the image mean, joined to 256 channels.

    The mean has no batch normalization (as released), which could not train on a batch of one.
    """

    def __init__(self, before: int, width: int = 256) -> None:
        super().__init__()
        dilated = [_block(before, width, 3, dilation) for dilation in (3, 6, 9)]
        self.branches = nn.ModuleList([_block(before, width, 1), *dilated])
        self.mean = nn.Sequential(nn.Conv2d(before, width, 1, bias=False), nn.ReLU(inplace=True))
        self.join = nn.Sequential(_block(5 * width, width, 1), nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, H, W) to (B, 256, H, W)."""
        parts = [branch(x) for branch in self.branches]
        mean = self.mean(x.mean(dim=(2, 3), keepdim=True)).expand_as(parts[0])
        return self.join(torch.cat([*parts, mean], dim=1))


class ContextDecoder(nn.Module):
    """A branch of Panoptic-DeepLab: context of the coarsest level, joined with one finer level after another."""

    def __init__(self, channels: tuple[int, ...], sides: tuple[int, ...], width: int) -> None:
        super().__init__()
        *finer, coarsest = channels
        self.context = Pyramid(coarsest)
        self.sides = nn.ModuleList(_block(c, s, 1) for c, s in zip(reversed(finer), sides, strict=True))
        inputs = (256, *[width] * (len(sides) - 1))
        self.joins = nn.ModuleList(_separable(c + s, width) for c, s in zip(inputs, sides, strict=True))

    def forward(self, levels: list[Tensor]) -> Tensor:
        """(B, width, H, W) at the resolution of the finest level."""
        x = self.context(levels[-1])
        for level, side, join in zip(reversed(levels[:-1]), self.sides, self.joins, strict=True):
            x = join(torch.cat([_resized(x, level, align=True), side(level)], dim=1))
        return x


class DualDecoder(nn.Module):
    """Panoptic-DeepLab on levels from stride 4: one decoder for the semantic map, one for centers and offsets."""

    released, align_corners = True, True

    def __init__(self, backbone: Backbone, widths: dict[str, int]) -> None:
        super().__init__()
        self.first = next(i for i, stride in enumerate(backbone.strides) if stride >= 4)
        channels = backbone.channels[self.first :]
        sides = [2**i for i in range(len(channels) - 1)]  # 1, 2, 4: the next finer level has half the factor
        self.semantic = ContextDecoder(channels, tuple(128 // side for side in sides), 256)
        self.instance = ContextDecoder(channels, tuple(64 // side for side in sides), 128)
        hidden = {"semantic": (256, 256), "centers": (128, 128), "offsets": (128, 32)}
        self.heads = nn.ModuleDict(
            {n: nn.Sequential(_separable(*hidden[n]), nn.Conv2d(hidden[n][1], w, 1)) for n, w in widths.items()}
        )

    def forward(self, levels: list[Tensor]) -> dict[str, Tensor]:
        """Outputs by name at the resolution of the finest level in use."""
        levels = levels[self.first :]
        semantic, instance = self.semantic(levels), self.instance(levels)
        return {n: head(semantic if n == "semantic" else instance) for n, head in self.heads.items()}


class SkipDecoder(nn.Module):
    """Coarse to fine: upsample, add the projected finer level, 3x3 convolution; then three small heads.

    first: finest level in use; shortcut: semantic logits also come directly from the coarsest level, since in a short
    training a few channels do not transmit twenty classes.
    """

    released, align_corners = False, False

    def __init__(self, backbone: Backbone, widths: dict[str, int], first: int, shortcut: bool) -> None:
        super().__init__()
        self.first = first
        channels = backbone.channels[first:]
        inner = [min(128, 32 * 2**i) for i in range(len(channels))]
        self.sides = nn.ModuleList(_block(c, i, 1) for c, i in zip(channels, inner, strict=True))
        self.ups = nn.ModuleList(_block(a, b, 1) for a, b in zip(inner[1:], inner, strict=False))
        self.joins = nn.ModuleList(_block(i, i) for i in inner)
        self.heads = nn.ModuleDict({name: _head(inner[0], 32, width) for name, width in widths.items()})
        self.shortcut = None
        if shortcut:
            coarsest = channels[-1]
            self.shortcut = nn.Sequential(nn.BatchNorm2d(coarsest), nn.Conv2d(coarsest, widths["semantic"], 1))

    def forward(self, levels: list[Tensor]) -> dict[str, Tensor]:
        """Outputs by name at the resolution of the finest level in use; offsets in pixels."""
        *finer, coarsest = (side(level) for side, level in zip(self.sides, levels[self.first :], strict=True))
        x = self.joins[-1](coarsest)
        for side, up, join in zip(reversed(finer), reversed(self.ups), reversed(self.joins[:-1]), strict=True):
            x = join(side + _resized(up(x), side))
        outputs = {name: head(x) for name, head in self.heads.items()}
        if self.shortcut is not None:
            outputs["semantic"] = outputs["semantic"] + _resized(self.shortcut(levels[-1]), x)
        outputs["offsets"] = outputs["offsets"] * OFFSET_UNIT
        return outputs


class InstanceNetwork(nn.Module):
    """A backbone and a decoder.

    Attributes: backbone, whose `normalize` makes the input and which alone has pretrained weights; decoder;
    center_maps, the number of the decoder's center maps in use, from the first.
    """

    def __init__(self, backbone: Backbone, decoder: nn.Module, center_maps: int) -> None:
        super().__init__()
        self.backbone, self.decoder, self.center_maps = backbone, decoder, center_maps

    def parameter_groups(self, learning_rate: float, head_lr_factor: float) -> list[dict]:
        """Parameter groups for an optimizer: the backbone, and the decoder with `head_lr_factor` times its learning
        rate."""
        return parameter_groups(self, self.backbone, learning_rate, head_lr_factor)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Outputs at the size of the images, which is arbitrary.

        images: float (B, 3, H, W), normalized. Returns `semantic`, (B, 1 + C, H, W) logits with background
        first; `centers`, (B, C or 1, H, W) heatmaps without a final activation; `offsets`, (B, 2, H, W), channel
        0 = y, pixels.
        """
        height, width = images.shape[-2:]
        # 0 is the mean color after normalization
        padded = F.pad(images, (0, -width % 32, 0, -height % 32))
        outputs = self.decoder(self.backbone(padded))
        outputs["centers"] = outputs["centers"][:, : self.center_maps]
        full = {name: _resized(maps, padded, self.decoder.align_corners) for name, maps in outputs.items()}
        return {name: maps[..., :height, :width] for name, maps in full.items()}


def load_network(trained: TrainedModel) -> InstanceNetwork:
    """Loads the network from a file of `bestie_train`."""
    model = build_network(settings_of(trained, BestieTrain), len(trained.class_names))
    fill(model, trained)
    return model


def build_network(settings: BestieTrain, class_count: int) -> InstanceNetwork:
    """The network that settings describe, with random weights; `load_weights` fills its backbone.

    class_count: classes without background. Of HRNet the branch of stride 4 is used. Convolutions outside the backbone
    are initialized from a normal distribution of standard deviation 0.001 in the paper's networks, as released, and by
    He's method in the others, except for their last one. Batch normalization of the paper's ResNet decoder and of the
    backbone below it has momentum 0.01, as released. All ablations build the same layers, which therefore start from
    the same weights: class-agnostic centers use the first of the center maps.

    Raises InputError for a backbone that is unknown or has only one level.
    """
    widths = dict(zip(OUTPUTS, (1 + class_count, class_count, 2), strict=True))
    backbone = build_backbone(settings.backbone, normalization=settings.normalization)
    refuse_single_level(backbone, "The network of BESTIE")
    if backbone.high_resolution:
        backbone.keep_branches(1)
    decoder = _decoder(backbone, widths)
    _initialize(decoder, 0.001 if decoder.released else None)
    network = InstanceNetwork(backbone, decoder, class_count if settings.class_wise_centers else 1)
    if isinstance(decoder, DualDecoder):
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = MOMENTUM
    return network


def _decoder(backbone: Backbone, widths: dict[str, int]) -> nn.Module:
    """The paper's decoder for HRNet, its decoder for ResNet and other large backbones, or one for small machines."""
    if backbone.high_resolution:
        return PlainHeads(backbone, widths)
    if sum(p.numel() for p in backbone.parameters()) >= LARGE:
        return DualDecoder(backbone, widths)
    # a backbone that ends before stride 32 is for images of about 100 px, which need a finer center map
    deep = backbone.strides[-1] >= 32
    first = next(i for i, stride in enumerate(backbone.strides) if stride >= (4 if deep else 2))
    return SkipDecoder(backbone, widths, first, shortcut=deep)


def _initialize(decoder: nn.Module, std: float | None) -> None:
    """Normal weights of a standard deviation, or He's; 0.001 in the last layers, so outputs start near 0."""
    for module in decoder.modules():
        if isinstance(module, nn.Conv2d):
            if std is None:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            else:
                nn.init.normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    shortcut = decoder.shortcut if isinstance(decoder, SkipDecoder) else None
    for layers in (*decoder.heads.values(), *([shortcut] if shortcut else [])):
        nn.init.normal_(layers[-1].weight, std=0.001)
