"""Mask R-CNN with weights and ignored regions: torchvision's losses as oracle, and what must not matter."""

import numpy as np
import pytest
import torch
from torchvision.models.detection import roi_heads as reference_heads
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import MultiScaleRoIAlign

from wsis_steps.engine.errors import InputError
from wsis_steps.maskrcnn import detections
from wsis_steps.maskrcnn.heads import box_losses, ignored_share, mask_loss
from wsis_steps.maskrcnn.network import build_maskrcnn, load_maskrcnn, refuse_mask_weights
from wsis_steps.maskrcnn.pasting import cut_masks
from wsis_steps.maskrcnn.settings import MaskrcnnInfer, MaskrcnnTrain
from wsis_steps.vision.backbones import build_backbone
from wsis_steps.vision.masks import decode
from wsis_steps.vision.models import TrainedModel
from wsis_steps.vision.weights import load_weights

SMALL = {
    "backbone": "small",
    "min_size": 96,
    "max_size": 96,
    "fpn_channels": 32,
    "anchor_scale": 3,
    "proposals_before_nms": (64, 64),
    "proposals_after_nms": (64, 32),
    "rois": 32,
    "box_width": 32,
    "mask_width": 16,
    "mask_layers": 1,
}
LOSSES = {"loss_classifier", "loss_box_reg", "loss_mask", "loss_objectness", "loss_rpn_box_reg"}


def small_maskrcnn(inference=None, **settings):
    torch.manual_seed(0)
    model = build_maskrcnn(MaskrcnnTrain(**(SMALL | settings)), 3, inference=inference)
    model.backbone.body.fix_norm()  # so that losses depend on their own image alone
    return model


def target_of(boxes, labels, size=96, **extra):
    masks = torch.zeros(len(boxes), size, size, dtype=torch.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = 1
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "masks": masks,
        **extra,
    }


def images_and_targets():
    images = list(torch.rand(3, 3, 96, 96, generator=torch.Generator().manual_seed(1)))
    targets = [
        target_of([(10, 12, 40, 50), (50, 50, 90, 80)], [1, 3]),
        target_of([], []),
        target_of([(5, 60, 30, 90)], [2]),
    ]
    return images, targets


def losses_of(model, images, targets, seed=5):
    torch.manual_seed(seed)
    return model.train()(images, targets)


def gradients_of(model, images, targets):
    model.zero_grad()
    sum(losses_of(model, images, targets).values()).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


# --- equality with torchvision


@pytest.mark.parametrize("with_keys", [False, True])
def test_without_weights_and_ignored_regions_losses_and_gradients_are_torchvision_s(monkeypatch, with_keys):
    model = small_maskrcnn()
    images, targets = images_and_targets()
    plain = [dict(target) for target in targets]
    if with_keys:
        for target in targets:
            target["weights"] = torch.ones(len(target["labels"]))
            target["ignore"] = torch.zeros(96, 96, dtype=torch.bool)
    ours, our_gradients = losses_of(model, images, targets), gradients_of(model, images, targets)
    monkeypatch.setattr(reference_heads, "project_masks_on_boxes", cut_masks)
    monkeypatch.setattr(model.rpn, "__class__", RegionProposalNetwork)
    monkeypatch.setattr(model.roi_heads, "__class__", RoIHeads)
    theirs, their_gradients = losses_of(model, images, plain), gradients_of(model, images, plain)
    assert set(ours) == set(theirs) == LOSSES
    for name in LOSSES:
        assert theirs[name] > 0
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-6, atol=0)
    for name, gradient in their_gradients.items():
        torch.testing.assert_close(our_gradients[name], gradient, rtol=1e-4, atol=1e-6)


def test_box_and_mask_losses_of_weight_one_are_torchvision_s_functions():
    torch.manual_seed(0)
    logits, deltas, labels = torch.randn(9, 4), torch.randn(9, 16), torch.arange(9) % 4
    regression = torch.randn(9, 4)
    expected = reference_heads.fastrcnn_loss(logits, deltas, [labels], [regression])
    torch.testing.assert_close(box_losses(logits, deltas, labels, regression, torch.ones(9)), expected)
    mask_logits, masks = torch.randn(2, 4, 28, 28), (torch.rand(2, 60, 60) > 0.5).byte()
    boxes, index = torch.tensor([[3.0, 4, 40, 50], [0, 0, 60, 60]]), torch.tensor([1, 0])
    mask_labels = torch.tensor([3, 1])
    expected = reference_heads.maskrcnn_loss(mask_logits, [boxes], [masks], [mask_labels], [index])
    targets = reference_heads.project_masks_on_boxes(masks, boxes, index, 28)
    torch.testing.assert_close(mask_loss(mask_logits, targets, mask_labels[index], torch.ones(2)), expected)


