"""Backbones from timm: HRNet with its branches, vision transformers, and any other network with feature maps."""

import difflib
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import timm
import torch
from timm.models import FeatureListNet, eva, vision_transformer
from timm.models.efficientnet import EfficientNetFeatures
from timm.models.mobilenetv3 import MobileNetV3Features
from torch import Tensor, nn

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.backbone_table import TIMM, Colors
from wsis_steps.vision.backbones import Backbone
from wsis_steps.vision.efficientnet_lite import is_efficientnet_lite, timm_names

# modules of timm with vision transformers for images of any size, and functions that convert files to timm's layout
_TRANSFORMERS = {
    "vision_transformer": vision_transformer.checkpoint_filter_fn,
    "deit": partial(vision_transformer.checkpoint_filter_fn, adapt_layer_scale=True),
    "eva": eva.checkpoint_filter_fn,
}
_ANY_SIZE = {"dynamic_img_size": True, "num_classes": 0}  # makes a vision transformer accept any size; no head
# what timm networks raise if they do not know an option, yield no feature maps, or cannot handle a size
_REFUSALS = (TypeError, AssertionError, RuntimeError, ValueError, LookupError, AttributeError)


class HighResolution(Backbone):
    """An HRNet; its levels are the branches of strides 4, 8, 16 and 32 after its last stage.

    `levels` are its stages: the first leads to the branch of stride 4; each later one adds a branch and continues the
    others.
    """

    high_resolution = True
    sequential = False

    def __init__(self, name: str, network: nn.Module, colors: Colors) -> None:
        layers = {name: layer for name, layer in network.named_children() if not isinstance(layer, nn.Identity)}
        stem = ["conv1", "bn1", "act1", "conv2", "bn2", "act2", "layer1"]
        levels = [stem, *([f"transition{i}", f"stage{i + 1}"] for i in (1, 2, 3))]
        channels = tuple(network.stage4[-1].get_num_in_chs())
        super().__init__(name, layers, levels, channels, (4, 8, 16, 32), colors)
        self.multiple = 32

    def keep_branches(self, count: int) -> None:
        """Removes the last stage's coarser outputs and the layers only they need, since nothing would train them."""
        self.stage4[-1].fuse_layers = self.stage4[-1].fuse_layers[:count]
        self.channels, self.strides = self.channels[:count], self.strides[:count]

    def leaves_out(self, key: str) -> bool:
        """Whether an entry of a weight file belongs to branches that `keep_branches` removed."""
        branch = re.match(rf"stage4\.{len(self.stage4) - 1}\.fuse_layers\.(\d+)\.", key)
        return branch is not None and int(branch[1]) >= len(self.channels)

    def _maps(self, images: Tensor, count: int) -> list[Tensor]:
        stem = self.act1(self.bn1(self.conv1(images)))
        stem = self.layer1(self.act2(self.bn2(self.conv2(stem))))
        branches = self.stage2([transition(stem) for transition in self.transition1])
        for transitions, stage in ((self.transition2, self.stage3), (self.transition3, self.stage4)):
            # each stage adds one branch, made from the coarsest so far
            old = [transition(branch) for transition, branch in zip(transitions, branches, strict=False)]
            branches = stage([*old, transitions[-1](branches[-1])])
        return branches[:count]


