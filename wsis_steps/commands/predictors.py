"""The models that `wsis predict` takes, with one interface: from a picture to its instances."""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from wsis_steps.commands.advice import choose_score, inference_settings, merged_settings, read_advice
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.settings import known_settings
from wsis_steps.maskrcnn.detections import detect
from wsis_steps.maskrcnn.left_out import FLOOR, LeftOut
from wsis_steps.maskrcnn.network import load_maskrcnn, read_maskrcnn
from wsis_steps.proposals.settings import ProposalsGroupRegions
from wsis_steps.region_classifier.network import is_region_classifier, load_detector
from wsis_steps.region_classifier.settings import RegionClassifierInfer
from wsis_steps.vision.batches import to_tensor
from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.models import TrainedModel, load_any_model


@dataclass(frozen=True)
class Predictor:
    """A trained model. `find` returns the instances of an RGB picture uint8 (h, w, 3), whose longer side may be at most
    `longest` times the shorter one; `count_below`, how many it has left out since they are below `score`."""

    trained: TrainedModel
    find: Callable[[np.ndarray], ImageInstances]
    count_below: Callable[[], int]
    score: float
    longest: float = math.inf


def load_predictor(options: argparse.Namespace, device: torch.device) -> Predictor:
    """The predictor of the options of `wsis predict`; InputError if its model or settings cannot be used."""
    of_regions = is_region_classifier(load_any_model(options.model)[1])
    advised, given = read_advice(options.model, options.settings)
    score = choose_score(options.score, given, advised)
    if not of_regions:
        trained = read_maskrcnn(options.model)
        settings = inference_settings(trained.settings, options.short_side, score, given, advised)
        lower = settings.model_copy(update={"min_score": min(FLOOR, score)})
        model = load_maskrcnn(trained, lower).to(device).eval()
        left_out = LeftOut(model, score)

        def find(part: np.ndarray) -> ImageInstances:
            return detect(model, [to_tensor(part).to(device)], settings)[0]

        return Predictor(trained, find, lambda: left_out.count, score, model.transform.max_size)
    if options.short_side is not None:
        raise InputError(f"--short_side is for a Mask R-CNN; {options.model} classifies regions at fixed sizes.")
    settings = merged_settings(RegionClassifierInfer, {"min_score": min(FLOOR, score)}, given, advised)
    trained, classify = load_detector(options.model, settings, device)
    propose, below = _proposer(trained), []

    def find_regions(part: np.ndarray) -> ImageInstances:
        found = classify(part, propose(part))
        kept = found.scores >= score  # lower ones suppress no higher ones
        below.append(int((~kept).sum()))
        return found.at(np.flatnonzero(kept))

    return Predictor(trained, find_regions, lambda: sum(below), score)


def _proposer(trained: TrainedModel) -> Callable[[np.ndarray], object]:
    """A function that makes the region proposals of a picture as the training's were made."""
    made = trained.settings.get("grouping")
    if not isinstance(made, dict):
        raise InputError(
            f"{trained.path} was trained on imported proposals, and new images have none; train it with proposals: mcg."
        )
    from wsis_steps.proposals.edge_models import load_edge_finder  # higra and numba, which Mask R-CNN does not need
    from wsis_steps.proposals.mcg.rankers import load_ranker
    from wsis_steps.proposals.region_proposals import propose

    settings = known_settings(ProposalsGroupRegions, made, trained.path)
    find_edges, _ = load_edge_finder(settings.edges, settings.edge_model)
    ranker, _ = load_ranker(settings.ranker, settings.ranker_model, settings.edges, settings.mode)
    return lambda picture: propose(picture, settings, find_edges, ranker)
