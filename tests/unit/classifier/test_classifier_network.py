"""Peak attention, the tag classifier, activation maps and peaks, against hand-made cases and brute force."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn
from torch.nn import functional

from wsis_steps.classifier.network import Classifier, PeakAttention, activation_maps, build_classifier
from wsis_steps.classifier.settings import ClassifierTrain
from wsis_steps.classifier.train import build_loss
from wsis_steps.engine.errors import InputError
from wsis_steps.vision.backbones import build_backbone
from wsis_steps.vision.weights import load_weights


def small_classifier(**settings) -> Classifier:
    torch.manual_seed(0)
    return Classifier(build_backbone("small", 8), 3, ClassifierTrain(head_width=16, **settings))


def masked(features: torch.Tensor, alpha: float) -> torch.Tensor:
    """Peak attention by an explicit loop and a constant 0/1 mask."""
    mask = torch.zeros_like(features)
    for image in range(features.shape[0]):
        for channel in range(features.shape[1]):
            peak = max(0.0, features[image, channel].max().item())
            for row, values in enumerate(features[image, channel].tolist()):
                for column, value in enumerate(values):
                    mask[image, channel, row, column] = float(value > 0 and value >= peak * alpha)
    return features * mask


# --- peak attention


def test_peak_attention_of_a_case_worked_out_by_hand():
    features = torch.tensor([[[[4.0, 2.0], [1.9, -3.0]], [[1.0, 0.4], [0.5, 0.0]]]])
    expected = torch.tensor([[[[4.0, 2.0], [0.0, 0.0]], [[1.0, 0.0], [0.5, 0.0]]]])
    assert torch.equal(PeakAttention(0.5)(features), expected)


def test_peaks_are_taken_per_image_and_channel():
    features = torch.tensor([100.0, 1.0, 0.6, 0.4]).reshape(4, 1, 1, 1).expand(4, 2, 1, 1)
    assert torch.equal(PeakAttention(0.7)(features), features)


@pytest.mark.parametrize(("alpha", "kept"), [(0.0, 3), (1.0, 1)])
def test_extremes_of_alpha_are_relu_and_peak_alone(alpha, kept):
    features = torch.tensor([[[[3.0, 2.0, 1.0, -1.0]]]])
    assert (PeakAttention(alpha)(features) > 0).sum() == kept


def test_a_channel_without_positive_values_becomes_zero_without_nan():
    features = -torch.rand(2, 3, 4, 4)
    assert torch.equal(PeakAttention(0.7)(features), torch.zeros(2, 3, 4, 4))


@settings(max_examples=30, deadline=None)
@given(
    arrays.arrays(np.float32, (2, 2, 3, 4), elements=st.floats(-2, 2, width=16)),
    st.sampled_from([0.25, 0.5, 1]),
)
def test_values_and_gradients_are_those_of_a_constant_mask(values, alpha):
    features, same = (torch.tensor(values, requires_grad=True) for _ in range(2))
    upstream = torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(1))
    result, expected = PeakAttention(alpha)(features), masked(same, alpha)
    (result * upstream).sum().backward()
    (expected * upstream).sum().backward()
    assert torch.equal(result, expected)
    # at exactly 0 the slope of ReLU is a matter of taste
    torch.testing.assert_close(features.grad[same != 0], same.grad[same != 0])


def test_gradients_are_the_finite_differences_away_from_ties():
    torch.manual_seed(3)
    features = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    ratio = features / features.amax(dim=(2, 3), keepdim=True)
    assert (ratio - 0.5).abs().min() > 1e-3 and features.abs().min() > 1e-3
    assert torch.autograd.gradcheck(PeakAttention(0.5), (features,), eps=1e-7)


def test_alpha_out_of_range_is_refused():
    with pytest.raises(InputError, match="alpha"):
        PeakAttention(1.5)


# --- classifier


def test_logits_are_the_means_of_the_activation_maps():
    logits, maps = small_classifier().eval()(torch.randn(2, 3, 48, 64))
    assert maps.shape == (2, 3, 6, 8)
    torch.testing.assert_close(logits, maps.mean(dim=(2, 3)))
    assert (maps < 0).any()


def test_head_is_that_of_the_released_code():
    head = Classifier(build_backbone("vgg16", 8), 20, ClassifierTrain()).head
    convolutions = [m for m in head if isinstance(m, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size) for c in convolutions] == [
        (512, 512, (3, 3)),
        (512, 512, (3, 3)),
        (512, 512, (3, 3)),
        (512, 20, (1, 1)),
    ]
    assert [type(m) for m in head] == [nn.Conv2d, PeakAttention] * 3 + [nn.Conv2d]
    for convolution in convolutions:
        expected = math.sqrt(2 / (convolution.kernel_size[0] ** 2 * convolution.out_channels))
        assert convolution.weight.std().item() == pytest.approx(expected, rel=0.02)
        assert not convolution.bias.any()


def test_head_has_batch_norm_before_each_attention_where_the_backbone_has_it():
    head = small_classifier().head
    assert [type(m) for m in head] == [nn.Conv2d, nn.BatchNorm2d, PeakAttention] * 3 + [nn.Conv2d]


def test_attention_none_is_an_ordinary_classifier():
    model = small_classifier(attention="none", attention_layers=(4, 6))
    assert not any(isinstance(m, PeakAttention) for m in model.modules())


def test_attention_goes_into_the_groups_asked_for_and_nowhere_else():
    backbone = build_backbone("vgg16", 8)
    Classifier(backbone, 2, ClassifierTrain(attention_layers=(4, 5), head_width=8))
    attended = [int(name) for name, m in backbone.features.named_children() if isinstance(m, PeakAttention)]
    assert attended == [18, 20, 22, 25, 27, 29]  # the ReLUs of conv4_x and conv5_x


@pytest.mark.parametrize(("name", "group"), [("small", 5), ("mobilenet_v2", 4)])
def test_attention_in_a_group_that_the_backbone_lacks_is_refused(name, group):
    with pytest.raises(InputError, match=f"no layer group {group}"):
        Classifier(build_backbone(name), 2, ClassifierTrain(attention_layers=(group, 6)))


def test_every_parameter_is_in_one_group_with_its_factor():
    model = small_classifier()
    groups = model.parameter_groups(0.01, 10)
    assert [g["lr"] for g in groups] == pytest.approx([0.01, 0.02, 0.1, 0.2])
    grouped = [id(p) for g in groups for p in g["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())
    names = {id(p): n for n, p in model.named_parameters()}
    assert all(names[id(p)].endswith("bias") == (i % 2 == 1) for i, g in enumerate(groups) for p in g["params"])
    assert all(names[id(p)].startswith("head") == (i > 1) for i, g in enumerate(groups) for p in g["params"])


def test_a_saved_classifier_gives_its_backbone_to_the_next_network(tmp_path):
    model = small_classifier()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    backbone = build_backbone("small")
    load_weights(backbone, str(tmp_path / "model.pt"))
    assert torch.equal(backbone.features[0][0].weight, model.backbone.features[0][0].weight)


def test_the_small_classifier_learns_colors_in_a_few_steps():
    torch.manual_seed(0)
    model = Classifier(build_backbone("small", 8), 3, ClassifierTrain(head_width=32))
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    tags = torch.eye(3).repeat(4, 1)
    images = 0.3 * torch.randn(12, 3, 32, 32)
    images[:, :, 8:20, 8:20] += tags[:, :, None, None]
    first = None
    for _ in range(25):
        loss = functional.multilabel_soft_margin_loss(model(images)[0], tags)
        first = first or loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3 * first


# --- activation maps


class Fixed(nn.Module):
    """A stand-in for a classifier: a pointwise function of the image, at half its size."""

    def forward(self, images: torch.Tensor) -> tuple[None, torch.Tensor]:
        maps = functional.avg_pool2d(images, 2)
        return None, torch.cat([maps[:, :1], -maps[:, :1], maps[:, 1:2] * 100], dim=1)


def test_activation_maps_are_one_at_the_peak_and_zero_without_the_tag():
    images = torch.randn(2, 3, 16, 24)
    tags = torch.tensor([[1, 0, 1], [0, 1, 0]])
    maps = activation_maps(Fixed(), images, tags, scales=(1.0,), flip=False)
    assert maps.shape == (2, 3, 16, 24)
    peaks = maps.amax(dim=(2, 3))
    torch.testing.assert_close(peaks, tags.float(), rtol=0, atol=1e-3)
    assert (maps >= 0).all()


def test_activation_maps_follow_the_formula():
    images = torch.randn(1, 3, 16, 24)
    tags = torch.tensor([[1, 0, 0]])
    maps = []
    for flipped in (False, True):
        raw = Fixed()(images.flip(-1) if flipped else images)[1][:, :1]
        raw = (raw.flip(-1) if flipped else raw).relu()
        big = functional.interpolate(raw, (33, 40), mode="bilinear", align_corners=False)
        maps.append(big / (big.max() + 1e-5))
    result = activation_maps(Fixed(), images, tags, scales=(1.0,), flip=True, size=(33, 40))
    torch.testing.assert_close(result[:, :1], (maps[0] + maps[1]) / 2)


def test_activation_maps_of_a_mirrored_image_are_mirrored():
    model = small_classifier().eval()
    images, tags = torch.randn(2, 3, 32, 32), torch.ones(2, 3)
    maps, turned = (activation_maps(model, seen, tags, scales=(1.0,), flip=True) for seen in (images, images.flip(-1)))
    torch.testing.assert_close(turned, maps.flip(-1), rtol=1e-4, atol=1e-5)


def test_several_scales_are_summed_and_normalized_again():
    images, tags = torch.randn(2, 3, 16, 16), torch.ones(2, 3)
    single = [activation_maps(Fixed(), images, tags, (s,), flip=False, size=(16, 16)) for s in (1.0, 0.5)]
    both = activation_maps(Fixed(), images, tags, (1.0, 0.5), flip=False, size=(16, 16))
    total = single[0] + single[1]
    torch.testing.assert_close(both, total / (total.amax(dim=(2, 3), keepdim=True) + 1e-5))


def test_images_without_tags_give_zeros():
    assert not activation_maps(Fixed(), torch.randn(2, 3, 8, 8), torch.zeros(2, 3), (1.0,), flip=True).any()


@pytest.mark.parametrize(
    ("ramp", "iteration", "expected"), [(0, 1, 0.5), (0.5, 1, 0.1), (0.5, 4, 0.4), (0.5, 5, 0.5), (1, 10, 0.5)]
)
def test_alpha_grows_to_its_value(ramp, iteration, expected):
    chosen = ClassifierTrain(weights="none", alpha=0.5, alpha_ramp=ramp, attention_layers=(4, 5, 6), head_width=8)
    model, loss = build_classifier(chosen, class_count=2), build_loss(chosen, iterations=10)
    loss(model, [torch.zeros(1, 3, 32, 32, dtype=torch.uint8), torch.zeros(1, 2)], iteration)
    alphas = [module.alpha for module in model.modules() if isinstance(module, PeakAttention)]
    assert len(alphas) == 9 and alphas == [pytest.approx(expected)] * 9
