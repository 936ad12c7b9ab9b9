"""The network of Deep Community Learning: its equations, its chunks, and masks of proposals in the image."""

import community_reference as plain
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from wsis_steps.community_learning.detector import midn_scores, offsets_of, refined_scores
from wsis_steps.community_learning.features import Features, use_group_norm
from wsis_steps.community_learning.inference import Found, View, keep_best, make_views, mean_masks, paste, vote
from wsis_steps.community_learning.mask_generation import ActivationBranch, activation_map, pseudo_masks, weighted_mean
from wsis_steps.community_learning.network import CommunityNetwork, to_regions
from wsis_steps.community_learning.objective import batch_loss
from wsis_steps.community_learning.settings import CommunityLearningInfer, CommunityLearningTrain
from wsis_steps.vision.backbones import build_backbone
from wsis_steps.vision.batches import stack_pictures

TINY = {
    "backbone": "small", "weights": "none", "regressor_width": 6, "activation_width": 5, "mask_size": 8,
    "segmentation_width": 4, "segmentation_layers": 2, "roi_size": 3, "batch_size": 2,
}  # fmt: skip


def network(**values) -> CommunityNetwork:
    torch.manual_seed(0)
    return CommunityNetwork(CommunityLearningTrain(**{**TINY, **values}), class_count=3)


def some_boxes(seed: int, count: int, side: float = 48) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 0.6 * side, (count, 2))
    return torch.from_numpy(np.hstack([corner, corner + rng.uniform(4, 0.4 * side, (count, 2))])).float()


def batch(count: int = 20) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    pictures = [
        torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8) for size in ((48, 40), (32, 48))
    ]
    tags = [torch.tensor([True, False, True]), torch.tensor([False, True, False])]
    return [
        {
            "picture": picture,
            "boxes": some_boxes(k, count + k, 32),
            "tags": own,
            "luck": torch.rand(count + k, generator=generator),
        }
        for k, (picture, own) in enumerate(zip(pictures, tags, strict=True))
    ]


def test_midn_scores_are_equations_11_to_13():
    rng = np.random.default_rng(0)
    classes, places = (torch.from_numpy(rng.normal(0, 2, (7, 3))) for _ in range(2))
    expected = torch.tensor(plain.midn(classes.tolist(), places.tolist()))
    scores = midn_scores(classes, places)
    torch.testing.assert_close(scores, expected)
    assert (scores.sum(dim=0) <= 1 + 1e-6).all()  # so that phi is a probability


def test_refined_scores_are_the_mean_of_the_heads():
    refined = torch.randn(5, 3, 4)
    torch.testing.assert_close(
        refined_scores(refined), sum(refined[:, k].softmax(dim=1) for k in range(3)) / 3
    )  # fmt: skip


def test_offsets_of_a_class_are_its_own_four():
    offsets = torch.arange(24.0).reshape(2, 12)
    assert offsets_of(offsets, torch.tensor([1, 3])).tolist() == [[0, 1, 2, 3], [20, 21, 22, 23]]
    assert offsets_of(offsets[:, :4], torch.tensor([2, 1])).tolist() == offsets[:, :4].tolist()


def test_activation_maps_are_equation_15_brought_to_0_and_1():
    features, weights = torch.randn(3, 5, 4, 4).double(), torch.randn(3, 5).double()
    maps = activation_map(features, weights)
    for r in range(3):
        torch.testing.assert_close(
            maps[r].double(), torch.tensor(plain.activation_map(features[r].tolist(), weights[r].tolist())).double(),
            atol=1e-5, rtol=1e-5,
        )  # fmt: skip
    assert not activation_map(torch.ones(1, 5, 4, 4), torch.ones(1, 5)).any()  # even: nothing stands out


def test_pseudo_masks_are_where_the_mean_map_is_above_the_threshold_and_give_no_gradient():
    maps = torch.tensor([[[0.4, 0.41], [0.0, 1.0]]], requires_grad=True)
    masks = pseudo_masks(maps, 0.4)
    assert masks.tolist() == [[[False, True], [False, True]]] and not masks.requires_grad


def test_weighted_pooling_is_a_mean_that_favors_the_middle():
    even = weighted_mean(torch.full((2, 3, 7, 7), 4.0), 0.25)
    torch.testing.assert_close(even, torch.full((2, 3), 4.0))
    middle, corner = torch.zeros(1, 1, 7, 7), torch.zeros(1, 1, 7, 7)
    middle[..., 3, 3] = corner[..., 0, 0] = 1
    distance = 2 * (3 / 7) ** 2  # squared, of the corner's cell from the middle, in sides
    ratio = weighted_mean(corner, 0.25) / weighted_mean(middle, 0.25)
    assert float(ratio) == pytest.approx(np.exp(-0.5 * distance / 0.25**2), rel=1e-4)
    torch.testing.assert_close(weighted_mean(corner, 0), torch.full((1, 1), 1 / 49))