def test_losses_are_linear_in_the_weights():
    torch.manual_seed(0)
    logits, deltas, labels = torch.randn(9, 4), torch.randn(9, 16), torch.arange(9) % 4
    arguments = (logits, deltas, labels, torch.randn(9, 4))
    parts = [torch.stack(box_losses(*arguments, row)) for row in torch.eye(9)]
    weights = torch.rand(9)
    expected = sum(weight * part for weight, part in zip(weights, parts, strict=True))
    torch.testing.assert_close(torch.stack(box_losses(*arguments, weights)), expected)
    mask_arguments = (torch.randn(9, 4, 7, 7), torch.rand(9, 7, 7), labels.clamp(min=1))
    parts = [mask_loss(*mask_arguments, row) for row in torch.eye(9)]
    expected = sum(weight * part for weight, part in zip(weights, parts, strict=True))
    torch.testing.assert_close(mask_loss(*mask_arguments, weights), expected)


# --- weights


def test_what_an_instance_of_weight_zero_looks_like_changes_no_gradient():
    model = small_maskrcnn()
    images, targets = images_and_targets()
    other = [dict(target) for target in targets]
    for chosen in (targets, other):
        chosen[0]["weights"] = torch.tensor([1.0, 0.0])
    other[0]["labels"] = torch.tensor([1, 2])
    other[0]["masks"] = torch.stack([targets[0]["masks"][0], 1 - targets[0]["masks"][1]])
    first, second = gradients_of(model, images, targets), gradients_of(model, images, other)
    assert all(torch.equal(first[name], second[name]) for name in first)
    for chosen in (targets, other):
        chosen[0]["weights"] = torch.tensor([1.0, 0.5])
    first, second = gradients_of(model, images, targets), gradients_of(model, images, other)
    assert not torch.equal(
        first["backbone.fpn.layer_blocks.0.0.weight"], second["backbone.fpn.layer_blocks.0.0.weight"]
    )


def test_weights_of_zero_leave_only_the_losses_of_the_background():
    model = small_maskrcnn()
    images, targets = images_and_targets()
    full = losses_of(model, images, targets)
    for target in targets:
        target["weights"] = torch.zeros(len(target["labels"]))
    losses = losses_of(model, images, targets)
    for name in ("loss_box_reg", "loss_mask", "loss_rpn_box_reg"):
        assert losses[name] == 0
    for name in ("loss_classifier", "loss_objectness"):
        assert 0 < losses[name] < full[name]


def test_further_losses_see_the_weight_of_every_region():
    model, (images, targets) = small_maskrcnn(), images_and_targets()
    for target, weights in zip(targets, ([0.25, 0.5], [], [0.75]), strict=True):
        target["weights"] = torch.tensor(weights)
    seen = []
    model.roi_heads.further_losses = lambda *arguments: seen.append(arguments) or {"further": arguments[0].sum()}
    assert set(losses_of(model, images, targets)) == LOSSES | {"further"}
    logits, weights, mask_logits, labels, mask_weights = seen[0]
    assert len(logits) == len(weights) > len(mask_logits) == len(labels) == len(mask_weights) > 0
    of_label = torch.tensor([1.0, 0.25, 0.75, 0.5])  # the targets have a class each
    torch.testing.assert_close(mask_weights, of_label[labels])
    assert sorted(weights.tolist()) == sorted([*mask_weights.tolist(), *[1.0] * (len(logits) - len(labels))])


def test_halved_weights_halve_the_losses_of_boxes_and_masks():
    model = small_maskrcnn()
    images, targets = images_and_targets()
    full = losses_of(model, images, targets)
    for target in targets:
        target["weights"] = torch.full((len(target["labels"]),), 0.5)
    halved = losses_of(model, images, targets)
    for name in ("loss_box_reg", "loss_mask", "loss_rpn_box_reg"):
        torch.testing.assert_close(halved[name], full[name] / 2)


# --- ignored regions


def test_ignored_share_equals_counting_pixels():
    generator = torch.Generator().manual_seed(0)
    region = torch.rand(20, 30, generator=generator) > 0.4
    corner = torch.rand(50, 2, generator=generator) * torch.tensor([30, 20])
    boxes = torch.cat([corner - 5, corner + 1 + 8 * torch.rand(50, 2, generator=generator)], dim=1)
    expected = []
    for x1, y1, x2, y2 in boxes.round().int().tolist():
        inside = region[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)].float()
        expected.append(inside.mean().item() if inside.numel() else 0.0)
    torch.testing.assert_close(ignored_share(boxes, region), torch.tensor(expected))


