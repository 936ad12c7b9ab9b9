"""Vision transformers as backbones: timm's own forward, pictures of any size, files of timm and of DINOv2's authors."""

import functools
import re

import pytest
import timm
import torch
from timm.models.vision_transformer import checkpoint_filter_fn
from torch import Tensor, nn

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.backbone_table import stride_of_patches
from wsis_steps.vision.backbones import Backbone, build_backbone
from wsis_steps.vision.weights import imagenet_path, load_weights

DINOV2, REGISTERS = "vit_small_patch14_dinov2", "vit_small_patch14_reg4_dinov2"
SMALL = ["test_vit", "test_vit2", "test_vit3", "test_vit4"]
DEIT, DEIT3, DINOV3 = "deit_tiny_distilled_patch16_224", "deit3_small_patch16_224", "vit_tiny_patch16_dinov3_qkvb"
OTHERS = [DEIT, DEIT3, DINOV3, "eva02_tiny_patch14_224", "vit_pe_spatial_tiny_patch16_512"]
SIZES = [(28, 42), (43, 71), (5, 100), (98, 98), (13, 14)]


def whole(name: str, **options) -> nn.Module:
    """timm's network, none of whose parameters has the value that timm starts it with."""
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False, **options).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


@functools.cache
def reference(name: str) -> nn.Module:
    """timm's network for pictures of any size, which it fills up to whole patches itself."""
    return whole(name, dynamic_img_size=True, dynamic_img_pad=True)


@functools.cache
def loaded(name: str) -> Backbone:
    """The backbone with the weights of `reference`."""
    backbone = build_backbone(f"timm/{name}").eval()
    own = {f"network.{key}": value for key, value in reference(name).state_dict().items()}
    backbone.load_state_dict({key: own.get(key, value) for key, value in backbone.state_dict().items()})
    return backbone


