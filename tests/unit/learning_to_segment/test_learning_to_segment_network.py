"""The segmentation network: shapes, alignment, the layers of figure 2, and the groups for the optimizer."""

import functools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from wsis_steps.engine.errors import InputError
from wsis_steps.learning_to_segment.network import SemanticNetwork, build_semantic_network
from wsis_steps.learning_to_segment.settings import LearningToSegmentTrain
from wsis_steps.vision.backbones import build_backbone

NAMES = ["vgg16", "resnet50", "mobilenet_v2", "small"]


def settings(backbone: str = "small", **changes) -> LearningToSegmentTrain:
    return LearningToSegmentTrain(**{"backbone": backbone, "skip_width": 32, "decoder_width": 64} | changes)


@functools.cache
def network(name: str) -> SemanticNetwork:
    torch.manual_seed(0)
    return build_semantic_network(settings(name), 3)


def pictures(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def logits(name: str, images: torch.Tensor) -> torch.Tensor:
    return network(name).eval()(images)


# --- shapes


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(64, 96), (45, 71), (3, 33)])
def test_logits_are_at_a_quarter_of_any_size(name, size):
    assert logits(name, torch.zeros(2, 3, *size)).shape == (2, 4, math.ceil(size[0] / 4), math.ceil(size[1] / 4))


@pytest.mark.parametrize("name", NAMES)
def test_sizes_that_do_not_divide_are_filled_up_with_the_mean_color(name):
    images, full = pictures(1, 3, 50, 85), torch.zeros(1, 3, 64, 96)
    full[..., :50, :85] = images
    assert torch.equal(logits(name, images), logits(name, full)[..., :13, :22])


def test_the_papers_network_joins_conv5_3_conv4_3_and_conv3_3():
    torch.manual_seed(0)
    made = SemanticNetwork(build_backbone("vgg16"), 20, LearningToSegmentTrain()).eval()
    seen = []
    for skip in made.skips:
        skip.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = pictures(1, 3, 224, 224)
    with torch.no_grad():
        assert made(images).shape == (1, 21, 56, 56)
        x, expected = images, {}
        convolutions = iter([m for m in made.backbone.modules() if isinstance(m, nn.Conv2d)])
        for block, length in enumerate((2, 2, 3, 3, 3), start=1):
            for place in range(1, length + 1):
                layer = next(convolutions)
                x = expected[f"conv{block}_{place}"] = F.conv2d(x, layer.weight, layer.bias, padding=1).clamp(min=0)
            x = F.max_pool2d(x, 2)
    assert next(convolutions, None) is None
    assert [tuple(level.shape[1:]) for level in seen] == [(512, 14, 14), (512, 28, 28), (256, 56, 56)]
    for level, name in zip(seen, ("conv5_3", "conv4_3", "conv3_3"), strict=True):
        torch.testing.assert_close(level, expected[name])


def test_default_widths_are_those_of_the_documented_network():
    made = SemanticNetwork(build_backbone("vgg16"), 20, LearningToSegmentTrain())
    layers = [m for part in (made.skips, made.steps, made.head) for m in part.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels, m.kernel_size[0]) for m in layers] == [
        *((512, 128, 1), (512, 128, 1), (256, 128, 1)),
        *((128, 256, 3), (256, 256, 3)),
        *((384, 256, 3), (256, 256, 3)) * 2,
        (256, 21, 1),
    ]


@pytest.mark.parametrize(("name", "steps"), [("vgg16", 3), ("resnet50", 4), ("mobilenet_v2", 4), ("small", 3)])
def test_every_level_from_stride_4_on_has_a_step(name, steps):
    made = network(name)
    assert len(made.steps) == len(made.skips) == steps == sum(stride >= 4 for stride in made.backbone.strides)


def test_the_small_network_is_small():
    decoder, backbone = (
        sum(p.numel() for p in group["params"]) for group in reversed(network("small").parameter_groups(1, 10))
    )
    assert decoder < backbone / 2


def test_a_step_sees_the_map_before_doubled_bilinearly_and_the_level_beside_it():
    made, seen = network("small").eval(), {}
    parts = {"coarse": made.steps[0], "skip": made.skips[1], "joined": made.steps[1]}
    handles = [
        part.register_forward_hook(lambda _, inputs, output, key=key: seen.update({key: (inputs[0], output)}))
        for key, part in parts.items()
    ]
    logits("small", pictures(1, 3, 64, 96))
    for handle in handles:
        handle.remove()

    def doubling(size: int) -> torch.Tensor:
        """Cell i of the doubled map lies at i / 2 - 1/4 of the map before; beyond the border the last cell counts."""
        matrix = torch.zeros(2 * size, size)
        for i in range(2 * size):
            place = i / 2 - 0.25
            for cell, weight in ((math.floor(place), 1 - place % 1), (math.floor(place) + 1, place % 1)):
                matrix[i, min(max(cell, 0), size - 1)] += weight
        return matrix

    coarse, joined = seen["coarse"][1], seen["joined"][0]
    expected = doubling(4) @ coarse @ doubling(6).T
    torch.testing.assert_close(joined, torch.cat([expected, seen["skip"][1]], dim=1), rtol=1e-4, atol=1e-5)


# --- what a cell sees


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_does_not_depend_on_the_others_in_evaluation(name):
    images = pictures(3, 3, 64, 64)
    alone, others = logits(name, images[:1]), logits(name, torch.cat([images[:1], 100 * images[1:]]))
    torch.testing.assert_close(others[:1], alone, rtol=1e-4, atol=1e-5 * float(alone.abs().max()))