def test_an_image_ignored_as_a_whole_has_no_loss_but_keeps_finite_gradients():
    model = small_maskrcnn()
    images = [torch.rand(3, 96, 96)]
    ignored = [target_of([], [], ignore=torch.ones(96, 96, dtype=torch.bool))]
    losses = losses_of(model, images, ignored)
    assert set(losses) == LOSSES and all(loss == 0 for loss in losses.values())
    gradients = gradients_of(model, images, ignored)
    assert all(torch.isfinite(g).all() and not g.any() for g in gradients.values())


def test_proposals_in_an_ignored_region_are_dropped_unless_they_match_an_instance():
    heads = small_maskrcnn().roi_heads
    region = torch.zeros(96, 96, dtype=torch.bool)
    region[:, 48:] = True
    target = target_of([(60, 10, 90, 40)], [1], ignore=region)
    proposals = torch.tensor(
        [
            [0.0, 0, 40, 40],  # outside
            [50, 50, 90, 90],  # inside
            [40, 50, 56, 70],  # half in: not more than half
            [40, 50, 58, 70],  # more than half in
            [61, 10, 90, 40],  # inside, but on the instance
        ]
    )
    kept = heads._without_ignored(proposals, target)
    assert torch.equal(kept, proposals[[0, 2, 4]])


def test_anchors_in_an_ignored_region_are_not_used_and_weights_ride_on_the_labels():
    network = small_maskrcnn().rpn
    region = torch.zeros(96, 96, dtype=torch.bool)
    region[:, 48:] = True
    target = target_of([(60, 10, 90, 40)], [1], ignore=region, weights=torch.tensor([0.25]))
    anchors = torch.tensor([[0.0, 0, 40, 40], [50, 50, 90, 90], [40, 50, 56, 70], [61, 10, 90, 40]])
    labels, boxes = network.assign_targets_to_anchors([anchors], [target])
    assert labels[0].tolist() == [0, -1, 0, 1.25]
    assert torch.equal(boxes[0][3], target["boxes"][0])


def test_objectness_in_an_ignored_region_gets_no_gradient_and_elsewhere_it_does():
    model = small_maskrcnn(anchor_scale=1)
    images, _ = images_and_targets()
    region = torch.zeros(96, 96, dtype=torch.bool)
    region[:, :48] = True
    logits = []

    def keep(module, inputs, outputs):
        logits.extend(outputs[0])
        [level.retain_grad() for level in outputs[0]]

    model.rpn.head.register_forward_hook(keep)
    losses_of(model, images[:1], [target_of([(60, 10, 90, 40)], [1], ignore=region)])["loss_objectness"].backward()
    finest = logits[0].grad[0]  # 3 anchors x 24 x 24, of stride 4 and side 4
    assert not finest[..., :11].any()
    assert finest[..., 13:].any()


@pytest.mark.parametrize("ignored", [False, True])
def test_rois_in_an_ignored_region_are_not_sampled(monkeypatch, ignored):
    model = small_maskrcnn()
    images, _ = images_and_targets()
    region = torch.zeros(96, 96, dtype=torch.bool)
    region[:, :48] = True
    target = target_of([(60, 10, 90, 40)], [1]) | ({"ignore": region} if ignored else {})
    sampled, pool = [], model.roi_heads.box_roi_pool.forward

    def record(features, boxes, shapes):
        sampled.append(boxes[0])
        return pool(features, boxes, shapes)

    monkeypatch.setattr(model.roi_heads.box_roi_pool, "forward", record)
    losses_of(model, images[:1], [target])
    assert len(sampled[0]) > 1
    assert (ignored_share(sampled[0], region) > 0.5).any() != ignored


def test_crowds_are_ignored_regions_and_no_instances():
    model = small_maskrcnn()
    images, targets = images_and_targets()
    crowd = dict(targets[0], iscrowd=torch.tensor([False, True]), weights=torch.tensor([0.5, 1.0]))
    by_hand = target_of([(10, 12, 40, 50)], [1], weights=torch.tensor([0.5]))
    by_hand["ignore"] = targets[0]["masks"][1].bool()
    ours, expected = (losses_of(model, images[:1], [t]) for t in (crowd, by_hand))
    for name in LOSSES:
        assert torch.equal(ours[name], expected[name])


def test_ignored_regions_are_resized_with_their_image():
    transform = small_maskrcnn(min_size=48, max_size=48).transform
    region = torch.zeros(96, 96, dtype=torch.bool)
    region[:40, :20] = True
    _, (target,) = transform([torch.rand(3, 96, 96)], [target_of([(10, 12, 40, 50)], [1], ignore=region)])
    expected = torch.zeros(48, 48, dtype=torch.bool)
    expected[:20, :10] = True
    assert torch.equal(target["ignore"], expected)
    assert target["boxes"].tolist() == [[5, 6, 20, 25]]