def test_a_branch_has_a_logit_of_its_pooled_map_for_each_class():
    torch.manual_seed(0)
    branch = ActivationBranch(4, class_count=3, width=5, background=True, smoothing=True, sigma=0.25)
    features, categories = torch.rand(6, 4, 8, 8), torch.tensor([0, 1, 2, 3, 1, 1])
    logits, maps = branch(features, categories)
    assert logits.shape == (6, 4) and maps.shape == (6, 8, 8)
    hidden = branch.convolution((1 + features).log()).relu()
    torch.testing.assert_close(logits, branch.classifier(weighted_mean(hidden, 0.25)))
    assert maps.amin() == 0 and maps.amax() == 1


def test_without_background_its_regions_have_no_map():
    branch = ActivationBranch(4, class_count=3, width=5, background=False, smoothing=False, sigma=0)
    logits, maps = branch(torch.rand(3, 4, 8, 8), torch.tensor([0, 1, 3]))
    assert logits.shape == (3, 3) and not maps[0].any() and maps[1:].any()


def test_group_normalization_takes_the_place_of_every_batch_normalization():
    backbone = build_backbone("resnet50")
    use_group_norm(backbone)
    kinds = {type(module) for module in backbone.modules()}
    assert nn.GroupNorm in kinds and nn.BatchNorm2d not in kinds
    assert backbone.bn1.num_groups == 32
    odd = nn.Sequential(nn.BatchNorm2d(24))
    use_group_norm(odd)
    assert odd[0].num_groups == 8


@pytest.mark.parametrize("name, channels", [("resnet50", (256, 512, 1024, 2048)), ("mobilenet_v2", (24, 32, 96, 1280))])
def test_the_last_level_keeps_the_size_of_what_was_cropped(name, channels):
    features = Features(name, "none", "imagenet", "frozen", "align").eval()
    maps = features(torch.rand(1, 3, 64, 64))
    assert features.channels == channels and [m.shape[1] for m in maps] == list(channels[:3])
    cropped = features.crop(maps, 2, torch.tensor([[0.0, 8, 8, 40, 56]]), 7)
    assert features.last_level(cropped).shape == (1, channels[3], 7, 7)


@pytest.mark.parametrize("roi", ["align", "pool"])
def test_crops_are_of_the_right_place(roi):
    features = Features("small", "none", "imagenet", "frozen", roi)
    ramp = torch.arange(32.0).expand(1, 1, 32, 32)  # of stride 8: pixels 0 to 256
    columns = features.crop([ramp, ramp, ramp], 2, torch.tensor([[0.0, 64, 0, 192, 256]]), 4)[0, 0]
    assert (columns == columns[:1]).all() and (columns.diff(dim=1) > 0).all()
    if roi == "align":  # cells of 4 columns from column 8 on, whose middles lie at 9.5, 13.5, ...
        torch.testing.assert_close(columns[0], torch.tensor([9.5, 13.5, 17.5, 21.5]))


@pytest.mark.parametrize("norm", ["group", "frozen"])
def test_chunks_change_neither_result_nor_gradient(norm):
    found = {}
    for chunk in (7, 1000):
        model = network(norm=norm, roi_chunk=chunk)
        torch.manual_seed(5)
        terms = batch_loss(model, batch())
        terms["total"].backward()
        found[chunk] = terms, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    for one, other in zip(found[7], found[1000], strict=True):
        assert one.keys() == other.keys() and len(one) > 5
        for name in one:
            size = float(other[name].detach().abs().max())  # sums in another order, so equal up to rounding
            torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-4 * size + 1e-6, msg=name)


def test_mixed_precision_gives_nearly_the_same_loss():
    found = []
    for mixed in (False, True):
        model = network(roi_chunk=7)
        torch.manual_seed(5)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            terms = batch_loss(model, batch())
        terms["total"].backward()
        found.append(terms)
    for name, value in found[0].items():
        assert found[1][name].dtype == torch.float32
        torch.testing.assert_close(found[1][name], value, rtol=0.05, atol=1e-3, msg=name)


