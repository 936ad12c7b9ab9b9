"""Backbones: shapes, strides, normalization, freezing and groups of parameters, of the table's and some of timm's."""

import functools
import subprocess
import sys

import pytest
import timm
import torch
import torchvision
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from wsis_steps.engine.errors import InputError
from wsis_steps.vision import ranks
from wsis_steps.vision.backbone_table import TABLE
from wsis_steps.vision.backbones import Backbone, build_backbone, parameter_groups

OF_TIMM = [
    "timm/resnet18", "timm/convnext_atto", "timm/efficientnet_b0", "timm/mobilenetv3_small_100", "timm/regnetx_002",
    "timm/hrnet_w18_small",
]  # fmt: skip


def random_images(count: int = 1, size: int = 64) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


@functools.cache
def cached(name: str) -> Backbone:
    torch.manual_seed(0)
    return build_backbone(name).eval()


def built(name: str) -> Backbone:
    """A backbone with its own stride, whose parameters all learn and have no gradients."""
    cached(name).requires_grad_(True).zero_grad()
    return cached(name)


def shapes(backbone: Backbone, height: int, width: int) -> list[tuple[int, ...]]:
    """Of the maps of a picture, without the batch."""
    with torch.no_grad():
        return [tuple(m.shape[1:]) for m in backbone(torch.randn(1, 3, height, width))]


