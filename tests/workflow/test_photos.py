"""Real photographs with true masks and real ImageNet weights, where they lie beside the checkout."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from calls import call
from PIL import Image

from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances

ROOT = Path(__file__).parents[2]
PHOTOS = ROOT.parent / "shared/data/photos"
WEIGHTS = ROOT.parent / "shared/data/weights"
SETTINGS = yaml.safe_load((ROOT / "tests/photos.yaml").read_text())["steps"]

pytestmark = pytest.mark.skipif(not PHOTOS.is_dir(), reason=f"no photographs in {PHOTOS}")


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    outputs = {name: folder / f"{name}.h5" for name in ("images", "instances_train", "instances_val")}
    settings = {**SETTINGS["data_import_dataset"], "root": str(PHOTOS)}
    outcome = call("data.import_dataset", settings, **outputs, summary=folder / "summary.json")
    assert outcome.status == 0, outcome.errors
    return folder


def test_every_photo_and_every_mask_arrives(imported):
    images = Images(imported / "images.h5")
    assert len(images.class_names) == 20
    for split in ("train", "val"):
        listed = (PHOTOS / f"ImageSets/Segmentation/{split}.txt").read_text().split()
        assert [images.ids[i] for i in images.members(split)] == listed
        truth = Instances(imported / f"instances_{split}.h5")
        for identity, instances in zip(truth.ids, truth, strict=True):
            drawn = np.asarray(Image.open(PHOTOS / f"SegmentationObject/{identity}.png"))
            values, pixels = np.unique(drawn[(drawn > 0) & (drawn < 255)], return_counts=True)
            assert len(instances) == len(values)
            assert sorted(instances.areas) == sorted(pixels)


def test_a_classifier_starts_from_the_real_weights(imported, monkeypatch):
    if not WEIGHTS.is_dir():
        pytest.skip(f"no weights in {WEIGHTS}")
    monkeypatch.setenv("WSIS_WEIGHTS", str(WEIGHTS))
    settings = {**SETTINGS["classifier_train"], "epochs": 1, "resize": 64, "crop": 64, "learning_rate": 1e-9}
    model, metrics = imported / "model.pt", imported / "metrics.jsonl"
    outcome = call("classifier.train", settings, images=imported / "images.h5", model=model, metrics=metrics)
    assert outcome.status == 0, outcome.errors
    trained = torch.load(model, weights_only=True)["model"]
    given = torch.load(WEIGHTS / "mobilenet_v2_imagenet.pth", weights_only=True)
    assert torch.allclose(trained["backbone.features.0.0.weight"], given["features.0.0.weight"], atol=1e-6)
    assert torch.allclose(trained["backbone.mean"], torch.full((3,), 128 / 255))
    losses = [json.loads(line)["total"] for line in metrics.read_text().splitlines()]
    assert losses
    assert np.isfinite(losses).all()
