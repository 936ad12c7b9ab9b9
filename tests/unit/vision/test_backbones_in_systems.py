"""Every network with a backbone learns with backbones of other kinds than the papers': one iteration, tiny sizes."""

from collections.abc import Collection

import pytest
import torch
from torch import Tensor, nn

from wsis_steps.annotation_consistency.network import ConditionalNetwork
from wsis_steps.annotation_consistency.settings import AnnotationConsistencyInitialise
from wsis_steps.bestie.network import build_network
from wsis_steps.bestie.settings import BestieTrain
from wsis_steps.classifier.network import build_classifier
from wsis_steps.classifier.settings import ClassifierTrain
from wsis_steps.community_learning.network import CommunityNetwork
from wsis_steps.community_learning.settings import CommunityLearningTrain
from wsis_steps.engine.errors import InputError
from wsis_steps.learning_to_segment.network import build_semantic_network
from wsis_steps.learning_to_segment.settings import LearningToSegmentTrain
from wsis_steps.maskrcnn.network import build_maskrcnn
from wsis_steps.maskrcnn.settings import MaskrcnnTrain

NAMES = ["timm/mobilenetv3_small_100", "timm/convnext_atto", "timm/hrnet_w18_small", "vgg16"]
CLASSES = 3
IMAGES = torch.randn(2, 3, 75, 101, generator=torch.Generator().manual_seed(0))


