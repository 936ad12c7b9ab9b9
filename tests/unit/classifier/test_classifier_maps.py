"""How classifier_infer makes its maps: peak attention at inference, and the mean over quarter turns."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from artifacts import CLASSES, SIZE, provenance, write_images
from calls import call

from wsis_steps.classifier.infer import make_maps
from wsis_steps.classifier.network import activation_maps, build_classifier
from wsis_steps.classifier.settings import ClassifierInfer, ClassifierTrain
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.models import save_model

TAGS = torch.tensor([[1, 1, 0]])


def classifier(**settings):
    torch.manual_seed(0)
    return build_classifier(ClassifierTrain(backbone="small", head_width=16, **settings), 3).eval()


def pictures():
    return torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("flip", [False, True])
def test_maps_of_a_turned_picture_are_turned(flip):
    model, settings = classifier(), ClassifierInfer(rot90=True, flip=flip)
    with torch.no_grad():
        straight = make_maps(model, pictures(), TAGS, settings)
        turned = make_maps(model, pictures().rot90(1, (2, 3)), TAGS, settings)
        plain = make_maps(model, pictures(), TAGS, ClassifierInfer(flip=flip))
        plain_turned = make_maps(model, pictures().rot90(1, (2, 3)), TAGS, ClassifierInfer(flip=flip))
    torch.testing.assert_close(turned, straight.rot90(1, (2, 3)), atol=1e-5, rtol=0)
    assert not torch.allclose(plain_turned, plain.rot90(1, (2, 3)), atol=1e-2)
    assert not straight[0, 2].any() and 0 < straight.max() <= 1


def test_without_turns_maps_are_those_of_the_released_code():
    model = classifier()
    with torch.no_grad():
        expected = activation_maps(model, pictures(), TAGS, (1.0, 1.5), True)
        made = make_maps(model, pictures(), TAGS, ClassifierInfer(scales=(1.0, 1.5)))
    assert torch.equal(made, expected)


@pytest.fixture
def stored(tmp_path):
    """Maps that the step stores of a classifier with these settings, by the step's own."""
    write_images(tmp_path / "images.h5", train=2, val=0)

    def infer(chosen, **inference):
        torch.manual_seed(0)
        settings = ClassifierTrain(backbone="small", head_width=8, **chosen)
        made = replace(provenance(step="classifier_train"), settings=settings.model_dump_json())
        save_model(tmp_path / "model.pt", build_classifier(settings, len(CLASSES)), made)
        out = tmp_path / f"{len(list(tmp_path.iterdir()))}.h5"
        paths = {"images": tmp_path / "images.h5", "model": tmp_path / "model.pt", "maps": out}
        assert call("classifier.infer", {"size": SIZE, "stride": 1, **inference}, **paths).status == 0
        return np.stack([Maps(out).read(i)[0][0] for i in range(2)])

    return infer


def test_peak_attention_can_be_left_out_at_inference(stored):
    """What is left is an ordinary classifier of the same weights."""
    ordinary = stored({"attention": "none"})
    assert np.array_equal(stored({"alpha": 0.7}, alpha=0), ordinary)
    assert not np.allclose(stored({"alpha": 0.7}), ordinary, atol=0.05)
