"""The models that `wsis predict` takes, with one interface: from a picture to its instances."""

import argparse
import importlib.util
import math
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch

from wsis_steps.commands.advice import choose_score, inference_settings, merged_settings, read_advice
from wsis_steps.engine.errors import InputError
from wsis_steps.maskrcnn.detections import detect
from wsis_steps.maskrcnn.left_out import FLOOR, LeftOut
from wsis_steps.maskrcnn.network import load_maskrcnn, read_maskrcnn
from wsis_steps.vision.batches import to_tensor
from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.models import TrainedModel, load_any_model


@dataclass(frozen=True)
class Predictor:
    """A trained model. `find` returns the instances of an RGB picture uint8 (h, w, 3), whose longer side may be at most
    `longest` times the shorter one; `count_below`, how many it has left out since they are not above `score`."""

    trained: TrainedModel
    find: Callable[[np.ndarray], ImageInstances]
    count_below: Callable[[], int]
    score: float
    longest: float = math.inf


def load_predictor(options: argparse.Namespace, device: torch.device) -> Predictor:
    """The predictor of the options of `wsis predict`; InputError if its model or settings cannot be used."""
    system = _own_predictor(load_any_model(options.model)[1].step)
    advised, given = read_advice(options.model, options.settings)
    wanted = choose_score(options.score, given, advised)
    if system:
        if options.short_side is not None:
            raise InputError(f"--short_side is for a Mask R-CNN, and {options.model} is none.")
        settings = merged_settings(system.SETTINGS, {"min_score": wanted}, given, advised)
        lower = settings.model_copy(update={"min_score": min(FLOOR, settings.min_score)})
        return _above(settings.min_score, *system.load_finder(options.model, lower, device))
    trained = read_maskrcnn(options.model)
    settings = inference_settings(trained.settings, options.short_side, wanted, given, advised)
    score = settings.min_score
    lower = settings.model_copy(update={"min_score": min(FLOOR, score)})
    model = load_maskrcnn(trained, lower).to(device).eval()
    left_out = LeftOut(model, score)

    def find(part: np.ndarray) -> ImageInstances:
        return detect(model, [to_tensor(part).to(device)], settings)[0]

    return Predictor(trained, find, lambda: left_out.count, score, model.transform.max_size)


def _own_predictor(step: str) -> ModuleType | None:
    """The module `predictor` of the system whose training is `step`; None if it has none, as with a Mask R-CNN."""
    name = f"wsis_steps.{step.removesuffix('_train')}"
    if not importlib.util.find_spec(name) or not importlib.util.find_spec(f"{name}.predictor"):
        return None
    return pkgutil.resolve_name(f"{name}.predictor")  # by name, since no command knows the systems


def _above(score: float, trained: TrainedModel, find: Callable[[np.ndarray], ImageInstances]) -> Predictor:
    """Leaves out what is not above the score; lower instances suppress no higher ones."""
    below: list[int] = []

    def find_above(part: np.ndarray) -> ImageInstances:
        found = find(part)
        kept = found.scores > score
        below.append(int((~kept).sum()))
        return found.at(np.flatnonzero(kept))

    return Predictor(trained, find_above, lambda: sum(below), score)