@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("name", [*TABLE, *OF_TIMM])
def test_maps_have_the_channels_and_strides_that_are_stated(name, output_stride):
    own = built(name)
    backbone = own if own.strides[-1] == output_stride else build_backbone(name, output_stride).eval()
    assert backbone.strides == tuple(sorted(backbone.strides)) and backbone.strides[-1] == output_stride
    assert own.strides[-1] == (TABLE[name].output_stride if name in TABLE else 32)
    assert backbone.high_resolution == ("hrnet" in name) != backbone.sequential
    levels = list(zip(backbone.channels, backbone.strides, strict=True))
    found = shapes(backbone, 43, 71)
    if name == "vgg16":  # its pools leave out what is over
        assert found == [(channels, 43 // stride, 71 // stride) for channels, stride in levels]
        backbone = build_backbone(name, output_stride)
        backbone.round_up()
        found = shapes(backbone, 43, 71)
    assert found == [(channels, -(-43 // stride), -(-71 // stride)) for channels, stride in levels]
    if not backbone.high_resolution:  # weights of one stride fit another
        assert list(backbone.state_dict()) == list(own.state_dict())


@pytest.mark.parametrize("name", OF_TIMM)
def test_maps_are_those_of_timm(name):
    options = {"feature_location": ""} if "hrnet" in name else {}
    reference = timm.create_model(name.removeprefix("timm/"), pretrained=False, features_only=True, **options).eval()
    backbone = built(name)
    state = {key: value for key, value in backbone.state_dict().items() if key not in ("mean", "std")}
    assert state.keys() == reference.state_dict().keys()
    backbone.load_state_dict(reference.state_dict(), strict=False)
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        maps, expected = backbone(images), reference(images)
    expected = expected[-len(maps) :]  # timm has the stem of HRNet too
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(maps, expected, strict=True))


def test_normalization_of_timm_is_that_of_its_configuration():
    assert build_backbone("timm/test_resnet").normalization == ((0.5,) * 3, (0.5,) * 3)
    for name in OF_TIMM:
        config = timm.get_pretrained_cfg(name.removeprefix("timm/"))
        assert built(name).normalization == (pytest.approx(config.mean), pytest.approx(config.std))
    half = build_backbone("timm/test_resnet", normalization="half")
    assert half.normalization == (pytest.approx((128 / 255,) * 3),) * 2


@pytest.mark.parametrize("name", [*TABLE, *OF_TIMM])
def test_frozen_levels_and_nothing_else_have_no_gradients(name):
    backbone = built(name)
    backbone.freeze(2)
    images = torch.randn(1, 3, 64, 64)
    maps = backbone(images)
    # the finest maps that the frozen levels make have no gradient, since nothing before them learns
    if backbone.sequential:
        assert [m.requires_grad for m in maps] == [False, False, *[True] * (len(maps) - 2)]
    sum(m.square().mean() for m in maps if m.requires_grad).backward()
    frozen = [name for names in backbone.levels[:2] for name in names]
    for key, parameter in backbone.named_parameters():
        inside = any(key == name or key.startswith(f"{name}.") for name in frozen)
        assert (parameter.grad is None) == inside, key
    assert any(p.grad is None for p in backbone.parameters())


def test_a_network_that_cannot_be_cut_cannot_be_frozen_by_levels():
    backbone = build_backbone("timm/cspnext_tiny")
    backbone.freeze(0)
    with pytest.raises(InputError, match="timm/cspnext_tiny cannot be frozen"):
        backbone.freeze(1)


@pytest.mark.parametrize("name", [*TABLE, *OF_TIMM])
def test_groups_share_out_what_is_trained(name):
    backbone = built(name)
    backbone.freeze(1)
    network = nn.ModuleDict({"backbone": backbone, "head": nn.Conv2d(8, 8, 1)})
    for by_rate, bias_lr_factor, count in ((False, None, 2), (False, 2, 4), (True, None, 2), (True, 2, 3)):
        groups = parameter_groups(network, backbone, 0.5, 2, bias_lr_factor, by_rate)
        found = [id(p) for group in groups for p in group["params"]]
        assert len(set(found)) == len(found)
        assert set(found) == {id(p) for p in network.parameters() if p.requires_grad}
        rates = {id(p): group["lr"] for group in groups for p in group["params"]}
        for key, parameter in network.named_parameters():
            if parameter.requires_grad:
                rate = 0.5 * (2 if key.startswith("head") else 1)
                rate *= bias_lr_factor if bias_lr_factor and key.endswith("bias") else 1
                assert rates[id(parameter)] == rate
        assert len(groups) == count


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("timm/resnet19",), "no backbone 'timm/resnet19', the nearest is 'timm/resnet18'"),
        (("timm/resnet18.no_tag",), "no backbone 'timm/resnet18.no_tag', the nearest is 'timm/resnet18."),
        (("timm/",), "no backbone 'timm/'"),
        (("timm/densenet121", 8), "timm/densenet121 can have no output stride but its own"),
        (("timm/inception_v3",), "timm/inception_v3 gives no feature maps"),
        (("timm/mixer_s32_224",), "timm/mixer_s32_224 gives no feature maps"),
    ],
)
def test_what_timm_does_not_have_is_one_sentence(arguments, words):
    with pytest.raises(InputError) as caught:
        build_backbone(*arguments)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_settings_check_imports_neither_torch_nor_timm():
    code = (
        "import sys; from wsis_steps.plan.config import load;"
        "load({'dataset': 'd', 'runs': {'a': {'system': 'bestie'}},"
        " 'steps': {'bestie_train': {'backbone': 'timm/resnet18'}}});"
        "print(sorted({'torch', 'timm'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2"])
def test_coarsest_map_is_that_of_torchvision(name):
    reference = getattr(torchvision.models, name)(weights=None).eval()
    backbone = build_backbone(name).eval()
    entries = {k: v for k, v in reference.state_dict().items() if k in backbone.state_dict()}
    backbone.load_state_dict(backbone.state_dict() | entries)
    nodes = {"resnet50": "layer4", "mobilenet_v2": "features"}
    extract = create_feature_extractor(reference, [nodes[name]])
    with torch.no_grad():
        torch.testing.assert_close(backbone(random_images())[-1], extract(random_images())[nodes[name]])


def test_vgg_of_stride_8_is_the_classifier_of_bestie():
    layers = dict(build_backbone("vgg16", 8).features.named_children())
    pools = [(p.kernel_size, p.stride, p.padding) for p in layers.values() if isinstance(p, nn.MaxPool2d)]
    assert pools == [(2, 2, 0), (2, 2, 0), (2, 2, 0), (3, 1, 1)]
    dilations = [c.dilation[0] for c in layers.values() if isinstance(c, nn.Conv2d)]
    assert dilations == [1] * 10 + [2] * 3
    assert all(c.padding == c.dilation for c in layers.values() if isinstance(c, nn.Conv2d))


