"""The instance networks: shapes, gradients, the released widths, and HRNet against timm's own."""

import functools

import pytest
import timm
import torch
from torch import nn

from wsis_steps.bestie.network import DualDecoder, PlainHeads, SkipDecoder, build_network
from wsis_steps.bestie.settings import BestieTrain
from wsis_steps.engine.errors import InputError
from wsis_steps.vision.weights import load_weights

NAMES = ["hrnet_w48", "resnet50", "mobilenet_v2", "small"]


@functools.cache
def network(name):
    torch.manual_seed(0)
    return build_network(BestieTrain(backbone=name), 3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(64, 96), (45, 71)])
def test_outputs_have_the_size_of_the_images(name, size):
    with torch.no_grad():
        outputs = network(name).eval()(torch.randn(2, 3, *size))
    shapes = {part: tuple(maps.shape) for part, maps in outputs.items()}
    assert shapes == {"semantic": (2, 4, *size), "centers": (2, 3, *size), "offsets": (2, 2, *size)}


@pytest.mark.parametrize("name", NAMES)
def test_first_outputs_are_small(name):
    outputs = network(name).train()(torch.randn(2, 3, 64, 64))
    assert all(0 < maps.abs().max() < 1 for maps in outputs.values())


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name):
    trained = network(name).train()
    trained.zero_grad()
    outputs = trained(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    sum((maps - 1).square().sum() for maps in outputs.values()).backward()
    assert [n for n, p in trained.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_of_one_trains(name):
    trained = network(name).train()
    trained.zero_grad()
    outputs = trained(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    sum((maps - 1).square().sum() for maps in outputs.values()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in trained.parameters())


def test_class_agnostic_networks_have_one_center_map():
    made = build_network(BestieTrain(backbone="small", class_wise_centers=False), 3).eval()
    assert made(torch.zeros(1, 3, 32, 32))["centers"].shape == (1, 1, 32, 32)


@pytest.mark.parametrize("name", ["small", "mobilenet_v2"])
def test_class_agnostic_networks_have_the_layers_and_the_initial_weights_of_others(name):
    states, first = [], []
    for class_wise in (True, False):
        torch.manual_seed(0)
        made = build_network(BestieTrain(backbone=name, class_wise_centers=class_wise), 3).eval()
        states.append(made.state_dict())
        with torch.no_grad():
            first.append(made(torch.ones(1, 3, 32, 32))["centers"][:, :1])
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    assert torch.equal(*first)


@pytest.mark.parametrize("name", ["hrnet_w48", "small"])
def test_sizes_that_do_not_divide_are_filled_up_with_the_mean_color(name):
    made = network(name).eval()
    images = torch.randn(1, 3, 50, 64)
    with torch.no_grad():
        odd, full = made(images), made(torch.cat([images, torch.zeros(1, 3, 14, 64)], dim=2))
    assert all(torch.equal(odd[part], full[part][:, :, :50]) for part in odd)


@pytest.mark.parametrize("name", ["mobilenet_v2", "small"])
def test_outputs_are_aligned_with_the_image(name):
    """With averages for convolutions, the outputs answer most where the image is bright."""
    made = build_network(BestieTrain(backbone=name), 2).eval()
    images = torch.zeros(1, 3, 128, 160)
    images[..., 40:56, 100:116] = 3
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.fill_(1 / module.weight[0].numel())
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
        seen = made(images)["centers"][0, 0]
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(160.0), indexing="ij")
    seen = seen - seen.flatten().median()
    seen = seen * (seen > 0.9 * seen.max())
    middle = [float((axis * seen).sum() / seen.sum()) for axis in (y, x)]
    assert middle == pytest.approx([47.5, 107.5], abs=12)


def test_hrnet_is_the_branch_of_stride_4_of_timms(tmp_path):
    torch.manual_seed(1)
    whole = timm.create_model("hrnet_w48", pretrained=False, features_only=True, feature_location="").eval()
    state = {key: value.bfloat16() if value.is_floating_point() else value for key, value in whole.state_dict().items()}
    whole.load_state_dict(state)
    more = {"classifier.weight": torch.zeros(1), "incre_modules.0.0.conv1.weight": torch.zeros(1)}
    torch.save({**state, **more}, tmp_path / "hrnet.pth")
    made = build_network(BestieTrain(backbone="hrnet_w48"), 3).eval()
    load_weights(made.backbone, str(tmp_path / "hrnet.pth"))
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        (mine,), branches = made.backbone(images), whole(images)
    assert [tuple(part.shape[1:]) for part in branches[1:3]] == [(48, 16, 24), (96, 8, 12)]
    assert torch.equal(mine, branches[1])


def test_hrnet_does_not_take_another_networks_file(tmp_path):
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="other.pth"):
        load_weights(network("hrnet_w48").backbone, str(tmp_path / "other.pth"))


def test_missing_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("WSIS_WEIGHTS", str(tmp_path))
    with pytest.raises(InputError, match="hrnet_w48_imagenet.pth"):
        load_weights(network("hrnet_w48").backbone, "imagenet")
    with pytest.raises(InputError, match="nowhere.pth"):
        load_weights(network("hrnet_w48").backbone, "nowhere.pth")


def test_a_saved_network_fills_the_backbone_of_another(tmp_path):
    for name in ("small", "hrnet_w48"):
        torch.save({k: v for k, v in network(name).state_dict().items()}, tmp_path / "model.pt")
        made = build_network(BestieTrain(backbone=name), 5)
        load_weights(made.backbone, str(tmp_path / "model.pt"))
        pairs = zip(made.backbone.state_dict().values(), network(name).backbone.state_dict().values(), strict=True)
        assert all(torch.equal(mine, saved) for mine, saved in pairs)


def test_resnet_decoders_have_the_released_widths():
    decoder = network("resnet50").decoder
    for branch, sides, width in ((decoder.semantic, [128, 64, 32], 256), (decoder.instance, [64, 32, 16], 128)):
        assert [side[0].in_channels for side in branch.sides] == [1024, 512, 256]
        assert [side[0].out_channels for side in branch.sides] == sides
        assert {join[1][0].out_channels for join in branch.joins} == {width}
        assert [b[0].dilation[0] for b in branch.context.branches] == [1, 3, 6, 9]
    hidden = {name: (head[-1].in_channels, head[-1].out_channels) for name, head in decoder.heads.items()}
    assert hidden == {"semantic": (256, 4), "centers": (128, 3), "offsets": (32, 2)}


def test_batch_normalization_is_the_released_one():
    """Momentum 0.01 in the backbone and the decoder for ResNet, none in image pooling; HRNet's own in HRNet."""
    momenta = {
        name: [m.momentum for m in network(name).modules() if isinstance(m, nn.BatchNorm2d)]
        for name in ("resnet50", "hrnet_w48")
    }
    backbone, pyramids, sides, joins, heads = 53, 2 * 5, 2 * 3, 2 * 3 * 2, 3 * 2
    assert momenta["resnet50"] == [0.01] * (backbone + pyramids + sides + joins + heads)
    assert momenta["hrnet_w48"] and set(momenta["hrnet_w48"]) == {0.1}
    decoder = network("resnet50").decoder
    for branch in (decoder.semantic, decoder.instance):
        convolution, relu = branch.context.mean
        assert isinstance(convolution, nn.Conv2d) and convolution.bias is None and isinstance(relu, nn.ReLU)


def test_hrnet_heads_have_the_released_widths():
    heads = network("hrnet_w48").decoder.heads
    assert isinstance(network("hrnet_w48").decoder, PlainHeads)
    assert {name: [m.weight.shape[0] for m in (head[0], head[2])] for name, head in heads.items()} == {
        "semantic": [256, 4],
        "centers": [256, 3],
        "offsets": [256, 2],
    }
    assert float(heads["semantic"][0].weight.detach().std()) == pytest.approx(0.001, rel=0.05)


def test_the_small_network_is_small():
    assert 5e5 < sum(p.numel() for p in network("small").parameters()) < 1e6


def test_what_a_backbone_is_like_decides_on_its_decoder():
    for name, kind, first in (
        ("vgg16", DualDecoder, 2),
        ("timm/resnet18", DualDecoder, 1),
        ("timm/mobilenetv3_small_100", SkipDecoder, 1),
        ("mobilenet_v2", SkipDecoder, 1),
        ("small", SkipDecoder, 0),
    ):
        made = build_network(BestieTrain(backbone=name), 3)
        assert isinstance(made.decoder, kind) and made.decoder.first == first, name
        assert made.decoder.align_corners == (kind is DualDecoder)


def test_unknown_networks_are_named():
    with pytest.raises(InputError, match="hrnet_w48"):
        build_network(BestieTrain().model_copy(update={"backbone": "hrnet_w84"}), 3)


def test_classes_also_come_straight_from_the_coarsest_level():
    torch.manual_seed(0)
    network = build_network(BestieTrain(backbone="mobilenet_v2"), 20).eval()
    for head in network.decoder.heads.values():
        nn.init.zeros_(head[-1].weight)
        nn.init.zeros_(head[-1].bias)
    nn.init.normal_(network.decoder.shortcut[-1].weight)
    picture = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        outputs, levels = network(picture), network.backbone(picture)
        straight = network.decoder.shortcut(levels[-1])
    assert not outputs["offsets"].any() and not outputs["centers"].any()
    expected = nn.functional.interpolate(straight, (16, 24), mode="bilinear")
    expected = nn.functional.interpolate(expected, (64, 96), mode="bilinear")
    torch.testing.assert_close(outputs["semantic"], expected)
    assert build_network(BestieTrain(backbone="small"), 6).decoder.shortcut is None


def test_the_decoder_learns_faster_by_its_factor():
    network = build_network(BestieTrain(backbone="small"), 6)
    slow, fast = network.parameter_groups(0.001, 10)
    assert slow["lr"] == 0.001 and fast["lr"] == 0.01
    assert set(slow["params"]) == set(network.backbone.parameters())
    assert set(slow["params"]) | set(fast["params"]) == set(network.parameters())
