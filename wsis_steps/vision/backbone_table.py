"""The backbones, and what is known of each before it is built. Imports no torch.

Besides the names in the table, `timm/<name>` is any timm network that yields feature maps. Whether timm has that name
is only checked when it is built, since importing timm takes seconds.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from wsis_steps.engine.errors import InputError, nearest

TIMM = "timm/"  # prefix of the names of timm's networks
_TIMM_NAME = re.compile(r"timm/\w+(\.\w+)?")  # may end in the tag of its weights, which sets the normalization
_PATCHES = re.compile(r"timm/(?:vit|deit3?|eva(?:02)?)_\w*?patch(\d+)")  # vision transformers, with their patch size

Colors = tuple[tuple[float, ...], tuple[float, ...]]  # mean and standard deviation of RGB in 0..1
NORMALIZATIONS: dict[str, Colors] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((128 / 255,) * 3, (128 / 255,) * 3),  # (x - 128) / 128 for bytes x
}


@dataclass(frozen=True)
class Entry:
    """A backbone before it is built.

    Attributes:
        family: which function builds it.
        output_stride: its default stride; 0 if only timm knows it.
        output_strides: all strides that it supports.
        source: where its ImageNet weights come from: timm, torchvision (which names them) or none.
        weights: torchvision's name of the weights, or timm's name of the network.
        normalization: the ImageNet weights' key in NORMALIZATIONS; timm if timm's configuration defines it.
        high_resolution: whether its resolutions run in parallel (HRNet) instead of one after another.
        norm: the type of its normalization layers; unknown for timm networks.
    """

    family: Literal["vgg", "resnet", "mobilenet_v2", "small", "timm"]
    output_stride: int
    output_strides: tuple[int, ...] = (8, 16, 32)
    source: Literal["torchvision", "timm", "none"] = "torchvision"
    weights: str = ""
    normalization: str = "imagenet"
    high_resolution: bool = False
    norm: Literal["batch", "group", "none", "unknown"] = "batch"


TABLE = {
    "small": Entry("small", 16, source="none"),
    "mobilenet_v2": Entry("mobilenet_v2", 32, weights="MobileNet_V2_Weights"),
    "resnet50": Entry("resnet", 32, weights="ResNet50_Weights"),
    "resnet50_gn": Entry("timm", 32, source="timm", weights="resnet50_gn.a1h_in1k", norm="group"),
    "resnet101": Entry("resnet", 32, weights="ResNet101_Weights"),
    "vgg16": Entry("vgg", 16, weights="VGG16_Weights", norm="none"),
    "hrnet_w48": Entry("timm", 32, source="timm", weights="hrnet_w48", high_resolution=True),
}


def fault_of(name: str, more: Iterable[str] = ()) -> str | None:
    """What is wrong with the name of a backbone, as far as the table can tell; None if nothing is.

    more: further valid names.
    """
    if name in TABLE or name in more or _TIMM_NAME.fullmatch(name):
        return None
    return f"there is no backbone '{name}', {nearest(name, [*TABLE, *more])} (or a timm network: {TIMM}resnet18)"


def entry_of(name: str) -> Entry:
    """The table's entry, or the one for all timm networks; InputError if there is no such backbone."""
    fault = fault_of(name)
    if fault:
        raise InputError(f"{fault[0].upper()}{fault[1:]}.")
    if name in TABLE:
        return TABLE[name]
    return Entry("timm", 0, source="timm", weights=name.removeprefix(TIMM), normalization="timm", norm="unknown")


def stride_of_patches(name: str) -> int | None:
    """The only output stride of a timm vision transformer, taken from its name; None for other names."""
    found = _PATCHES.match(name)
    return int(found[1]) if found else None


def has_batch_norm(name: str) -> bool:
    """Whether a backbone is known to have batch normalization; False for unknown names, too."""
    return name in TABLE and TABLE[name].norm == "batch"
