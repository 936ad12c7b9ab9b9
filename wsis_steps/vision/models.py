"""Trained networks as files: the state dict, and what made it; no code."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.provenance import Provenance
from wsis_steps.engine.settings import Settings, known_settings
from wsis_steps.vision.tensor_file import read_tensor_file
from wsis_steps.vision.weights import check_finite_weights, state_dict_of

Trained = TypeVar("Trained", bound=Settings)
MODEL_VERSION = 1  # version of the file's keys


@dataclass(frozen=True)
class TrainedModel:
    """A trained model: state dict, settings (JSON values) of the training step, classes, supervision, the samples that
    were black and white in training images of more than 8 bits (None: unknown), and its provenance."""

    path: Path
    state: dict[str, torch.Tensor]
    settings: dict[str, Any]
    class_names: tuple[str, ...]
    supervision: tuple[str, ...]
    picture_range: tuple[int, int] | None = None
    provenance: Provenance | None = None


def save_model(
    path: Path, model: nn.Module, provenance: Provenance, picture_range: tuple[int, int] | None = None
) -> None:
    """Writes {'model': state dict, 'schema': ..., 'provenance': JSON}, and 'picture_range' if known."""
    about = {
        "schema": "model",
        "schema_version": MODEL_VERSION,
        "provenance": json.dumps(asdict(provenance)),
    }
    if picture_range is not None:
        about["picture_range"] = picture_range
    with path.open("wb") as file:  # given a path, torch would not report a full disk
        torch.save({"model": model.state_dict(), **about}, file)


def load_model(path: Path, *steps: str) -> TrainedModel:
    """Reads a model trained by one of `steps`; InputError if it was not."""
    model, provenance = load_any_model(path)
    if provenance.step not in steps:
        wanted = " or ".join(steps)
        raise InputError(f"{path} was trained by {provenance.step}, but a model trained by {wanted} is needed here.")
    return model


def load_any_model(path: Path) -> tuple[TrainedModel, Provenance]:
    """Reads a trained model and what made it; InputError if it is not one, or has a weight that is not finite."""
    content = read_tensor_file(path)
    state = state_dict_of(content, path)
    if content.get("schema") != "model":
        raise InputError(f"{path} holds weights, but not of a model that this program trained.")
    if content.get("schema_version") != MODEL_VERSION:
        raise InputError(f"{path} is not a model of schema version {MODEL_VERSION}; delete the file and run again.")
    check_finite_weights(state, path)
    try:
        made = Provenance(**json.loads(content["provenance"]))
        settings, ends = json.loads(made.settings), content.get("picture_range")
        seen = tuple(map(int, ends)) if ends else None
        names, supervision = tuple(made.class_names), tuple(made.supervision)
    except (LookupError, TypeError, ValueError) as error:
        raise InputError(f"{path} does not say what trained it; delete the file and run again.") from error
    return TrainedModel(path, state, settings, names, supervision, seen, made), made


def settings_of(trained: TrainedModel, kind: type[Trained], values: Mapping[str, Any] | None = None) -> Trained:
    """The settings of a training, or `values`, as settings of `kind`; InputError if `kind` does not have them."""
    return known_settings(kind, trained.settings if values is None else values, trained.path)


def fill(network: nn.Module, trained: TrainedModel) -> None:
    """Loads the weights of a file into a network; InputError if they do not fit."""
    try:
        network.load_state_dict(trained.state)
    except RuntimeError as error:
        what = " ".join(str(error).split(":", 1)[-1].split())[:200]
        raise InputError(
            f"{trained.path} does not fit the network that its settings describe ({what}); train it again."
        ) from error