def test_every_part_learns_from_the_loss():
    model = network()
    batch_loss(model, batch())["total"].backward()
    lacking = [name for name, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    unused = ("branches.0.", "detector.offsets.class_specific.")  # of ablations
    assert not [name for name in lacking if not name.endswith("bias") and not name.startswith(unused)]


@pytest.mark.parametrize("pooling", ["mean", "none"])
def test_only_a_regressor_without_pooling_sees_where_in_a_proposal_its_features_lie(pooling):
    detector = network(regressor_pooling=pooling).detector
    features = torch.randn(4, detector.classes.in_features, 3, 3, generator=torch.Generator().manual_seed(1))
    found, mirrored = detector(features), detector(features.flip(3))
    torch.testing.assert_close(found.refined, mirrored.refined)
    assert torch.allclose(found.offsets, mirrored.offsets, atol=1e-6) == (pooling == "mean")


ABLATIONS = [
    ({}, {"activation1", "activation2", "activation3", "regression", "segmentation"}),
    ({"mask_generation": False, "segmentation": False, "regression": "none"}, set()),
    ({"segmentation": False, "regression": "none"}, {"activation1", "activation2", "activation3"}),
    ({"regression": "class_specific", "activation_maps": 1}, {"activation1", "regression", "segmentation"}),
    (
        {"activation_maps": 4, "background_map": False, "weighted_pooling": False, "feature_smoothing": False},
        {*(f"activation{k}" for k in (1, 2, 3, 4)), "regression", "segmentation"},
    ),
]


@pytest.mark.parametrize("values, more", ABLATIONS)
def test_ablations_have_the_terms_of_their_parts(values, more):
    terms = batch_loss(network(**values), batch())
    assert set(terms) == {"classification", "refinement1", "refinement2", "refinement3", "total"} | more
    rest = sum(value for name, value in terms.items() if name != "total")
    torch.testing.assert_close(terms["total"], rest)


@pytest.mark.parametrize("norm", ["group", "frozen"])
def test_a_picture_has_the_loss_that_it_has_alone_beside_a_larger_one(norm):
    samples = batch()
    assert samples[0]["picture"].shape != samples[1]["picture"].shape
    model = network(norm=norm, image_losses="mean")
    together, alone = batch_loss(model, samples), [batch_loss(model, [sample]) for sample in samples]
    for name, value in together.items():
        torch.testing.assert_close(value, (alone[0][name] + alone[1][name]) / 2, rtol=1e-5, atol=1e-6, msg=name)


def test_losses_of_images_are_summed_whatever_the_parts_of_the_batch():
    samples = batch()
    mean = batch_loss(network(image_losses="mean"), samples)["total"]
    model = network(image_losses="sum")  # of a batch of two
    torch.testing.assert_close(batch_loss(model, samples)["total"], 2 * mean)
    parts = [batch_loss(model, [sample])["total"] for sample in samples]
    torch.testing.assert_close(sum(parts) / 2, 2 * mean)  # as the loop averages them


def test_an_image_without_tags_has_a_loss_too():
    samples = [{**sample, "tags": torch.zeros(3, dtype=torch.bool)} for sample in batch()]
    terms = batch_loss(network(), samples)
    terms["total"].backward()
    assert torch.isfinite(terms["total"]) and float(terms["regression"].detach()) == 0


def test_segmentation_learns_from_the_maps_and_no_detector_without_it():
    with pytest.raises(ValidationError, match="segmentation learns from mask_generation"):
        CommunityLearningTrain(mask_generation=False)
    with pytest.raises(ValidationError, match="does not divide"):
        CommunityLearningTrain(batch_size=4, accumulation=3)


def test_pictures_of_several_sizes_are_stacked_with_the_mean_color_around():
    pictures = [sample["picture"] for sample in batch()]
    backbone = build_backbone("small")
    stacked = stack_pictures(pictures, backbone.normalize)
    assert stacked.shape == (2, 3, 48, 48)
    torch.testing.assert_close(stacked[0, :, :48, :40], backbone.normalize(pictures[0]))
    assert not stacked[0, :, :, 40:].any() and not stacked[1, :, 32:].any()


def test_regions_know_their_image():
    regions = to_regions([some_boxes(0, 2), some_boxes(1, 0), some_boxes(2, 3)])
    assert regions[:, 0].tolist() == [0, 0, 2, 2, 2] and regions.shape == (5, 5)


def test_learning_rates_of_the_groups():
    model = network(norm="frozen")
    groups = model.parameter_groups(1e-3, head_lr_factor=10, bias_lr_factor=2)
    assert sorted(group["lr"] for group in groups) == pytest.approx([1e-3, 1e-2, 2e-2])  # frozen: no biases below
    listed = [p for group in groups for p in group["params"]]
    assert len(listed) == len(set(listed)) == sum(p.requires_grad for p in model.parameters())


def test_boxes_of_a_view_lead_back_to_the_image():
    for mirrored in (False, True):
        view = View([], torch.tensor([2.0, 1.5, 2, 1.5]), mirrored, 96)
        boxes = some_boxes(0, 5)
        torch.testing.assert_close(view.back(view.boxes(boxes)), boxes)
    assert view.boxes(torch.tensor([[0.0, 0, 10, 10]])).tolist() == [[76, 0, 96, 15]]


def test_a_mirrored_picture_has_mirrored_masks():
    model = network(norm="frozen").eval()
    picture = batch()[0]["picture"]
    found = Found(some_boxes(0, 4, 32), torch.tensor([1, 2, 3, 1]), torch.ones(4))
    settings = CommunityLearningInfer(short_sides=(40, 56))
    with torch.inference_mode():
        masks = mean_masks(model, make_views(model, picture, settings), found, chunk=3)
        mirrored = Found(View([], torch.ones(4), True, 40).boxes(found.boxes), found.categories, found.scores)
        others = mean_masks(model, make_views(model, picture.flip(-1), settings), mirrored, chunk=100)
    torch.testing.assert_close(others.flip(-1), masks, atol=1e-4, rtol=1e-3)
    assert masks.shape == (4, 8, 8) and masks.amin() >= 0 and masks.amax() <= 1


def test_what_is_weak_small_outside_or_covered_is_no_detection():
    boxes = torch.tensor([[0, 0, 10, 10], [1, 0, 11, 10], [1, 0, 11, 10], [-5, -5, 0.5, 8], [20, 20, 40, 40]]).float()
    found = Found(boxes, torch.tensor([1, 1, 2, 1, 3]), torch.tensor([0.9, 0.8, 0.7, 0.6, 0.05]))
    kept = keep_best(found, 30, 30, CommunityLearningInfer(min_score=0.1))
    assert kept.categories.tolist() == [1, 2] and kept.scores.tolist() == pytest.approx([0.9, 0.7])
    kept = keep_best(found, 30, 30, CommunityLearningInfer(min_score=0.01, detections=3))
    assert kept.boxes[-1].tolist() == [20, 20, 30, 30]
    nothing = Found(boxes, found.categories, torch.zeros(5))
    assert len(keep_best(nothing, 30, 30, CommunityLearningInfer(min_score=0)).boxes) == 0


def test_pasted_masks_lie_in_their_boxes():
    ones = torch.ones(2, 4, 4)
    boxes = torch.tensor([[2.0, 3, 8, 5], [0, 0, 1, 10]])
    masks = paste(ones, boxes, 10, 12, 0.4)
    assert masks[0].nonzero().amin(0).tolist() == [3, 2] and masks[0].nonzero().amax(0).tolist() == [4, 7]
    assert masks[0].sum() == 12 and masks[1].sum() == 10
    half = torch.zeros(1, 4, 4)
    half[:, :, 2:] = 1
    pasted = paste(half, torch.tensor([[0.0, 0, 8, 8]]), 8, 8, 0.5)[0]
    assert pasted[:, 4:].all() and not pasted[:, :4].any()


@pytest.mark.parametrize("seed", range(3))
def test_voting_takes_the_mean_of_the_boxes_of_a_class_that_overlap_the_best_one(seed):
    boxes, generator = some_boxes(seed, 30), torch.Generator().manual_seed(seed)
    found = Found(boxes, torch.randint(1, 3, (30,), generator=generator), torch.rand(30, generator=generator))
    settings = CommunityLearningInfer(nms=0.2, min_score=0.2)
    plainly, voted = (
        keep_best(found, 48, 48, settings),
        keep_best(found, 48, 48, settings.model_copy(update={"box_voting": 0.3})),
    )
    assert torch.equal(plainly.scores, voted.scores) and torch.equal(plainly.categories, voted.categories)
    moved = 0
    for best, mean, category in zip(plainly.boxes, voted.boxes, plainly.categories, strict=True):
        rows = [
            r for r in range(30)
            if found.categories[r] == category and found.scores[r] >= 0.2
            and plain.overlap(boxes[r].tolist(), best.tolist()) > 0.3
        ]  # fmt: skip
        assert mean.tolist() == pytest.approx(np.average(boxes[rows].numpy(), 0, found.scores[rows].numpy()), rel=1e-4)
        moved += len(rows) > 1
    assert moved


@pytest.mark.parametrize("seed", range(3))
def test_mixed_precision_shifts_no_voted_box(seed):
    boxes, generator = 800 + some_boxes(seed, 30), torch.Generator().manual_seed(seed)
    found = Found(boxes, torch.randint(1, 3, (30,), generator=generator), torch.rand(30, generator=generator))
    best = Found(*(column[:8] for column in found))
    with torch.autocast("cpu", torch.bfloat16):  # whose numbers near 800 are 4 apart
        voted = vote(best, found, 0.3)
    assert voted.boxes.dtype == torch.float32
    for mean, box, category in zip(voted.boxes, best.boxes, best.categories, strict=True):
        near = [r for r in range(30) if plain.overlap(boxes[r].tolist(), box.tolist()) > 0.3]
        rows = [r for r in near if found.categories[r] == category]
        assert mean.tolist() == pytest.approx(np.average(boxes[rows].numpy(), 0, found.scores[rows].numpy()), abs=1e-3)