# --- the network as a whole


def test_a_batch_without_any_instance_trains():
    model = small_maskrcnn()
    images, targets = images_and_targets()
    losses = losses_of(model, images[1:2], targets[1:2])
    assert losses["loss_mask"] == losses["loss_box_reg"] == losses["loss_rpn_box_reg"] == 0
    assert losses["loss_classifier"] > 0 and losses["loss_objectness"] > 0
    gradients = gradients_of(model, images[1:2], targets[1:2])
    assert set(gradients) == {name for name, p in model.named_parameters() if p.requires_grad}
    assert all(torch.isfinite(g).all() for g in gradients.values())


def test_detections_have_labels_scores_and_masks_of_the_image_s_size():
    model = small_maskrcnn(MaskrcnnInfer(min_score=0.0, detections=7)).eval()
    with torch.no_grad():
        results = model([torch.rand(3, 60, 96), torch.rand(3, 96, 80)])
    for result, size in zip(results, [(60, 96), (96, 80)], strict=True):
        assert result["masks"].shape == (7, 1, *size)
        assert result["masks"].min() >= 0 and result["masks"].max() <= 1
        assert set(result["labels"].tolist()) <= {1, 2, 3}
        assert torch.equal(result["scores"], result["scores"].sort(descending=True).values)


@pytest.mark.parametrize("pixels", [1, 10_000, 1 << 25])
def test_detections_a_few_at_a_time_are_those_of_the_model(monkeypatch, pixels):
    monkeypatch.setattr(detections, "PIXELS", pixels)
    model = small_maskrcnn(MaskrcnnInfer(min_score=0.0, detections=20)).eval()
    generator = torch.Generator().manual_seed(2)
    pictures = [torch.randint(256, (3, *size), generator=generator).byte() for size in ((96, 96), (61, 140), (30, 33))]
    with torch.inference_mode():
        expected = model([picture.float() / 255 for picture in pictures])
    found = list(detections.detect(model, pictures))
    assert len(found) == 3
    for instances, there in zip(found, expected, strict=True):
        masks = (there["masks"][:, 0] >= 0.5).numpy()
        kept = masks.any(axis=(1, 2))  # instances have pixels
        assert kept.any()
        np.testing.assert_array_equal(decode(instances.rles, *masks.shape[1:]), masks[kept])
        np.testing.assert_array_equal(instances.scores, there["scores"].numpy()[kept])
        np.testing.assert_array_equal(instances.categories, there["labels"].numpy()[kept] - 1)


