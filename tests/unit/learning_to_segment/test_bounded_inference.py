"""Memory and disk of inference: pixels of a batch, and chunks of the stored maps, whatever the largest image is."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from artifacts import CLASSES, png, provenance
from calls import call
from tiny_settings import LEARNING_TO_SEGMENT

from wsis_steps.learning_to_segment import infer
from wsis_steps.learning_to_segment.network import build_semantic_network
from wsis_steps.learning_to_segment.settings import LearningToSegmentTrain
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Annotation, Images, ImagesWriter
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.models import save_model

SIZES = [(40, 50)] * 9 + [(700, 1300)] + [(40, 50)] * 3


@pytest.fixture
def inputs(tmp_path):
    """Images, one of them large, and a network that nobody trained."""
    rng = np.random.default_rng(0)
    with create(tmp_path / "images.h5", Images.schema, provenance(supervision=())) as file:
        writer = ImagesWriter(file)
        for k, (height, width) in enumerate(SIZES):
            annotation = Annotation(np.array([k % 2]), np.zeros((0, 3), np.float32), np.zeros((0, 5), np.float32))
            pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            writer.add(f"image{k}", "val", png(pixels), height, width, annotation)
        writer.close()
    settings = LearningToSegmentTrain(**LEARNING_TO_SEGMENT)
    torch.manual_seed(0)
    made = replace(provenance(step="learning_to_segment_train"), settings=settings.model_dump_json())
    save_model(tmp_path / "model.pt", build_semantic_network(settings, len(CLASSES)), made)
    return {"images": tmp_path / "images.h5", "model": tmp_path / "model.pt"}


@pytest.fixture
def batches(monkeypatch):
    """The shapes of the batches that the network is given; it answers with background."""
    shapes = []

    def predict(model, pictures, flip):
        shapes.append(tuple(pictures.shape))
        coarse = torch.zeros(len(pictures), 1 + len(CLASSES), 10, 10)
        coarse[:, 0] = 1
        return coarse

    monkeypatch.setattr(infer, "predict", predict)
    return shapes


@pytest.mark.parametrize(
    ("settings", "counts"),
    [
        ({"short_side": 0}, [8, 1, 1, 3]),  # the images' own sizes: the large one is alone, as it is of another size
        ({"size": 700}, [8, 5]),  # 8 x 700 x 700 are 3.9 million
        ({"size": 1024}, [4, 4, 4, 1]),  # 4 x 1024 x 1024 are PIXELS
        ({"size": 1030}, [2] * 6 + [1]),
        ({"size": 2100}, [1] * 13),
    ],
)
def test_a_batch_has_at_most_so_many_pixels_or_one_picture(inputs, batches, tmp_path, settings, counts):
    assert call("learning_to_segment.infer", settings, **inputs, split="val", semantic=tmp_path / "maps.h5").status == 0
    assert [shape[0] for shape in batches] == counts and infer.PIXELS == 2**22 and infer.BATCH == 8
    assert all(count == 1 or count * height * width <= infer.PIXELS for count, _, height, width in batches)


def test_maps_are_stored_in_chunks_smaller_than_the_largest_image(inputs, batches, tmp_path):
    path = tmp_path / "maps.h5"
    assert call("learning_to_segment.infer", {"short_side": 0}, **inputs, split="val", semantic=path).status == 0
    with h5py.File(path) as file:
        assert file["maps"].shape == (13, 700, 1300) and file["maps"].chunks == (1, 512, 512)
    assert [Maps(path).semantic(i).shape for i in range(len(SIZES))] == SIZES
