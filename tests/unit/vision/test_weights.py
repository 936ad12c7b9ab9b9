"""Every way that weights come in or are refused."""

from pathlib import Path

import pytest
import timm
import torch
import torchvision

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.backbones import build_backbone
from wsis_steps.vision.weights import imagenet_path, load_weights, read_state_dict

REAL_WEIGHTS = Path(__file__).parents[4] / "shared/data/weights/mobilenet_v2_imagenet.pth"


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


def test_a_file_of_somebody_else_is_forbidden_not_damaged(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "weights.pth").write_bytes(b"")
    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(InputError, match=r"weights\.pth may not be read: permission denied"):
        read_state_dict(tmp_path / "weights.pth")


def test_a_path_that_does_not_exist_suggests_the_words(tmp_path):
    with pytest.raises(InputError, match="'imagenett': no such file.*'imagenet'"):
        load_weights(build_backbone("small"), "imagenett")


OF_TIMM = ["resnet18", "convnext_atto", "efficientnet_b0", "mobilenetv3_small_100", "regnetx_002"]


@pytest.mark.parametrize("name", OF_TIMM)
def test_a_file_of_timm_s_whole_network_gives_the_maps_of_timm(tmp_path, name):
    torch.manual_seed(0)
    whole = timm.create_model(name, pretrained=False).eval()
    with torch.no_grad():
        for parameter in whole.parameters():  # timm starts some at 0, which would hide that they are not loaded
            parameter.add_(0.01 * torch.randn_like(parameter))
    torch.save(whole.state_dict(), tmp_path / "file.pth")
    backbone = build_backbone(f"timm/{name}").eval()
    load_weights(backbone, str(tmp_path / "file.pth"))
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = whole.forward_intermediates(images, intermediates_only=True, norm=False)
        assert torch.equal(backbone(images)[-1], expected[-1])


def test_a_whole_network_that_cannot_be_cut_takes_its_file_too(tmp_path):
    whole = timm.create_model("cspnext_tiny", pretrained=False)
    torch.save(whole.state_dict(), tmp_path / "file.pth")
    backbone = build_backbone("timm/cspnext_tiny")
    load_weights(backbone, str(tmp_path / "file.pth"))
    state, expected = backbone.state_dict(), whole.state_dict()
    own = [key for key in state if key not in ("mean", "std")]
    assert own and all(torch.equal(state[key], expected[key.removeprefix("network.model.")]) for key in own)


@pytest.mark.parametrize(("name", "other"), [("resnet18", "resnet34"), ("resnet34", "resnet18")])
def test_the_file_of_another_network_of_timm_is_refused(tmp_path, name, other):
    torch.save(timm.create_model(other, pretrained=False).state_dict(), tmp_path / "file.pth")
    with pytest.raises(InputError, match=f"does not fit backbone timm/{name}"):
        load_weights(build_backbone(f"timm/{name}"), str(tmp_path / "file.pth"))


def test_hrnet_takes_its_file_with_all_branches_and_with_fewer(tmp_path):
    whole = timm.create_model("hrnet_w18_small", pretrained=False)
    torch.save(whole.state_dict(), tmp_path / "file.pth")
    for branches in (1, 2, 3, 4):
        backbone = build_backbone("timm/hrnet_w18_small")
        backbone.keep_branches(branches)
        load_weights(backbone, str(tmp_path / "file.pth"))
        kept = {key: value for key, value in backbone.state_dict().items() if key not in ("mean", "std")}
        assert all(torch.equal(value, whole.state_dict()[key]) for key, value in kept.items())


def test_weights_of_timm_have_an_address_and_a_file_name_without_a_slash(monkeypatch, tmp_path):
    monkeypatch.setenv("WSIS_WEIGHTS", str(tmp_path))
    path = tmp_path / "timm_resnet18_imagenet.pth"
    with pytest.raises(InputError, match=r"huggingface\.co/timm/resnet18\.a1_in1k and save it as .*/timm_resnet18"):
        imagenet_path("timm/resnet18")
    path.touch()
    assert imagenet_path("timm/resnet18") == path
    with pytest.raises(InputError, match="timm/vovnet39a has no ImageNet weights"):
        imagenet_path("timm/vovnet39a")
    with pytest.raises(InputError, match=r"huggingface\.co/timm/hrnet_w48\.ms_in1k and save it as .*/hrnet_w48_imag"):
        imagenet_path("hrnet_w48")
