"""A trained region classifier for pictures without proposals, as `wsis predict` uses it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.settings import known_settings
from wsis_steps.proposals.edge_models import load_edge_finder
from wsis_steps.proposals.mcg.rankers import load_ranker
from wsis_steps.proposals.region_proposals import propose
from wsis_steps.proposals.settings import ProposalsGroupRegions
from wsis_steps.region_classifier.network import load_detector
from wsis_steps.region_classifier.settings import RegionClassifierInfer
from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.models import TrainedModel

SETTINGS = RegionClassifierInfer


def load_finder(
    path: Path, settings: RegionClassifierInfer, device: torch.device
) -> tuple[TrainedModel, Callable[[np.ndarray], ImageInstances]]:
    """The trained model, and a function from an RGB picture uint8 (h, w, 3) to its instances. Proposals are made with
    the settings of those in the training. InputError if those were made elsewhere."""
    trained, detect = load_detector(path, settings, device)
    made = trained.settings.get("grouping")
    if not isinstance(made, dict):
        raise InputError(
            f"{path} was trained on imported proposals, and new images have none; train it with proposals: mcg."
        )
    grouping = known_settings(ProposalsGroupRegions, made, path)
    find_edges, _ = load_edge_finder(grouping.edges, grouping.edge_model)
    ranker, _ = load_ranker(grouping.ranker, grouping.ranker_model, grouping.edges, grouping.mode)
    return trained, lambda picture: detect(picture, propose(picture, grouping, find_edges, ranker))
