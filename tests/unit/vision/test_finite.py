"""Networks whose weights or outputs are no finite numbers stop with a sentence, instead of finding nothing."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from artifacts import SIZE, provenance, write_images
from torch import nn

from wsis_steps.bestie import infer as bestie_infer
from wsis_steps.bestie.settings import BestieInfer
from wsis_steps.community_learning import infer as community_infer
from wsis_steps.community_learning.inference import Found
from wsis_steps.community_learning.settings import CommunityLearningInfer
from wsis_steps.engine.errors import InputError
from wsis_steps.learning_to_segment import infer as semantic_infer
from wsis_steps.learning_to_segment.settings import LearningToSegmentInfer
from wsis_steps.maskrcnn.detections import detect
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.images import Pictures
from wsis_steps.vision.models import fill, load_any_model, save_model

WORDS = "outputs for an image are not finite numbers"
CPU = torch.device("cpu")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(tmp_path, value):
    network = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    save_model(tmp_path / "model.pt", network, provenance())
    load_any_model(tmp_path / "model.pt")
    with torch.no_grad():
        network[1].weight[0, 1] = value
    save_model(tmp_path / "model.pt", network, provenance())
    with pytest.raises(InputError, match=r"model\.pt holds weights that are not finite numbers \('1.weight'\)"):
        load_any_model(tmp_path / "model.pt")


def test_weights_of_another_network_are_told(tmp_path):
    save_model(tmp_path / "model.pt", nn.Linear(3, 2), provenance())
    trained = load_any_model(tmp_path / "model.pt")[0]
    for other in (nn.Linear(4, 2), nn.Conv2d(3, 2, 1), nn.Sequential(nn.Linear(3, 2))):
        with pytest.raises(InputError, match=r"model\.pt does not fit the network that its settings describe"):
            fill(other, trained)


class Network:
    """Stands for a network: a map of 4 x 4 cells for every picture, one value of which may be odd."""

    backbone = SimpleNamespace(normalize=lambda pictures: pictures.float())

    def __init__(self, value: float, channels: int | dict[str, int]) -> None:
        self.value, self.channels = value, channels

    def __call__(self, pictures):
        if isinstance(self.channels, int):
            return self._map(len(pictures), self.channels)
        return {name: self._map(len(pictures), count) for name, count in self.channels.items()}

    def _map(self, count: int, channels: int) -> torch.Tensor:
        found = torch.zeros(count, channels, 4, 4)
        found[-1, -1, 1, 2] = self.value
        return found


def job(settings) -> SimpleNamespace:
    return SimpleNamespace(settings=settings, threads=1, share=lambda members: members, values={"split": "val"})


@pytest.mark.parametrize("value", [1.0, np.nan])
def test_maps_of_bestie_and_learning_to_segment_are_finite_or_refused(tmp_path, value):
    pictures = Pictures(Images(write_images(tmp_path / "images.h5")))
    network = Network(value, {"semantic": 3, "centers": 1, "offsets": 2})
    steps = [bestie_infer.compute_outputs(job(BestieInfer()), pictures, network, "val", CPU)]
    settings = LearningToSegmentInfer(short_side=SIZE)
    steps += [semantic_infer.compute_probabilities(job(settings), settings, pictures, Network(value, 3), CPU)]
    for outputs in steps:
        if value == 1:
            assert len(list(outputs)) == 2
        else:
            with pytest.raises(InputError, match=WORDS):
                list(outputs)


def test_features_of_a_mask_rcnn_are_finite_or_refused():
    seen = SimpleNamespace(tensors=torch.zeros(1, 3, 8, 8), image_sizes=[(8, 8)])
    features = {"0": torch.zeros(1, 2, 4, 4), "1": torch.full((1, 2, 2, 2), np.nan)}
    model = SimpleNamespace(transform=lambda pictures: (seen, None), backbone=lambda tensors: features)
    with pytest.raises(InputError, match=WORDS):
        detect(model, [torch.zeros(3, 8, 8, dtype=torch.uint8)])


@pytest.mark.parametrize("odd", ["scores", "boxes"])
def test_detections_of_community_learning_are_finite_or_refused(monkeypatch, odd):
    values = {"boxes": torch.tensor([[1.0, 2, 9, 9]]), "categories": torch.tensor([1]), "scores": torch.tensor([0.5])}
    values[odd] = values[odd] * np.nan
    monkeypatch.setattr(community_infer, "make_views", lambda *arguments: [])
    monkeypatch.setattr(community_infer, "detect", lambda *arguments: Found(**values))
    with pytest.raises(InputError, match=WORDS):
        community_infer.find_instances(
            None, torch.zeros(3, 12, 12, dtype=torch.uint8), np.zeros((1, 4)), None, CommunityLearningInfer()
        )
