"""Feature extractors shared by all systems, and the one door through which pretrained weights come in.

Every backbone is a `Backbone`: the same attributes and the same forward, whatever is inside. Parameter names
of vgg16, resnet50, resnet101 and mobilenet_v2 are torchvision's, so that its files load as they are. How pixels are
normalized is a property of the weights: mean and standard deviation are buffers, saved and loaded with them.
"""

import logging
import os
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from wsis_steps.engine.errors import InputError, nearest

log = logging.getLogger(__name__)

NORMALIZATIONS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((128 / 255,) * 3, (128 / 255,) * 3),  # (x - 128) / 128 for bytes x
}


# what torch.load raises on damaged or foreign files (found by cutting files short and changing their bytes)
_UNREADABLE = (
    UnpicklingError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    AssertionError,
    TypeError,
    struct.error,
)


class Backbone(nn.Module):
    """Layers in their order, cut into levels; the output of each level is a feature map.

    Attributes:
        name: what `build_backbone` was asked for.
        levels: per level the names of the submodules that lead to it, in forward order.
        channels, strides: per level, fine to coarse.
        mean, std: float32 buffers of shape (3,), for RGB in 0..1.
    """

    def __init__(
        self,
        name: str,
        layers: dict[str, nn.Module],
        levels: list[list[str]],
        channels: tuple[int, ...],
        strides: tuple[int, ...],
        normalization: str,
    ):
        super().__init__()
        if normalization not in NORMALIZATIONS:
            raise InputError(f"unknown normalization '{normalization}', {nearest(normalization, NORMALIZATIONS)}")
        for layer_name, layer in layers.items():
            self.add_module(layer_name, layer)
        self.name, self.levels, self.channels, self.strides = name, levels, channels, strides
        self.fixed_norm = False
        mean, std = NORMALIZATIONS[normalization]
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps, fine to coarse.

        Args:
            images: B x 3 x H x W float, normalized (see `normalize`).

        Returns:
            One B x channels[i] x ceil(H / strides[i]) x ceil(W / strides[i]) map per level (vgg16: floor),
            after the level's last activation (ReLU; mobilenet_v2 has linear ends, except for its last level).
        """
        maps = []
        for names in self.levels:
            for name in names:
                images = self.get_submodule(name)(images)
            maps.append(images)
        return maps

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
    def normalization(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """(mean, std) per RGB channel for pixel values in 0..1, as the loaded weights want them."""
        return tuple(self.mean.tolist()), tuple(self.std.tolist())

    def normalize(self, images: Tensor) -> Tensor:
        """B x 3 x H x W RGB bytes, or float in 0..255, to the network's float32 input."""
        return (images.float() / 255 - self.mean[:, None, None]) / self.std[:, None, None]


def build_backbone(name: str, output_stride: int | None = None, normalization: str = "imagenet") -> Backbone:
    """A backbone with random weights; `load_weights` fills it.

    Args:
        name: vgg16, resnet50, resnet101, mobilenet_v2 or small.
        output_stride: stride of the coarsest level; None is the network's own (16, 32, 32, 32, 16). A smaller one
            turns the strides beyond it into dilation. vgg16 with 8 is the classifier of BESTIE: 3 x 3 pool of
            stride 1 after block 4, block 5 with dilation 2 (BESTIE supp. section 3; released code).
        normalization: imagenet, or half for weights trained on (x - 128) / 128. Weights saved by a step of
            this package bring their own, which replaces it.

    Raises:
        InputError: unknown name, stride or normalization.
    """
    if name not in _BUILDERS:
        raise InputError(f"unknown backbone '{name}', {nearest(name, _BUILDERS)}")
    build, allowed_strides = _BUILDERS[name]
    output_stride = output_stride or allowed_strides[-1]
    if output_stride not in allowed_strides:
        valid = ", ".join(map(str, allowed_strides))
        raise InputError(f"backbone {name} cannot have output stride {output_stride}; valid: {valid}")
    layers, levels, channels, strides = build(output_stride)
    strides = tuple(min(stride, output_stride) for stride in strides)
    return Backbone(name, layers, levels, channels, strides, normalization)