def spatial(tokens: Tensor, network: nn.Module, height: int, width: int) -> Tensor:
    """Tokens (B, n, channels) of a network as a map (B, channels, rows, columns), without those of no patch."""
    side = network.patch_embed.patch_size[0]
    patches = tokens[:, network.num_prefix_tokens :].transpose(1, 2)
    return patches.unflatten(2, (-(-height // side), -(-width // side)))


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("name", [DINOV2, REGISTERS, *SMALL, *OTHERS])
def test_maps_are_the_normalized_patch_tokens_of_timm(name, height, width):
    images = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(height))
    with torch.no_grad():
        maps = loaded(name)(images)
        expected = spatial(reference(name).forward_features(images), reference(name), height, width)
    assert len(maps) == 1 and maps[0].shape[1] == loaded(name).channels[0]
    torch.testing.assert_close(maps[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", [DINOV2, REGISTERS])
@pytest.mark.parametrize(("height", "width"), [(28, 42), (70, 56), (518, 28)])
def test_positions_are_those_of_a_network_that_timm_builds_for_the_size(name, height, width):
    fixed = whole(name, img_size=(height, width))
    fixed.load_state_dict(checkpoint_filter_fn(reference(name).state_dict(), fixed))
    images = torch.randn(1, 3, height, width)
    with torch.no_grad():
        expected = spatial(fixed.forward_features(images), fixed, height, width)
        torch.testing.assert_close(loaded(name)(images)[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["beit_base_patch16_224", "swin_tiny_patch4_window7_224"])
def test_transformers_for_pictures_of_one_size_are_refused(name):
    with torch.device("meta"), pytest.raises(InputError, match="gives no feature maps for images of any size"):
        build_backbone(f"timm/{name}")


def test_beyond_a_picture_lies_the_mean_color():
    backbone = loaded(DINOV2)
    pictures = torch.randint(0, 256, (1, 3, 33, 45)).float()
    filled = (255 * backbone.mean)[:, None, None].expand(3, 42, 56).clone()
    filled[:, :33, :45] = pictures[0]
    with torch.no_grad():
        maps = [backbone(backbone.normalize(one))[0] for one in (pictures, filled[None])]
    assert maps[0].shape == (1, 384, 3, 4)
    torch.testing.assert_close(*maps, rtol=0, atol=1e-4)


def of_the_authors(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of timm as the authors of DINOv2 publish it: the class token is apart from its position, which the
    registers have none of, and there is a token that stands for masked patches."""
    state, position = dict(state), torch.randn(1, 1, 384)
    if "reg_token" in state:
        state["register_tokens"] = state.pop("reg_token")
        state["cls_token"] = state["cls_token"] - position
        state["pos_embed"] = torch.cat([position, state["pos_embed"]], dim=1)
    return {**state, "mask_token": torch.randn(1, 384)}


@pytest.mark.parametrize("name", [DINOV2, REGISTERS])
def test_files_of_timm_and_of_the_authors_give_the_same_network(tmp_path, name):
    state = reference(name).state_dict()
    for layout in (state, of_the_authors(state), {"model": state}):
        torch.save(layout, tmp_path / "file.pth")
        backbone = build_backbone(f"timm/{name}")
        load_weights(backbone, str(tmp_path / "file.pth"))
        for key, value in loaded(name).state_dict().items():
            torch.testing.assert_close(backbone.state_dict()[key], value, rtol=0, atol=1e-6)


def as_published(name: str) -> dict[str, Tensor]:
    """A state dict of timm with the names that the authors of DeiT III and of DINOv3 give its entries."""
    scale = r"blocks\.\d+\.(ls(\d)\.gamma|gamma_(\d))"
    state = {}
    for key, value in reference(name).state_dict().items():
        if (found := re.fullmatch(scale, key)) is not None:
            new = f"gamma_{found[2]}" if found[2] else f"ls{found[3]}.gamma"
            key = f"{key.removesuffix(found[1])}{new}"
        if key.endswith("v_bias"):
            continue
        if key.endswith("q_bias"):  # of DINOv3, whose keys have none
            other = reference(name).state_dict()[key.replace("q_bias", "v_bias")]
            key, value = key.replace("q_bias", "qkv.bias"), torch.cat([value, torch.zeros_like(value), other])
        state[key.replace("reg_token", "storage_tokens")] = value
    if name == DINOV3:
        state |= {"mask_token": torch.randn(1, 192), "rope_embed.periods": torch.randn(16)}
    return state


@pytest.mark.parametrize("name", OTHERS)
def test_files_of_other_transformers_load(tmp_path, name):
    for layout in (reference(name).state_dict(), *([as_published(name)] if name in (DEIT3, DINOV3) else [])):
        torch.save(layout, tmp_path / "file.pth")
        backbone = build_backbone(f"timm/{name}")
        load_weights(backbone, str(tmp_path / "file.pth"))
        for key, value in loaded(name).state_dict().items():
            assert torch.equal(backbone.state_dict()[key], value), key


def test_registers_of_the_authors_come_behind_the_class_token_and_have_no_position():
    """The tokens of facebookresearch/dinov2 (`prepare_tokens_with_masks`) at the size that needs no interpolation."""
    network = reference(REGISTERS)
    file = of_the_authors(network.state_dict())
    backbone = build_backbone(f"timm/{REGISTERS}").eval()
    backbone.load_state_dict(
        backbone.state_dict() | {f"network.{key}": value for key, value in backbone.converted(file).items()}
    )
    images = torch.randn(1, 3, 518, 518)
    with torch.no_grad():
        patches = network.patch_embed.proj(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([file["cls_token"], patches], dim=1) + file["pos_embed"]
        tokens = torch.cat([tokens[:, :1], file["register_tokens"], tokens[:, 1:]], dim=1)
        expected = network.norm(network.blocks(tokens))[:, 5:]
        torch.testing.assert_close(backbone(images)[0].flatten(2).transpose(1, 2), expected, rtol=0, atol=1e-4)


def test_models_of_a_step_bring_their_transformer_back(tmp_path):
    saved = loaded("test_vit4")
    torch.save({f"backbone.{key}": value for key, value in saved.state_dict().items()}, tmp_path / "model.pt")
    backbone = build_backbone("timm/test_vit4", normalization="half")
    load_weights(backbone, str(tmp_path / "model.pt"))
    assert all(torch.equal(value, saved.state_dict()[key]) for key, value in backbone.state_dict().items())


@pytest.mark.parametrize(
    ("name", "other"),
    [(DINOV2, "vit_small_patch16_224"), (DINOV2, REGISTERS), (REGISTERS, DINOV2), (DINOV2, "resnet18")],
)
def test_the_file_of_another_network_is_refused(tmp_path, name, other):
    torch.save(timm.create_model(other, pretrained=False).state_dict(), tmp_path / "file.pth")
    with pytest.raises(InputError, match=rf"file\.pth does not fit backbone timm/{name}"):
        load_weights(build_backbone(f"timm/{name}"), str(tmp_path / "file.pth"))


@pytest.mark.parametrize("side", [8, 32])
def test_the_file_of_a_network_with_other_patches_is_refused(tmp_path, side):
    torch.save(timm.create_model(f"vit_small_patch{side}_224").state_dict(), tmp_path / "file.pth")
    said = rf"file\.pth does not fit .*: its first convolution sees {side}x{side} pixels, but patches are 16x16 here"
    with pytest.raises(InputError, match=said):
        load_weights(build_backbone("timm/vit_small_patch16_224"), str(tmp_path / "file.pth"))
    torch.save(timm.create_model("vit_small_patch16_384").state_dict(), tmp_path / "file.pth")
    load_weights(build_backbone("timm/vit_small_patch16_224"), str(tmp_path / "file.pth"))  # positions alone differ


def test_a_transformer_has_the_stride_of_its_patches_and_no_other():
    assert build_backbone(f"timm/{DINOV2}").strides == (14,)
    assert build_backbone("timm/test_vit", 16).strides == (16,)
    with pytest.raises(
        InputError, match=f"timm/{DINOV2} cannot have output stride 8; set output_stride: own, which is 14"
    ):
        build_backbone(f"timm/{DINOV2}", 8)


@pytest.mark.parametrize("name", [DINOV2, REGISTERS, "vit_tiny_patch16_224", "vit_base_patch32_clip_224"])
def test_a_name_tells_the_stride_of_the_patches(name):
    with torch.device("meta"):
        assert build_backbone(f"timm/{name}").strides == (stride_of_patches(f"timm/{name}"),)
    assert [stride_of_patches(other) for other in ("timm/swin_tiny_patch4_window7_224", "timm/test_vit", "vgg16")] == [
        None
    ] * 3


def test_weights_that_are_not_of_imagenet_are_named_with_their_address(monkeypatch, tmp_path):
    monkeypatch.setenv("WSIS_WEIGHTS", str(tmp_path))
    with pytest.raises(InputError) as caught:
        imagenet_path(f"timm/{DINOV2}")
    text = str(caught.value)
    assert f"timm/{DINOV2} has no ImageNet weights, but others (lvd142m): download https://" in text
    assert "huggingface.co/timm/vit_small_patch14_dinov2.lvd142m and set its path as weights" in text
    with pytest.raises(InputError, match=r"'data/dino\.pth': no such file; those published .* are https://.*lvd142m"):
        load_weights(build_backbone(f"timm/{DINOV2}"), "data/dino.pth")