@pytest.mark.parametrize("axis", [-1, -2])
@pytest.mark.parametrize(("name", "pixels"), [("vgg16", 16), ("resnet50", 32), ("mobilenet_v2", 32), ("small", 16)])
def test_a_translated_image_has_translated_logits(name, pixels, axis):
    # a strip is enough, as its other two borders do not move
    strip = pictures(1, 3, 32, 768).movedim(-1, axis)
    still, moved = logits(name, strip), logits(name, strip.roll(pixels, axis))
    middle = still.roll(pixels // 4, axis).narrow(axis, 72, 48)
    scale = float(middle.std())
    assert (moved.narrow(axis, 72, 48) - middle).abs().max() < 1e-3 * scale
    for other in (pixels // 4 - 1, pixels // 4 + 1):
        assert (moved - still.roll(other, axis)).narrow(axis, 72, 48).abs().max() > 0.05 * scale


@pytest.mark.parametrize("axis", [-1, -2])
def test_cells_of_vgg16_lie_in_the_middle_of_their_pixels(axis):
    """With mirrored kernels, a mirrored image has mirrored logits; any constant shift would show twice."""
    torch.manual_seed(0)
    made = build_semantic_network(settings("vgg16"), 3).eval()
    images = pictures(1, 3, 64, 96)
    with torch.no_grad():
        expected = made(images).flip(axis)
        for module in made.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.copy_(module.weight.flip(axis))
        torch.testing.assert_close(made(images.flip(axis)), expected, rtol=1e-3, atol=1e-5)


# --- layers


def test_relu_comes_before_normalization_everywhere_but_at_the_end():
    made = network("vgg16")
    blocks = [*made.skips, *(block for step in made.steps for block in step)]
    assert [[type(layer) for layer in block] for block in blocks] == [[nn.Conv2d, nn.ReLU, nn.BatchNorm2d]] * 9
    assert isinstance(made.head, nn.Conv2d)


def test_maps_of_the_decoder_are_normalized_after_their_relu():
    """In training a block's output has mean 0 and variance 1, which a ReLU at its end would not leave."""
    made, seen = network("small").train(), []
    handles = [step.register_forward_hook(lambda _, __, output: seen.append(output)) for step in made.steps]
    with torch.no_grad():
        made(pictures(4, 3, 64, 64))
    for handle in handles:
        handle.remove()
    for maps in seen:
        variance, mean = torch.var_mean(maps, dim=(0, 2, 3), correction=0)
        assert mean.abs().max() < 1e-4
        assert variance.median() == pytest.approx(1, abs=0.01)
    assert len(seen) == 3


def test_new_convolutions_start_from_hes_distribution():
    torch.manual_seed(0)
    made = SemanticNetwork(build_backbone("small"), 20, LearningToSegmentTrain())
    new = [m for part in (made.skips, made.steps) for m in part.modules() if isinstance(m, nn.Conv2d)]
    for layer, gain in [*((layer, 2) for layer in new), (made.head, 1)]:
        std = math.sqrt(gain / (layer.in_channels * layer.kernel_size[0] ** 2))
        assert float(layer.weight.detach().std()) == pytest.approx(std, rel=0.05)
        assert not layer.bias.any()
    assert float(made(pictures(4, 3, 64, 64)).detach().std()) == pytest.approx(1, rel=0.3)


# --- training


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name):
    trained = network(name).train()
    trained.zero_grad()
    F.cross_entropy(trained(pictures(2, 3, 64, 64)), torch.arange(2 * 16 * 16).reshape(2, 16, 16) % 4).backward()
    assert [n for n, p in trained.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("name", NAMES)
def test_groups_have_every_parameter_once_at_its_rate(name):
    made = network(name)
    groups = made.parameter_groups(1e-3, 10)
    rates = [(id(parameter), group["lr"]) for group in groups for parameter in group["params"]]
    named = dict(made.named_parameters())
    assert len(rates) == len(dict(rates)) == len(named)
    for key, parameter in named.items():
        assert dict(rates)[id(parameter)] == pytest.approx(1e-3 if key.startswith("backbone.") else 1e-2)


# --- building


def test_weights_of_a_saved_network_fill_the_backbone_of_another(tmp_path):
    saved = network("small")
    torch.save(saved.state_dict(), tmp_path / "model.pt")
    made = build_semantic_network(settings(normalization="half"), 5, str(tmp_path / "model.pt"))
    pairs = zip(made.backbone.state_dict().values(), saved.backbone.state_dict().values(), strict=True)
    assert all(torch.equal(mine, other) for mine, other in pairs)
    assert made.head.out_channels == 6


def test_settings_reach_the_network():
    made = build_semantic_network(settings(normalization="half", skip_width=8, decoder_width=24), 2)
    assert made.backbone.normalization[0] == pytest.approx((128 / 255,) * 3)
    assert (made.skips[0][0].out_channels, made.steps[-1][0][0].in_channels, made.head.in_channels) == (8, 32, 24)


def test_unknown_backbones_and_missing_weights_are_named(tmp_path):
    with pytest.raises(InputError, match="vgg16"):
        build_semantic_network(settings().model_copy(update={"backbone": "vgg61"}), 3)
    with pytest.raises(InputError, match="nowhere.pth"):
        build_semantic_network(settings(), 3, str(tmp_path / "nowhere.pth"))