def iterate(network: nn.Module, groups: list[dict], outputs: list[Tensor], unused: Collection[str] = ()) -> None:
    """One step of SGD; all that is trained but the `unused` gets a finite gradient, and changes."""
    before = [p.detach().clone() for group in groups for p in group["params"]]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    sum((part.float() - 1).square().mean() for part in outputs).backward()
    named = {name: p for name, p in network.named_parameters() if p.requires_grad}
    assert all(p.grad.isfinite().all() for p in named.values() if p.grad is not None)
    assert [name for name, p in named.items() if p.grad is None and name not in unused] == []
    optimizer.step()
    after = [p for group in groups for p in group["params"]]
    assert {id(p) for p in after} == {id(p) for p in named.values()}
    changed = sum(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert changed > 0.8 * len(after)  # some of these start with gradients of 0


@pytest.mark.parametrize("name", NAMES)
def test_classifier(name):
    torch.manual_seed(0)
    network = build_classifier(ClassifierTrain(backbone=name, head_width=8), CLASSES)
    logits, maps = network.train()(IMAGES)
    assert logits.shape == (2, CLASSES) and maps.shape[-1] in (101 // 8, 101 // 8 + 1)
    # only the coarsest level is classified, so what makes the finer branches of HRNet after its last stage has no use
    last = [n for n, _ in network.named_parameters() if n.startswith("backbone.stage4.0.fuse_layers.0.")]
    iterate(network, network.parameter_groups(0.1, 2), [logits], last)


@pytest.mark.parametrize("name", NAMES)
def test_bestie(name):
    torch.manual_seed(0)
    network = build_network(BestieTrain(backbone=name), CLASSES)
    outputs = network.train()(IMAGES)
    assert {maps.shape[2:] for maps in outputs.values()} == {(75, 101)}
    iterate(network, network.parameter_groups(0.1, 2), list(outputs.values()))


@pytest.mark.parametrize("name", NAMES)
def test_learning_to_segment(name):
    torch.manual_seed(0)
    settings = LearningToSegmentTrain(backbone=name, skip_width=8, decoder_width=8)
    network = build_semantic_network(settings, CLASSES)
    logits = network.train()(IMAGES)
    assert logits.shape == (2, 1 + CLASSES, 19, 26)
    iterate(network, network.parameter_groups(0.1, 2), [logits])


@pytest.mark.parametrize("kind", ["unet", "resnet"])
@pytest.mark.parametrize("name", NAMES)
def test_annotation_consistency(name, kind):
    torch.manual_seed(0)
    values = {"backbone": name, "network": kind, "width": 6, "decoder_width": 8, "decoder_layers": 1}
    network = ConditionalNetwork(AnnotationConsistencyInitialise(**values), CLASSES).train()
    features = network(IMAGES)
    assert features.shape[2:] == (-(-75 // network.stride), -(-101 // network.stride))
    noise = nn.functional.interpolate(network.draw_noise(2, 75, 101), features.shape[2:])
    labels = network.classify(network.mix(torch.cat([features, noise], dim=1)))
    assert network.stride == (network.backbone.strides[0] if kind == "unet" else network.backbone.strides[-1])
    iterate(network, network.parameter_groups(network.backbone, 0.1, 2), [labels, *network.backbone(IMAGES)])


@pytest.mark.parametrize("norm", ["group", "frozen"])
@pytest.mark.parametrize("name", NAMES)
def test_community_learning(name, norm):
    torch.manual_seed(0)
    values = {"weights": "none", "regressor_width": 6, "activation_width": 5, "segmentation_width": 4, "roi_size": 3}
    settings = CommunityLearningTrain(backbone=name, norm=norm, mask_size=8, **values)
    if "hrnet" in name:
        with pytest.raises(InputError, match=f"cannot cut backbone {name}"):
            CommunityNetwork(settings, CLASSES)
        return
    network = CommunityNetwork(settings, CLASSES).train()
    maps = network(IMAGES)
    regions = torch.tensor([[0.0, 8, 8, 40, 56], [1, 0, 0, 30, 70]])
    detections = network.detect(maps, regions, 10)
    masks = network.segment(maps, regions, torch.tensor([1, 2]), 10)
    assert masks.segmentation.shape == (2, 8, 8)
    unused = ("branches.0.", "detector.offsets.class_specific.")  # of ablations
    names = [name for name, _ in network.named_parameters() if name.startswith(unused)]
    iterate(network, network.parameter_groups(0.1, 2, 2), [*detections, *masks], names)


@pytest.mark.parametrize("name", NAMES)
def test_maskrcnn(name):
    torch.manual_seed(0)
    scale = {
        "min_size": 64, "max_size": 96, "fpn_channels": 16, "anchor_scale": 3, "proposals_before_nms": (64, 64),
        "proposals_after_nms": (64, 32), "rois": 16, "box_width": 16, "mask_width": 8, "mask_layers": 1,
    }  # fmt: skip
    network = build_maskrcnn(MaskrcnnTrain(backbone=name, **scale), CLASSES).train()
    masks = torch.zeros(1, 75, 101, dtype=torch.uint8)
    masks[0, 10:40, 10:50] = 1
    target = {"boxes": torch.tensor([[10.0, 10, 50, 40]]), "labels": torch.tensor([2]), "masks": masks}
    losses = network(list(torch.rand(2, 3, 75, 101)), [target, dict(target)])
    assert len(losses) == 5 and all(loss.isfinite() for loss in losses.values())
    parameters = [{"params": [p for p in network.parameters() if p.requires_grad]}]
    iterate(network, parameters, list(losses.values()))


@pytest.mark.parametrize("name", ["timm/resnet18d", "timm/efficientnet_b0", "timm/regnetx_002"])
def test_the_last_level_loses_its_stride_for_proposals(name):
    features = CommunityNetwork(CommunityLearningTrain(backbone=name, weights="none"), CLASSES).features.eval()
    cropped = torch.randn(2, features.channels[2], 7, 7)
    assert features.last_level(cropped).shape == (2, features.channels[3], 7, 7)
    assert tuple(features.backbone.channels[-4:]) == features.channels


@pytest.mark.parametrize(
    ("who", "build"),
    [
        ("The network of BESTIE", lambda name: build_network(BestieTrain(backbone=name), CLASSES)),
        ("Learning to Segment", lambda name: build_semantic_network(LearningToSegmentTrain(backbone=name), CLASSES)),
        ("A U-Net", lambda name: ConditionalNetwork(AnnotationConsistencyInitialise(backbone=name), CLASSES)),
        (
            "Deep Community Learning",
            lambda name: CommunityNetwork(CommunityLearningTrain(backbone=name, weights="none"), CLASSES),
        ),
        ("Mask R-CNN", lambda name: build_maskrcnn(MaskrcnnTrain(backbone=name, weights="none"), CLASSES)),
    ],
)
@pytest.mark.parametrize("name", ["test_vit", "vit_small_patch16_dinov3", "xcit_nano_12_p16_224"])
def test_networks_that_need_several_strides_refuse_a_vision_transformer(who, build, name):
    said = rf"{who}.* all maps of backbone timm/{name} have stride 16; .*classifier_train"
    with torch.device("meta"), pytest.raises(InputError, match=said):
        build(f"timm/{name}")


def test_a_vision_transformer_classifies_tags():
    torch.manual_seed(0)
    settings = ClassifierTrain(backbone="timm/test_vit", output_stride="own", head_width=8)
    network = build_classifier(settings, CLASSES)
    logits, maps = network.train()(IMAGES)
    assert logits.shape == (2, CLASSES) and maps.shape[2:] == (5, 7)
    iterate(network, network.parameter_groups(0.1, 2), [logits])


def test_a_vision_transformer_is_the_trunk_of_a_conditional_network():
    torch.manual_seed(0)
    values = {"backbone": "timm/test_vit", "network": "resnet", "weights": "none"}
    network = ConditionalNetwork(AnnotationConsistencyInitialise(**values), CLASSES).train()
    features = network(IMAGES)
    assert network.stride == 16 and features.shape == (2, 64, 5, 7)
    noise = nn.functional.interpolate(network.draw_noise(2, 75, 101), features.shape[2:])
    labels = network.classify(network.mix(torch.cat([features, noise], dim=1)))
    iterate(network, network.parameter_groups(network.backbone, 0.1, 2), [labels])