class Transformer(Backbone):
    """A vision transformer (ViT, DINOv2, DINOv3, DeiT, EVA); its only level is the patch tokens of its last block.

    They are normalized as in timm's `forward_features`, without class and register tokens. For any image size, the
    positional embedding is interpolated to the patch grid, bicubic and antialiased. (Meta's code of DINOv2 without
    registers does not antialias, and its offset of 0.1 cells changes the scale of the interpolation, by at most 0.1
    cells at the far edge.)
    """

    sequential = False
    prefix = "network."

    def __init__(self, name: str, network: nn.Module, colors: Colors, convert: Callable) -> None:
        network.prune_intermediate_layers(1)  # keeps all blocks, removes the head
        side = network.patch_embed.feat_ratio()
        super().__init__(name, {"network": network}, [], (network.embed_dim,), (side,), colors)
        self.multiple, self.convert = side, convert

    def _maps(self, images: Tensor, count: int) -> list[Tensor]:
        return self.network.forward_intermediates(images, indices=1, norm=True, intermediates_only=True)[:count]

    def converted(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Converts a file in timm's or the authors' layout (DINOv2's is recognized by its `mask_token`) to timm's."""
        if any(key.startswith(self.prefix) for key in state):
            return state
        side = self.multiple
        for value in state.values():
            if value.ndim == 4 and value.shape[1] == 3 and value.shape[2:] != (side, side):  # timm would resample it
                sees = f"{value.shape[3]}x{value.shape[2]}"
                raise InputError(f"its first convolution sees {sees} pixels, but patches are {side}x{side} here")
        with suppress(*_REFUSALS):  # for a file of something else, whose entries are then reported unconverted
            return self.convert(dict(state), self.network)
        return state


class EfficientNetLite(Backbone):
    """A `tf_efficientnet_lite`, which also takes files in the layout of efficientnet_lite_pytorch."""

    def converted(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Converts a file of timm or of efficientnet_lite_pytorch to timm's layout."""
        names = timm_names(state, self.state_dict().keys())
        return {names[key]: value for key, value in state.items()}


class Whole(Backbone):
    """A timm network that can only run as a whole: it yields levels, but cannot be cut between them."""

    sequential = False

    def __init__(
        self, name: str, network: nn.Module, channels: tuple[int, ...], strides: tuple[int, ...], colors: Colors
    ) -> None:
        super().__init__(name, {"network": network}, [], channels, strides, colors)
        inside = [inner for inner in ("body", "model") if inner in dict(network.named_children())]
        self.prefix = ".".join(["network", *inside[:1], ""])

    def _maps(self, images: Tensor, count: int) -> list[Tensor]:
        return self.network(images)[:count]


def pretrained_of(timm_name: str) -> Any:
    """timm's configuration of a network's weights (mean, std, hf_hub_id, ...); InputError where the name is unknown."""
    config = None
    if timm.is_model(timm_name):
        with suppress(RuntimeError):  # unknown tag
            config = timm.get_pretrained_cfg(timm_name)
    if config is None:
        known = timm.list_pretrained() if "." in timm_name else timm.list_models()
        closest = difflib.get_close_matches(timm_name, known, n=1, cutoff=0)[0]
        raise InputError(f"There is no backbone '{TIMM}{timm_name}', the nearest is '{TIMM}{closest}'.")
    return config


def build_timm(name: str, timm_name: str, output_stride: int | None, colors: Colors | None) -> Backbone:
    """A timm network with random weights; `colors` None stands for those of timm's own weights.

    Raises InputError for an unknown name, a stride that the network cannot have, and a network without feature maps for
    images of any size.
    """
    config = pretrained_of(timm_name)
    colors = colors or (tuple(config.mean), tuple(config.std))
    if timm.models.is_model_in_modules(config.architecture, ["hrnet"]):
        # feature_location "" yields the four branches themselves; timm's default adds layers of its classifier
        backbone = HighResolution(name, _create(name, timm_name, feature_location=""), colors)
        if output_stride:
            backbone.keep_branches(sum(stride <= output_stride for stride in backbone.strides))
        return backbone
    for module, convert in _TRANSFORMERS.items():
        if timm.models.is_model_in_modules(config.architecture, [module]):
            network = _create(name, timm_name, features_only=False, **_ANY_SIZE)
            backbone = Transformer(name, network, colors, convert)
            _check_stride(backbone, output_stride)
            return backbone
    network = _create(name, timm_name, **({"output_stride": output_stride} if output_stride in (8, 16) else {}))
    channels, strides = tuple(network.feature_info.channels()), tuple(network.feature_info.reduction())
    whole = Whole(name, network, channels, strides, colors)
    _check_stride(whole, output_stride)
    cut = _layers(network)
    kind = EfficientNetLite if is_efficientnet_lite(timm_name) else Backbone
    choices = [kind(name, *cut, channels, strides, colors), whole] if cut else [whole]
    for backbone in choices:
        for multiple in (1, strides[-1]):
            backbone.multiple = multiple
            if _gives_what_it_says(backbone):
                return backbone
    raise InputError(f"{name} gives no feature maps for images of any size, so it cannot be a backbone.")


def _check_stride(backbone: Backbone, output_stride: int | None) -> None:
    """InputError if a network's stride differs from the requested one."""
    own = backbone.strides[-1]
    if output_stride and own != output_stride:
        instead = f"set output_stride: own, which is {own}"
        raise InputError(f"backbone {backbone.name} cannot have output stride {output_stride}; {instead}")


def _create(name: str, timm_name: str, features_only: bool = True, **options) -> nn.Module:
    try:
        return timm.create_model(timm_name, pretrained=False, features_only=features_only, **options)
    except _REFUSALS as error:
        if "output_stride" in options:
            raise InputError(
                f"backbone {name} can have no output stride but its own; set output_stride: own"
            ) from error
        raise InputError(f"{name} gives no feature maps, so it cannot be a backbone; use another.") from error


def _layers(network: nn.Module) -> tuple[dict[str, nn.Module], list[list[str]]] | None:
    """Layers of a strictly sequential network, and their names level by level; None for other networks."""
    if isinstance(network, FeatureListNet):
        names, ends = list(network), set(network.return_layers)
        layers = dict(network.items())
    elif isinstance(network, EfficientNetFeatures | MobileNetV3Features):
        stem = [name for name in ("conv_stem", "bn1", "act1") if hasattr(network, name)]
        stages = [found["stage"] for found in network.feature_info.get_dicts(keys=("stage",))]
        names = [*stem, *(f"blocks.{i}" for i in range(stages[-1]))]
        ends = {stem[-1] if stage == 0 else f"blocks.{stage - 1}" for stage in stages}
        layers = {name: getattr(network, name) for name in stem} | {"blocks": network.blocks[: stages[-1]]}
    else:
        return None
    levels: list[list[str]] = [[]]
    for name in names:
        levels[-1].append(name)
        if name in ends:
            levels.append([])
    return layers, levels[:-1]


@torch.no_grad()
def _gives_what_it_says(backbone: Backbone) -> bool:
    """Whether maps have the stated channels and strides, for image sides that the strides divide and for others."""
    coarsest = backbone.strides[-1]
    backbone.eval()
    for height, width in ((2 * coarsest, 3 * coarsest), (2 * coarsest + 11, 3 * coarsest + 5)):
        sizes = [(c, -(-height // s), -(-width // s)) for c, s in zip(backbone.channels, backbone.strides, strict=True)]
        try:
            maps = backbone(torch.zeros(1, 3, height, width))
            if [tuple(m.shape[1:]) for m in maps] != sizes:
                return False
        except _REFUSALS:
            return False
    backbone.train()
    return True