def load_weights(backbone: Backbone, weights: str) -> None:
    """Fills the backbone in place.

    Args:
        backbone: as built by `build_backbone`.
        weights: `imagenet` (the file <name>_imagenet.pth in data/weights, or in the folder that the
            environment variable WSIS_WEIGHTS names), `none` (stay random), or the path of a
            torchvision state dict or of a model saved by a step of this package (keys 'backbone.*').

    Raises:
        InputError: the file is missing or unreadable, or its entries are not this backbone's.
    """
    if weights == "none":
        return
    path, state = read_weights(backbone.name, weights)
    own = backbone.state_dict()
    # files from before torch 0.4.1 have no batch counters, and torchvision's have no normalization
    optional = {"mean", "std"} | {key for key in own if key.endswith("num_batches_tracked")}
    missing = [key for key in own if key not in state and key not in optional]
    wrong = [k for k, v in state.items() if k not in own or own[k].shape != v.shape]
    if missing or wrong:
        kind = "lacks" if missing else "has an entry, or a shape, that is not the backbone's:"
        raise InputError(
            f"{path} does not fit backbone {backbone.name}: it {kind} '{(missing or wrong)[0]}' "
            f"({len(missing)} entries missing, {len(wrong)} unknown or of another shape)"
        )
    backbone.load_state_dict(own | state)
    log.info("backbone %s starts from %s", backbone.name, path)


def read_weights(name: str, weights: str) -> tuple[Path, dict[str, Tensor]]:
    """The file of `weights` (a path or `imagenet`) and what it holds of that backbone; raises as `load_weights`."""
    path = imagenet_path(name) if weights == "imagenet" else Path(weights)
    if not path.is_file():
        raise InputError(f"weights '{weights}': no such file; {nearest(weights, ['imagenet', 'none'])}")
    state = read_state_dict(path)
    if any(key.startswith("backbone.") for key in state):
        return path, {k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")}
    return path, {key: value for key, value in state.items() if not key.startswith(("classifier.", "fc."))}


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a file written by torch.save: a state dict, or one under 'model' or 'state_dict'.

    Raises:
        InputError: not such a file, truncated, or holding anything but tensors.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except _UNREADABLE as error:
        raise InputError(
            f"{path} cannot be read as a file of weights ({type(error).__name__}); is it complete?"
        ) from error
    if isinstance(state, dict):
        for key in ("model", "state_dict"):
            if isinstance(state.get(key), dict):
                state = state[key]
    if not (
        isinstance(state, dict)
        and state
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items())
    ):
        raise InputError(f"{path} holds no state dict (names with tensors)")
    return dict(state)


HIGH_RESOLUTION = "hrnet_w48"  # timm's; its network is BESTIE's (bestie/network.py)
# torchvision's names; it is imported where it is needed, since that takes seconds which every step would pay
_OFFICIAL = {
    "vgg16": "VGG16_Weights",
    "resnet50": "ResNet50_Weights",
    "resnet101": "ResNet101_Weights",
    "mobilenet_v2": "MobileNet_V2_Weights",
}


def imagenet_path(name: str) -> Path:
    """The file of a backbone's ImageNet weights; InputError that says where to get it, where there is none."""
    if name not in (*_OFFICIAL, HIGH_RESOLUTION):
        raise InputError(f"backbone {name} has no ImageNet weights; write weights: none, or a path")
    path = Path(os.environ.get("WSIS_WEIGHTS", "data/weights")) / f"{name}_imagenet.pth"
    if not path.is_file():
        raise InputError(f"no ImageNet weights for {name}: download {_source(name)} and save it as {path}")
    return path


def _source(name: str) -> str:
    """Where the ImageNet weights of a backbone are to be had."""
    if name == HIGH_RESOLUTION:
        import timm

        return f"pytorch_model.bin of https://huggingface.co/{timm.get_pretrained_cfg(name).hf_hub_id}"
    from torchvision.models import get_weight

    url = get_weight(f"{_OFFICIAL[name]}.IMAGENET1K_V1").url
    return f"torchvision's {url.rsplit('/', 1)[1]} from {url}"