@pytest.mark.parametrize("name", ["small", "mobilenet_v2"])
def test_dilation_computes_what_the_strided_network_does_and_more(name):
    # every second value of the dilated map is the strided map, since dilation replaces subsampling exactly
    strided = build_backbone(name, 16).eval()
    dilated = build_backbone(name, 8).eval()
    dilated.load_state_dict(strided.state_dict())
    with torch.no_grad():
        coarse, fine = strided(random_images())[-1], dilated(random_images())[-1]
    assert fine.shape[-1] == 2 * coarse.shape[-1]
    torch.testing.assert_close(fine[..., ::2, ::2], coarse, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["small", "mobilenet_v2", "resnet50", "vgg16", "timm/resnet18", "timm/convnext_atto"])
def test_cell_centers_are_the_middles_of_what_a_cell_sees(name):
    backbone = build_backbone(name).eval()
    with torch.no_grad():
        for module in backbone.modules():
            if isinstance(module, nn.Conv2d):  # nothing cancels, and no ReLU cuts a part off
                module.weight.abs_()
    level = next(i for i, stride in enumerate(backbone.strides) if stride >= 4)
    stride, cell = backbone.strides[level], 24
    # several images: a max pool passes the gradient on to one pixel only
    images = torch.rand(16, 3, 48 * stride, 48 * stride, generator=torch.Generator().manual_seed(0), requires_grad=True)
    seen = torch.autograd.grad(backbone(images, level + 1)[level][:, :, cell, cell].sum(), images)[0].abs().amax((0, 1))
    columns = (seen.amax(0) > 0).nonzero()[:, 0]
    middle = (columns[0] + columns[-1] + 1).item() / 2
    assert backbone.cell_centers[level] == middle - cell * stride


def test_cells_of_tensorflow_s_networks_look_at_the_last_pixel():
    assert build_backbone("timm/tf_efficientnet_lite0").cell_centers == (1.5, 3.5, 7.5, 15.5, 31.5)


def test_fixed_norm_keeps_its_statistics_in_training_and_names_in_the_state():
    backbone = build_backbone("small")
    names = list(backbone.state_dict())
    backbone.fix_norm()
    backbone.train()
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    backbone(random_images(4))
    after = backbone.state_dict()
    assert list(after) == names
    assert all(torch.equal(before[k], after[k]) for k in names)
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not any(p.requires_grad for m in norms for p in m.parameters())
    assert all(m.weight.requires_grad for m in backbone.modules() if isinstance(m, nn.Conv2d))


def test_joint_batch_normalization_keeps_the_activation_that_timm_puts_inside(monkeypatch):
    images = random_images(2).double()
    torch.manual_seed(0)
    expected = build_backbone("timm/test_efficientnet").double().train()(images)
    torch.manual_seed(0)
    backbone = build_backbone("timm/test_efficientnet").double().train()
    monkeypatch.setattr(ranks, "count", lambda: 2)
    monkeypatch.setattr(ranks, "sum_over_ranks", lambda values: values)  # as if the other rank had no pixels
    ranks.join_batch_norms(backbone)
    assert all(isinstance(m, ranks.JointBatchNorm) for m in backbone.modules() if isinstance(m, nn.BatchNorm2d))
    for mine, theirs in zip(backbone(images), expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-8)


def test_half_normalization_is_bytes_less_128_over_128():
    images = torch.randint(0, 256, (2, 3, 5, 7), dtype=torch.uint8)
    expected = (images.float() - 128) / 128
    torch.testing.assert_close(build_backbone("small", normalization="half").normalize(images), expected)


def test_imagenet_normalization_is_torchvision_s():
    images = torch.rand(2, 3, 5, 7)
    mean, std = build_backbone("small").normalization
    expected = torchvision.transforms.functional.normalize(images, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(torchvision.transforms.functional.normalize(images, mean, std), expected)
    torch.testing.assert_close(build_backbone("small").normalize(255 * images), expected)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("resnet5",), "'resnet50'"),
        (("small", 4), "valid: 8, 16, 32"),
        (("small", None, "hlaf"), "'half'"),
    ],
)
def test_wrong_settings_are_named_with_the_nearest_valid_one(arguments, part):
    with pytest.raises(InputError, match=part):
        build_backbone(*arguments)
