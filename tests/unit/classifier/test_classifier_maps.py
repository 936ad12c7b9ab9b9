"""How classifier_infer makes its maps: peak attention at inference, and the mean over quarter turns."""

import pytest
import torch

from wsis_steps.classifier.infer import make_maps
from wsis_steps.classifier.network import activation_maps, build_classifier
from wsis_steps.classifier.settings import ClassifierInfer, ClassifierTrain

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


def test_peak_attention_can_be_left_out_at_inference():
    """What is left is an ordinary classifier of the same weights."""
    attended, ordinary = classifier(alpha=0.7), classifier(attention="none")
    with torch.no_grad():
        before = make_maps(attended, pictures(), TAGS, ClassifierInfer())
        attended.set_alpha(0.0)
        after = make_maps(attended, pictures(), TAGS, ClassifierInfer())
        expected = make_maps(ordinary, pictures(), TAGS, ClassifierInfer())
    assert torch.equal(after, expected) and not torch.allclose(before, expected)