_Parts = tuple[dict[str, nn.Module], list[list[str]], tuple[int, ...], tuple[int, ...]]


def _vgg16(output_stride: int) -> _Parts:
    from torchvision.models.vgg import cfgs, make_layers

    features = make_layers(cfgs["D"], batch_norm=False)[:-1]  # the last pool leads to no level
    _initialize(features)
    _limit_stride(features, output_stride)
    levels = _cut(features, (4, 9, 16, 23, 30))
    return {"features": features}, levels, (64, 128, 256, 512, 512), (1, 2, 4, 8, 16)


def _resnet(name: str, output_stride: int) -> _Parts:
    dilate = [False, output_stride <= 8, output_stride <= 16]
    from torchvision.models import resnet

    network = getattr(resnet, name)(weights=None, replace_stride_with_dilation=dilate)
    levels = [["conv1", "bn1", "relu", "maxpool", "layer1"], ["layer2"], ["layer3"], ["layer4"]]
    layers = {name: getattr(network, name) for names in levels for name in names}
    return layers, levels, (256, 512, 1024, 2048), (4, 8, 16, 32)


def _mobilenet_v2(output_stride: int) -> _Parts:
    from torchvision.models import mobilenet_v2

    features = mobilenet_v2(weights=None).features
    _limit_stride(features, output_stride)
    levels = _cut(features, (2, 4, 7, 14, 19))
    return {"features": features}, levels, (16, 24, 32, 96, 1280), (2, 4, 8, 16, 32)


def _small(output_stride: int) -> _Parts:
    """Four levels of a strided and a residual convolution, for images of about 100 px on a CPU."""
    channels = (24, 48, 96, 160)
    features = nn.Sequential()
    for before, width in zip((3, *channels), channels, strict=False):
        features.append(_convolution(before, width, stride=2))
        features.append(_Residual(_convolution(width, width)))
    _initialize(features)
    _limit_stride(features, output_stride)
    return {"features": features}, _cut(features, (2, 4, 6, 8)), channels, (2, 4, 8, 16)


_BUILDERS: dict[str, tuple[Callable[[int], _Parts], tuple[int, ...]]] = {
    "vgg16": (_vgg16, (8, 16)),
    "resnet50": (partial(_resnet, "resnet50"), (8, 16, 32)),
    "resnet101": (partial(_resnet, "resnet101"), (8, 16, 32)),
    "mobilenet_v2": (_mobilenet_v2, (8, 16, 32)),
    "small": (_small, (8, 16)),
}


class _Residual(nn.Module):
    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


def _convolution(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


def _cut(features: nn.Sequential, ends: tuple[int, ...]) -> list[list[str]]:
    """Names of the layers of each level, where level i ends before layer ends[i]."""
    return [[f"features.{i}" for i in range(a, b)] for a, b in zip((0, *ends), ends, strict=False)]


def _initialize(features: nn.Module) -> None:
    for module in features.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _limit_stride(features: nn.Module, output_stride: int) -> None:
    """Takes away strides beyond `output_stride`; each one taken away doubles the dilation of what follows it.

    Layers must be registered in forward order, with no strided side branch. A pool that loses its stride
    becomes 3 x 3, so that it still takes in its neighbours evenly.
    """
    stride = dilation = 1
    for module in features.modules():
        if not isinstance(module, nn.Conv2d | nn.MaxPool2d):
            continue
        own = module.stride if isinstance(module.stride, int) else module.stride[0]
        removed = own > 1 and stride * own > output_stride
        if isinstance(module, nn.MaxPool2d):
            if removed:
                module.kernel_size, module.stride, module.padding = 3, 1, 1
        else:
            if removed:
                module.stride = (1, 1)
            if module.kernel_size == (3, 3):
                module.dilation = module.padding = (dilation, dilation)
        if removed:
            dilation *= own
        else:
            stride *= own
