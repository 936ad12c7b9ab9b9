"""Which backbones there are, and what is known of each before it is built; imports no torch.

Besides those of the table, `timm/<name>` is any network of timm that gives feature maps; whether there is one of that
name is known only when it is built, since importing timm takes seconds.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from wsis_steps.engine.errors import InputError, nearest

TIMM = "timm/"  # what the names of timm's networks begin with
_TIMM_NAME = re.compile(r"timm/\w+(\.\w+)?")  # a tag of weights, which decides on their normalization, may follow
_PATCHES = re.compile(r"timm/(?:vit|deit3?|eva(?:02)?)_\w*?patch(\d+)")  # vision transformers, with the side of patches

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
        output_stride: its own, which it has where none is asked for; 0 where only timm knows.
        output_strides: all that it can have.
        source: of its ImageNet weights: timm, torchvision (with the name of its weights) or none.
        weights: torchvision's name of the weights, or timm's of the network.
        normalization: a key of NORMALIZATIONS, of the ImageNet weights; timm where timm's configuration says it.
        high_resolution: whether its resolutions run side by side (HRNet), and do not follow one upon the other.
        norm: what normalizes its layers; unknown of timm's.
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
    """What is wrong with the name of a backbone, as far as the table tells; None where nothing is.

    more: further names that are valid where it stands.
    """
    if name in TABLE or name in more or _TIMM_NAME.fullmatch(name):
        return None
    return f"there is no backbone '{name}', {nearest(name, [*TABLE, *more])} (or one of timm's, as {TIMM}resnet18)"


def entry_of(name: str) -> Entry:
    """The table's entry, or what holds for all of timm's; InputError where there is no such backbone."""
    fault = fault_of(name)
    if fault:
        raise InputError(f"{fault[0].upper()}{fault[1:]}.")
    if name in TABLE:
        return TABLE[name]
    return Entry("timm", 0, source="timm", weights=name.removeprefix(TIMM), normalization="timm", norm="unknown")


def stride_of_patches(name: str) -> int | None:
    """The only output stride that a vision transformer of timm can have, as its name tells it; None of other names."""
    found = _PATCHES.match(name)
    return int(found[1]) if found else None


def has_batch_norm(name: str) -> bool:
    """Whether a backbone is known to have batch normalization; False also of names that are none."""
    return name in TABLE and TABLE[name].norm == "batch"
