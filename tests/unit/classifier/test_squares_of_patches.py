"""The squares that classifier_infer shows a network: of whole patches for a vision transformer, exact for others."""

import pytest
import torch
from calls import call
from frozen import write_pictures
from tiny_settings import CLASSIFIER
from torch.nn import functional

from wsis_steps.classifier.network import Classifier, activation_maps

TRANSFORMER = {"backbone": "timm/test_vit", "output_stride": "own"}  # patches of 16 pixels


@pytest.mark.parametrize(("changes", "seen"), [({}, {43, 73}), (TRANSFORMER, {48, 80})])
def test_a_vision_transformer_sees_whole_patches(tmp_path, monkeypatch, changes, seen):
    write_pictures(tmp_path / "images.h5")
    files = {"images": tmp_path / "images.h5", "model": tmp_path / "model.pt"}
    done = call("classifier.train", {**CLASSIFIER, **changes, "epochs": 1}, **files, metrics=tmp_path / "metrics.jsonl")
    assert done.status == 0, done.errors
    sizes, forward = set(), Classifier.forward

    def spy(self, images):
        sizes.add(tuple(images.shape[2:]))
        return forward(self, images)

    monkeypatch.setattr(Classifier, "forward", spy)
    done = call("classifier.infer", {"size": 43, "scales": [1.0, 1.7]}, **files, maps=tmp_path / "maps.h5")
    assert done.status == 0, done.errors
    assert sizes == {(side, side) for side in seen}


class Brightness(torch.nn.Module):
    """The mean of each patch, where patches reach beyond the picture of what is filled in there (0)."""

    def forward(self, images: torch.Tensor) -> tuple[None, torch.Tensor]:
        filled = functional.pad(images[:, :1], (0, -images.shape[3] % 16, 0, -images.shape[2] % 16))
        return None, functional.avg_pool2d(filled, 16)


def test_a_map_of_whole_patches_lies_where_the_picture_is_bright():
    """At a scale that leaves a part of a patch over, what is at the far edge comes to lie nearly a patch away."""
    picture = torch.zeros(1, 3, 320, 320)
    picture[:, :, :, 288:] = 1  # the last two patches
    middles = []
    for multiple in (1, 16):
        scaled = activation_maps(Brightness(), picture, torch.ones(1, 1), (1.053,), flip=False, multiple=multiple)[0, 0]
        columns = scaled.mean(dim=0)
        middles.append(float((columns * torch.arange(320)).sum() / columns.sum()))
    assert abs(middles[1] - 303.5) < 4 < abs(middles[0] - 303.5)
