"""What becomes of pretrained weights: with the normalization that they were trained with they compute what they did."""

import hashlib
import logging
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from pydantic import ValidationError
from torch import Tensor, nn

from wsis_steps.community_learning.features import Features
from wsis_steps.community_learning.settings import CommunityLearningTrain
from wsis_steps.engine.errors import InputError
from wsis_steps.vision import weights as door
from wsis_steps.vision.backbones import build_backbone
from wsis_steps.vision.weights import imagenet_path, load_weights

SHARED = Path(__file__).parents[4] / "shared/data"
PHOTOS, REAL_WEIGHTS = SHARED / "photos/JPEGImages", SHARED / "weights"


def random_timm(tmp_path: Path) -> tuple[nn.Module, Path]:
    """timm's ResNet-50 with group normalization, all of it random, and its file."""
    torch.manual_seed(0)
    whole = timm.create_model("resnet50_gn", pretrained=False).eval()
    with torch.no_grad():
        for parameter in whole.parameters():  # scale and shift start at 1 and 0, which would hide where they go
            parameter.add_(0.05 * torch.randn_like(parameter))
    torch.save(whole.state_dict(), tmp_path / "file.pth")
    return whole, tmp_path / "file.pth"


def test_weights_with_group_normalization_load_unchanged(tmp_path, caplog):
    whole, path = random_timm(tmp_path)
    pictures = torch.randn(1, 3, 64, 96)
    with caplog.at_level(logging.INFO):
        features = Features("resnet50_gn", str(path), "imagenet", "group", "align").eval()
    assert "has no batch normalization" in caplog.text
    whole_backbone = build_backbone("resnet50_gn").eval()
    load_weights(whole_backbone, str(path))
    with torch.no_grad():
        expected = whole.forward_intermediates(pictures, intermediates_only=True)[-4:]
        found = [*features(pictures), whole_backbone(pictures)[-1]]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    reference = whole.state_dict()
    own = {key: value for key, value in features.backbone.state_dict().items() if key not in ("mean", "std")}
    assert own.keys() == {key for key in reference if not key.startswith("fc.")}
    assert all(torch.equal(value, reference[key]) for key, value in own.items())


def test_the_published_file_is_told_from_others(tmp_path, monkeypatch, caplog):
    _, path = random_timm(tmp_path)
    monkeypatch.setenv("WSIS_WEIGHTS", str(tmp_path))
    with pytest.raises(InputError, match=r"resnet50_gn_a1h2-8fe6c4d0\.pth or .*timm/resnet50_gn\.a1h_in1k and save"):
        imagenet_path("resnet50_gn")
    path.rename(tmp_path / "resnet50_gn_imagenet.pth")
    with caplog.at_level(logging.INFO):
        load_weights(build_backbone("resnet50_gn"), "imagenet")
    digits = hashlib.sha256(imagenet_path("resnet50_gn").read_bytes()).hexdigest()[:8]
    assert f"which is not the published file (SHA-256 {digits}, not 8fe6c4d0)" in caplog.text
    monkeypatch.setattr(door, "_source", lambda entry: f"https://somewhere/resnet50_gn-{digits}.pth")
    with caplog.at_level(logging.INFO):
        load_weights(build_backbone("resnet50_gn"), "imagenet")
    assert f"the published file (SHA-256 {digits})" in caplog.text


def test_weights_for_batch_normalization_are_not_used_without_their_statistics(tmp_path):
    path = tmp_path / "file.pth"
    torch.save(build_backbone("small").state_dict(), path)
    with pytest.raises(InputError, match=r"statistics would be lost with norm: group; use norm: frozen"):
        Features("small", str(path), "imagenet", "group", "align")
    for weights in ("imagenet", "classifier"):
        with pytest.raises(ValidationError, match="use norm: frozen, or backbone: resnet50_gn"):
            CommunityLearningTrain(backbone="resnet50", weights=weights)
        CommunityLearningTrain(backbone="resnet50", norm="frozen", weights=weights)


@pytest.fixture(scope="module")
def photographs() -> Tensor:
    """48 photographs as the classifier wants them: float (48, 3, 224, 224) in 0 to 255."""
    if not (PHOTOS.is_dir() and REAL_WEIGHTS.is_dir()):
        pytest.skip(f"no photographs in {PHOTOS}, or no weights in {REAL_WEIGHTS}")
    pictures = []
    for path in sorted(PHOTOS.glob("*.jpg"))[:48]:
        picture = Image.open(path).convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
        pictures.append(torch.from_numpy(np.array(picture)).permute(2, 0, 1).float())
    return torch.stack(pictures)


def test_published_weights_for_batch_normalization_are_refused_with_group_normalization(monkeypatch):
    if not (REAL_WEIGHTS / "mobilenet_v2_imagenet.pth").is_file():
        pytest.skip(f"no weights in {REAL_WEIGHTS}")
    monkeypatch.setenv("WSIS_WEIGHTS", str(REAL_WEIGHTS))
    with pytest.raises(InputError, match=r"mobilenet_v2_imagenet\.pth .* statistics would be lost with norm: group"):
        Features("mobilenet_v2", "imagenet", "half", "group", "align")


def test_what_starts_a_training_gives_the_answers_of_its_weights_on_photographs(photographs, monkeypatch):
    monkeypatch.setenv("WSIS_WEIGHTS", str(REAL_WEIGHTS))
    classifier = torchvision.models.mobilenet_v2(weights=None).eval()
    classifier.load_state_dict(torch.load(REAL_WEIGHTS / "mobilenet_v2_imagenet.pth", weights_only=True))
    backbone = Features("mobilenet_v2", "imagenet", "half", "frozen", "align").eval().backbone
    reference = dict(classifier.named_modules())
    for name, module in backbone.named_modules():  # the last level has lost its stride, which the classifier had
        if isinstance(module, nn.Conv2d):
            module.stride = reference[name].stride
    with torch.no_grad():
        pictures = backbone.normalize(photographs)
        answers = classifier.classifier(backbone(pictures)[-1].mean(dim=(2, 3)))
        expected = classifier(pictures)
    assert (answers.argmax(dim=1) == expected.argmax(dim=1)).float().mean() >= 0.9