@pytest.mark.parametrize(
    ("name", "strides"),
    [("resnet50", (4, 8, 16, 32, 64)), ("mobilenet_v2", (4, 8, 16, 32, 64)), ("small", (4, 8, 16, 32))],
)
def test_pyramid_and_anchors_agree_for_every_backbone(name, strides):
    model = build_maskrcnn(MaskrcnnTrain(backbone=name, min_size=128, max_size=128), 20).eval()
    with torch.no_grad():
        maps = model.backbone(torch.rand(1, 3, 128, 128))
    assert [128 // m.shape[-1] for m in maps.values()] == list(strides) == list(model.backbone.strides)
    assert {m.shape[1] for m in maps.values()} == {256}
    assert model.rpn.anchor_generator.sizes == tuple((8 * stride,) for stride in strides)
    assert model.roi_heads.box_predictor.cls_score.out_features == 21


def test_masks_of_finer_features_leave_boxes_as_they_are():
    images, targets = images_and_targets()
    usual, finer = small_maskrcnn(), small_maskrcnn(mask_stride=2, mask_size=32)
    state = {name: value for name, value in finer.state_dict().items() if not name.startswith("roi_heads.mask")}
    own = usual.state_dict()
    shifted = {f"backbone.fpn.{part}_blocks.{i}": f"backbone.fpn.{part}_blocks.{i + 1}" for part in ("inner", "layer")
               for i in range(3)}  # fmt: skip
    for name in own:
        block = next((old for old in shifted if name.startswith(old + ".")), None)
        source = name.replace(block, shifted[block]) if block else name
        if source in state and state[source].shape == own[name].shape:
            own[name] = state[source]
    usual.load_state_dict(own)
    torch.manual_seed(0)
    losses = usual(images, targets)
    torch.manual_seed(0)
    with_finer = finer(images, targets)
    for name in LOSSES - {"loss_mask"}:
        torch.testing.assert_close(losses[name], with_finer[name])
    with_finer["loss_mask"].backward()
    assert finer.backbone.fpn.inner_blocks[0][0].weight.grad.abs().sum() > 0  # the level of stride 2 learns


def test_masks_have_the_size_that_is_set():
    model = small_maskrcnn(MaskrcnnInfer(min_score=0), mask_size=36).eval()
    sizes = []
    model.roi_heads.mask_predictor.register_forward_hook(lambda module, given, made: sizes.append(made.shape[-2:]))
    model([torch.rand(3, 96, 96)])
    assert sizes == [(36, 36)]


def test_a_stride_that_the_backbone_lacks_is_refused():
    with pytest.raises(InputError, match="backbone resnet50 has no level of stride 2; valid: 4"):
        build_maskrcnn(MaskrcnnTrain(backbone="resnet50", mask_stride=2), 3)


def test_models_of_before_read_their_features_as_they_were_trained(tmp_path):
    model = small_maskrcnn()
    state = {name: value for name, value in model.state_dict().items() if not name.endswith("centers")}
    settings = MaskrcnnTrain(**SMALL).model_dump(mode="json", exclude={"mask_stride", "mask_size"})
    old = load_maskrcnn(TrainedModel(tmp_path, state, settings, ("a", "b", "c"), ("tags",))).eval()
    maps, boxes = {str(s): torch.rand(1, 32, 96 // s, 96 // s) for s in (4, 8, 16)}, [torch.tensor([[8.0, 12, 60, 40]])]
    as_trained = MultiScaleRoIAlign(["4", "8", "16"], 7, 2)(maps, boxes, [(96, 96)])
    torch.testing.assert_close(old.roi_heads.box_roi_pool(maps, boxes, [(96, 96)]), as_trained)
    now = model.roi_heads.box_roi_pool(maps, boxes, [(96, 96)])
    assert (now - as_trained).abs().max() > 0.01


def test_weights_of_a_tag_classifier_enter_with_their_normalization(tmp_path):
    saved = build_backbone("small", 8, normalization="half")
    torch.save({f"backbone.{k}": v for k, v in saved.state_dict().items()}, tmp_path / "classifier.pt")
    model = build_maskrcnn(MaskrcnnTrain(**SMALL, frozen_levels=1), 3, str(tmp_path / "classifier.pt"))
    assert torch.equal(model.backbone.body.features[4][0].weight, saved.features[4][0].weight)
    image = torch.rand(3, 96, 96)
    torch.testing.assert_close(model.transform([image])[0].tensors[0], (255 * image - 128) / 128)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert "backbone.body.features.2.0.weight" in trained
    assert not {"backbone.body.features.0.0.weight", "backbone.body.features.2.1.weight"} & trained


def test_a_saved_model_comes_back_whole_into_one_built_from_none(tmp_path):
    saved_backbone = build_backbone("small", normalization="half")
    torch.save({f"backbone.{k}": v for k, v in saved_backbone.state_dict().items()}, tmp_path / "classifier.pt")
    model = build_maskrcnn(MaskrcnnTrain(**SMALL), 3, str(tmp_path / "classifier.pt")).eval()
    again = small_maskrcnn().eval()
    again.load_state_dict(model.state_dict())
    images = [torch.rand(3, 96, 96)]
    torch.testing.assert_close(again.transform(images)[0].tensors, model.transform(images)[0].tensors)
    with torch.no_grad():
        ours, theirs = again.backbone(images[0][None]), model.backbone(images[0][None])
    torch.testing.assert_close(ours["4"], theirs["4"])


@pytest.mark.parametrize("name", ["maskrcnn_resnet50_fpn", "models/mask_rcnn_r50.pth", "COCO_V1", "yolo-coco.pt"])
def test_names_that_speak_of_masks_are_refused(name):
    with pytest.raises(InputError, match="have seen masks"):
        refuse_mask_weights(name)


def test_files_with_a_mask_head_are_refused_whatever_their_name(tmp_path):
    path = tmp_path / "coco2017" / "innocent.pth"
    path.parent.mkdir()
    torch.save({"model": small_maskrcnn().state_dict()}, path)
    with pytest.raises(InputError, match=r"roi_heads\.mask"):
        build_maskrcnn(MaskrcnnTrain(**SMALL), 3, str(path))
    torch.save({f"backbone.{k}": v for k, v in build_backbone("small").state_dict().items()}, path)
    refuse_mask_weights(str(path))
    backbone = build_backbone("small")
    load_weights(backbone, str(path))
    for word in ("imagenet", "none"):
        refuse_mask_weights(word)
