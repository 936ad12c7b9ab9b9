"""Backbones: shapes, dilation, and every way that weights come in or are refused."""

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.backbones import build_backbone, load_weights, read_state_dict

REAL_WEIGHTS = Path(__file__).parents[4] / "shared/data/weights/mobilenet_v2_imagenet.pth"
VARIANTS = [
    ("vgg16", None, 16),
    ("vgg16", 8, 8),
    ("resnet50", None, 32),
    ("resnet50", 8, 8),
    ("mobilenet_v2", None, 32),
    ("mobilenet_v2", 16, 16),
    ("small", None, 16),
    ("small", 8, 8),
]


def random_images(count: int = 1, size: int = 64) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("name", "output_stride", "coarsest"), VARIANTS)
def test_maps_have_the_channels_and_strides_that_are_stated(name, output_stride, coarsest):
    backbone = build_backbone(name, output_stride).eval()
    with torch.no_grad():
        maps = backbone(random_images())
    assert [m.shape[1] for m in maps] == list(backbone.channels)
    assert [64 // m.shape[-1] for m in maps] == list(backbone.strides)
    assert backbone.strides[-1] == coarsest


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
        (("small", 4), "valid: 8, 16"),
        (("small", None, "hlaf"), "'half'"),
    ],
)
def test_wrong_settings_are_named_with_the_nearest_valid_one(arguments, part):
    with pytest.raises(InputError, match=part):
        build_backbone(*arguments)


@pytest.mark.skipif(not REAL_WEIGHTS.is_file(), reason="no pretrained weights beside the checkout")
def test_real_weights_load_by_path_and_by_the_word_imagenet(monkeypatch):
    reference = torch.load(REAL_WEIGHTS, weights_only=True)
    by_path, by_word = build_backbone("mobilenet_v2"), build_backbone("mobilenet_v2")
    load_weights(by_path, str(REAL_WEIGHTS))
    monkeypatch.setenv("WSIS_WEIGHTS", str(REAL_WEIGHTS.parent))
    load_weights(by_word, "imagenet")
    for backbone in (by_path, by_word):
        state = backbone.state_dict()
        used = [k for k in reference if not k.startswith("classifier.")]
        assert used and all(torch.equal(state[k], reference[k]) for k in used)


def test_missing_imagenet_weights_say_what_to_download_and_where_to_put_it(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WSIS_WEIGHTS", raising=False)
    with pytest.raises(InputError, match=r"vgg16-\w+\.pth from https://.* as data/weights/vgg16_imagenet\.pth"):
        load_weights(build_backbone("vgg16"), "imagenet")
    with pytest.raises(InputError, match="small has no ImageNet weights"):
        load_weights(build_backbone("small"), "imagenet")


def test_none_leaves_the_weights():
    backbone = build_backbone("small")
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    load_weights(backbone, "none")
    assert all(torch.equal(v, before[k]) for k, v in backbone.state_dict().items())


def test_torchvision_files_load_without_their_head_and_without_batch_counters(tmp_path):
    reference = torchvision.models.resnet50(weights=None)
    state = {k: v for k, v in reference.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "resnet50_old.pth")
    backbone = build_backbone("resnet50")
    load_weights(backbone, str(tmp_path / "resnet50_old.pth"))
    assert torch.equal(backbone.conv1.weight, reference.conv1.weight)
    assert torch.equal(backbone.layer4[2].conv3.weight, reference.layer4[2].conv3.weight)


@pytest.mark.parametrize("key", [None, "model", "state_dict"])
def test_models_saved_by_a_step_bring_their_normalization(tmp_path, key):
    saved = build_backbone("small", normalization="half")
    state = {f"backbone.{k}": v for k, v in saved.state_dict().items()} | {"head.0.weight": torch.zeros(3)}
    torch.save(state if key is None else {key: state}, tmp_path / "model.pt")
    backbone = build_backbone("small", 8)
    load_weights(backbone, str(tmp_path / "model.pt"))
    assert all(torch.equal(v, saved.state_dict()[k]) for k, v in backbone.state_dict().items())
    assert backbone.normalization == saved.normalization


def test_entries_that_do_not_fit_are_refused_and_nothing_is_loaded(tmp_path):
    good = build_backbone("small").state_dict()
    lacking = {k: v for k, v in good.items() if k != "features.2.0.weight"}
    lacking_statistics = {k: v for k, v in good.items() if k != "features.0.1.running_mean"}
    reshaped = good | {"features.0.0.weight": torch.zeros(24, 1, 3, 3)}
    extra = good | {"features.99.weight": torch.zeros(1)}
    for state in (lacking, lacking_statistics, reshaped, extra):
        torch.save(state, tmp_path / "other.pth")
        backbone = build_backbone("small")
        before = {k: v.clone() for k, v in backbone.state_dict().items()}
        with pytest.raises(InputError, match=r"other\.pth does not fit backbone small.*'features\."):
            load_weights(backbone, str(tmp_path / "other.pth"))
        assert all(torch.equal(v, before[k]) for k, v in backbone.state_dict().items())


def test_truncated_and_foreign_files_are_refused_in_one_sentence(tmp_path):
    path = tmp_path / "weights.pth"
    for legacy in (False, True):
        torch.save(build_backbone("small").state_dict(), path, _use_new_zipfile_serialization=not legacy)
        whole = path.read_bytes()
        for length in (0, 1, 100, len(whole) // 2, len(whole) - 100):
            path.write_bytes(whole[:length])
            with pytest.raises(InputError, match=r"weights\.pth cannot be read"):
                read_state_dict(path)
    for content in (b"a text\n", b"\x80\x02garbage", b"<html>404</html>"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"weights\.pth cannot be read"):
            read_state_dict(path)
    torch.save([1, 2], path)
    with pytest.raises(InputError, match="no state dict"):
        read_state_dict(path)


def test_a_path_that_does_not_exist_suggests_the_words(tmp_path):
    with pytest.raises(InputError, match="'imagenett': no such file.*'imagenet'"):
        load_weights(build_backbone("small"), "imagenett")
