"""Self-refinement and inference of BESTIE against a pixel-by-pixel version, by hand, and invariants."""

import bestie_reference as reference
import numpy as np
import pytest
import torch

from wsis_steps.bestie.centers import find_centers, list_pixels
from wsis_steps.bestie.grouping import pad_tables, semantic_components
from wsis_steps.bestie.losses import objective
from wsis_steps.bestie.refinement import (
    instances_from_outputs,
    instances_from_points,
    refine,
    refine_with_points,
)
from wsis_steps.bestie.settings import BestieInfer, BestieTrain, CenterFinding
from wsis_steps.bestie.targets import Targets, render_targets

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"))]


def inputs(scenes, device="cpu"):
    """Arguments of `refine` for a batch of scenes."""
    found = [semantic_components(scene[0], scene[4], 50) for scene in scenes]
    arrays = {
        "semantic": np.stack([scene[1] for scene in scenes]),
        "centers": np.stack([scene[2] for scene in scenes]),
        "offsets": np.stack([scene[3] for scene in scenes]),
        "components": np.stack([part.map for part in found]),
        "table": pad_tables([part.table for part in found]),
    }
    return {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}


def refined(scenes, device="cpu", **settings):
    return refine(**inputs(scenes, device), settings=BestieTrain(**settings))


def probability(logits):
    return torch.from_numpy(logits).softmax(dim=0).numpy()


def blank(shape=(60, 240)):
    """A scene of one class: a component of 40 x 220 pixels from (10, 10), no heat, and offsets of 50 px."""
    semantic = np.zeros(shape, np.uint8)
    semantic[10:50, 10:230] = 1
    logits = np.zeros((2, *shape), np.float32)  # probability 0.5
    return semantic, logits, np.zeros((1, *shape), np.float32), np.full((2, *shape), 50, np.float32), np.ones(1, bool)


def assert_same(made, expected):
    for mine, literal in zip(made, expected, strict=True):
        assert mine.dtype == torch.float32
        np.testing.assert_allclose(mine.cpu().numpy(), literal, atol=2e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("offsets", ["noisy", "specks"])
@pytest.mark.parametrize(("window", "gap"), [(41, 100), (9, 15)])
@pytest.mark.parametrize("seed", [0, 4, 8])
def test_refined_labels_are_those_of_the_literal_rule(seed, window, gap, offsets, device):
    scenes = [reference.scene(s, offsets=offsets) for s in range(seed, seed + 3)]
    made = refined(scenes, device, window=window, cluster_distance=gap)
    for b, (semantic, logits, heatmap, way, tags, _) in enumerate(scenes):
        expected = reference.refine(
            semantic, probability(logits), heatmap, way, np.flatnonzero(tags), window=window, gap=gap
        )
        assert_same([part[b] for part in made], expected)


def test_random_scenes_reach_every_branch_of_the_rule():
    seen = dict.fromkeys(("peaks", "clusters alone", "clusters beside peaks", "none", "too many", "several"), 0)
    for offsets, seed in [(o, s) for o in ("noisy", "specks") for s in (0, 1, 2, 4, 5, 6)]:
        semantic, _, heatmap, way, tags, _ = reference.scene(seed, offsets=offsets)
        for category in np.flatnonzero(tags):
            for pixels in reference.components(semantic == category + 1, 50):
                peaks = reference.peaks(heatmap[category], pixels, 0.3, 9)
                centers, _, parts = reference.divide(heatmap[category], way, pixels, 0.3, 9, 3, 15)
                count = sum(map(bool, parts))
                seen["peaks"] += bool(peaks)
                seen["clusters alone"] += not peaks and bool(centers)
                seen["clusters beside peaks"] += bool(peaks) and len(centers) > len(peaks)
                seen["none"] += not centers
                seen["too many"] += count > 5
                seen["several"] += 1 < count <= 5
    assert min(seen.values()) >= 2, seen


@pytest.mark.parametrize("seed", range(3))
def test_class_agnostic_centers_serve_all_classes(seed):
    semantic, logits, heatmap, way, tags, _ = reference.scene(seed)
    scene = semantic, logits, heatmap.max(axis=0, keepdims=True), way, tags
    made = refined([scene])
    expected = reference.refine(semantic, probability(logits), scene[2], way, np.flatnonzero(tags))
    assert_same([part[0] for part in made], expected)


def test_other_rules_are_followed():
    scenes = [reference.scene(s) for s in range(4)]
    made = refined(scenes, window=9, cluster_tolerance=0, min_refined_center=0.15, max_instances=100, sigma=3)
    for b, (semantic, logits, heatmap, way, tags, _) in enumerate(scenes):
        expected = reference.refine(
            semantic, probability(logits), heatmap, way, np.flatnonzero(tags), 0.15, 9, 0, sigma=3, most=100
        )
        assert_same([part[b] for part in made], expected)


def test_a_peak_gives_its_heat_times_the_probability():
    scene = blank()
    scene[2][0, 30, 100] = 0.8
    made = refined([scene])
    inside = torch.from_numpy(scene[0] > 0)
    assert torch.allclose(made.weight[0], 0.4 * inside)
    assert made.centers[0, 0, 30, 100] == 1
    assert made.offsets[0, :, 12, 20].tolist() == [18, 80]


def test_weight_is_at_most_one():
    scene = blank()
    scene[2][0, 30, 100] = 5
    assert refined([scene]).weight.max() == 1


def test_an_instance_without_its_peak_gets_the_centroid_and_the_probability():
    scene = blank()
    scene[2][0, 30, 100] = scene[2][0, 30, 150] = 0.8
    scene[3][:] = 0
    scene[3][1, :, 100] = 80  # the peak's own column points beyond the other peak
    left = refined([scene])
    assert left.centers[0, 0, 29, 119] == 1  # centroid of rows 10-49, columns 10-229, truncated
    assert left.weight[0, 30, 20] == pytest.approx(0.5) and left.weight[0, 30, 200] == pytest.approx(0.4)
    assert left.offsets[0, :, 30, 20].tolist() == [-1, 99]


def test_a_component_without_a_center_is_not_labelled():
    assert not any(part.any() for part in refined([blank()]))


@pytest.mark.parametrize(("count", "labelled"), [(5, True), (6, False)])
def test_components_of_too_many_instances_are_not_labelled(count, labelled):
    scene = blank()
    scene[3][:] = 0
    scene[2][0, 30, 15 : 15 + 35 * count : 35] = 0.9
    made = refined([scene], window=5)
    assert bool(made.weight.any()) == bool(made.centers.any()) == labelled


def test_an_empty_instance_does_not_count():
    scene = blank()
    scene[3][:] = 0
    scene[2][0, 30, 15 : 15 + 40 * 5 : 40] = 0.9
    scene[2][0, 48, 228] = 0.9
    scene[3][1, :, 195:] = -45  # whatever is near the sixth goes to the fifth
    made = refined([scene], window=5)
    assert made.weight.any() and (made.centers == 1).sum() == 5


@pytest.mark.parametrize(("distance", "kept"), [(20, 1), (21, 2)])
def test_peaks_suppress_lower_ones_within_the_window_of_their_component(distance, kept):
    scene = blank()
    scene[2][0, 30, 100], scene[2][0, 30, 100 + distance] = 0.9, 0.8
    scene[3][:] = 0
    made = refined([scene])
    assert (made.centers == 1).sum() == kept
    scene[0][:, 110] = 0  # two components
    assert (refined([scene]).centers == 1).sum() == 2


BLOBS = {  # areas of rows of short offsets
    18: [4, 5, 5, 4],
    19: [3, 5, 5, 5, 1],
    23: [4, 5, 5, 5, 4],
    24: [4, 5, 5, 5, 5],
}


def add_blob(way, top, left, rows):
    for y, length in enumerate(rows):
        way[:, top + y, left : left + length] = 0


@pytest.mark.parametrize(("area", "found"), [(18, False), (19, True), (23, True), (24, False)])
def test_clusters_have_an_area_close_to_21(area, found):
    scene = blank()
    scene[2][:] = 0.06
    add_blob(scene[3], 20, 60, BLOBS[area])
    made = refined([scene])
    assert bool(made.weight.any()) == found
    if found:
        assert made.weight.max() == pytest.approx(0.5)  # heat 1 times probability 0.5


@pytest.mark.parametrize(("heat", "found"), [(0.05, False), (0.051, True)])
def test_clusters_need_some_heat(heat, found):
    scene = blank()
    scene[2][:] = heat
    add_blob(scene[3], 20, 60, BLOBS[23])
    assert bool(refined([scene]).weight.any()) == found


def test_a_long_thin_cluster_is_one_cluster():
    scene = blank()
    scene[2][:] = 0.06
    add_blob(scene[3], 20, 60, [23])
    made = refined([scene])
    assert made.centers[0, 0, 20, 71] == 1
    scene[3][:, 20, 59] = scene[3][:, 21, 59] = 0  # 25 pixels, the last round a corner
    assert not refined([scene]).weight.any()


def test_of_a_large_cluster_no_part_is_taken():
    scene = blank()
    scene[2][:] = 0.06
    scene[3][:, 12, 60:200] = 0  # one pixel high, so that labels need longest to get through
    scene[3][:, 40:48, 60:200] = 0
    scene[3][:, 19:40, 100] = 0  # 21 pixels in a column on top of a wide cluster
    assert not refined([scene]).weight.any()


def test_clusters_do_not_join_over_the_border_of_the_image():
    scene = blank()
    scene[0][:] = 1
    scene[2][:] = 0.06
    add_blob(scene[3], 20, 229, [11, 11])  # 22 pixels at the right border
    add_blob(scene[3], 21, 0, [3])
    add_blob(scene[3], 0, 100, [21])
    add_blob(scene[3], 59, 100, [19])
    made = refined([scene, scene])
    assert (made.centers == 1).sum(dim=(1, 2, 3)).tolist() == [3, 3]


def test_a_cluster_around_another_component_has_no_center():
    scene = blank()
    scene[2][:] = 0.06
    scene[0][20:23, 57:64] = 2
    scene[3][:, 19, 56:65] = scene[3][:, 23, 56:65] = scene[3][:, 20:23, 56] = 0  # 21 pixels, open to the right
    both = scene[0], np.zeros((3, 60, 240), np.float32), np.repeat(scene[2], 2, axis=0), scene[3], np.ones(2, bool)
    batch = inputs([both])
    assert not refine(**batch, settings=BestieTrain()).weight.any()
    whole = semantic_components(scene[0], np.ones(2, bool), min_area=1)
    batch["components"], batch["table"] = torch.from_numpy(whole.map)[None], torch.from_numpy(whole.table)[None]
    assert not refine(**batch, settings=BestieTrain()).weight.any()


def test_clusters_do_not_join_over_corners_or_across_classes():
    semantic, logits, heatmap, way, _ = blank()
    semantic[:, 120:][semantic[:, 120:] > 0] = 2
    logits = np.zeros((3, *semantic.shape), np.float32)
    heatmap = np.full((2, *semantic.shape), 0.06, np.float32)
    add_blob(way, 20, 109, [11, 10])  # 21 pixels up to the border
    add_blob(way, 20, 120, [11, 11])  # 22 pixels from the border
    add_blob(way, 30, 60, [20])
    add_blob(way, 31, 80, [19])
    made = refined([(semantic, logits, heatmap, way, np.ones(2, bool))])
    assert (made.centers == 1).sum(dim=(0, 2, 3)).tolist() == [3, 1]


@pytest.mark.parametrize(("distance", "kept"), [(100, 1), (101, 2)])
def test_clusters_beside_peaks_must_be_far_from_them(distance, kept):
    scene = blank()
    scene[2][:] = 0.06
    scene[2][0, 20, 60] = 0.9
    blob = scene[3][:, 18:23, 58 + distance : 63 + distance]
    blob[:] = 0
    blob[:, ::4, ::4] = 50  # without its corners the square has 21 pixels, around (20, 60 + distance)
    made = refined([scene])
    assert (made.centers == 1).sum() == kept


def test_outputs_of_half_precision_and_with_gradients_make_plain_labels():
    batch = inputs([reference.scene(1)])
    for name in ("semantic", "centers", "offsets"):
        batch[name] = batch[name].bfloat16().requires_grad_()
    made = refine(**batch, settings=BestieTrain())
    assert all(part.dtype == torch.float32 and not part.requires_grad for part in made)
    assert made.weight.any()


def test_images_of_a_batch_do_not_touch_each_other():
    scenes = [reference.scene(s) for s in range(5)]
    together = refined(scenes)
    for b, scene in enumerate(scenes):
        alone = refined([scene])
        assert all(torch.equal(part[b], single[0]) for part, single in zip(together, alone, strict=True))


def test_labels_stay_inside_components():
    batch = inputs([reference.scene(s) for s in range(6)])
    made = refine(**batch, settings=BestieTrain())
    outside = batch["components"] == 0
    assert not made.weight[outside].any() and not made.offsets.abs().sum(dim=1)[outside].any()
    assert made.weight.min() >= 0 and made.weight.max() <= 1


def test_a_batch_without_components_gives_empty_labels():
    scene = list(blank())
    scene[0] = np.zeros_like(scene[0])
    made = refined([tuple(scene)])
    assert made.centers.shape == (1, 1, 60, 240) and not any(part.any() for part in made)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(3))
def test_given_points_divide_their_class(seed, device):
    scenes = [reference.scene(s) for s in (seed, seed + 10)]
    points = torch.from_numpy(pad_tables([np.array(s[5])[:, [2, 0, 1]] for s in scenes])).to(device)
    stack = [torch.from_numpy(np.stack([s[i] for s in scenes])).to(device) for i in (3, 0)]
    made = refine_with_points(offsets=stack[0], semantic=stack[1], points=points)
    assert made.centers is None
    for b, (semantic, _, _, way, _, given) in enumerate(scenes):
        assert_same([made.offsets[b], made.weight[b]], reference.refine_with_points(semantic, way, given))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(3))
def test_pixels_of_a_tagged_class_without_a_point_are_left_out_of_training(seed, device):
    """They go to no other class, and the losses of centers and offsets have no gradient there."""
    semantic, logits, heatmap, way, tags, points = reference.scene(seed)
    first = points[0][2]
    points = [point for point in points if point[2] != first] or [(3, 4, 1 - min(first, 1))]
    without = semantic == first + 1
    assert tags[first] and without.any()
    given = torch.from_numpy(semantic)[None].to(device)
    table = torch.tensor([[(c, x, y) for x, y, c in points]], device=device)
    made = refine_with_points(offsets=torch.from_numpy(way)[None].to(device), semantic=given, points=table)
    assert_same([made.offsets[0], made.weight[0]], reference.refine_with_points(semantic, way, points))
    assert not made.weight[0].cpu().numpy()[without].any()

    own = np.where((semantic > 0) & (semantic < 255) & ~without, 1, 0).astype(np.int32)
    row = torch.tensor([[(points[0][2], 0, 0)]])
    pseudo = render_targets(torch.from_numpy(own)[None], row, torch.ones(1, 1), len(heatmap), table.cpu(), 6)
    shapes = {"semantic": logits, "centers": heatmap, "offsets": way + 0.5}
    outputs = {
        name: torch.from_numpy(value)[None].float().to(device).requires_grad_() for name, value in shapes.items()
    }
    terms = objective(outputs, given, Targets(*(part.to(device) for part in pseudo)), made, BestieTrain())
    (terms["center"] + terms["offset"]).backward()
    for name in ("centers", "offsets"):
        moved = outputs[name].grad[0].abs().sum(dim=0).cpu().numpy() > 0
        assert not moved[without].any() and moved[own > 0].any() == bool((own > 0).any())


def test_of_equally_near_points_the_first_wins():
    made = refine_with_points(
        offsets=torch.zeros(1, 2, 1, 3),
        semantic=torch.ones(1, 1, 3, dtype=torch.uint8),
        points=torch.tensor([[[0, 2, 0], [0, 0, 0]]]),
    )
    assert made.offsets[0, 1, 0].tolist() == [0, 1, 0]


def test_without_points_nothing_is_labelled():
    semantic = torch.ones(1, 4, 4, dtype=torch.uint8)
    made = refine_with_points(offsets=torch.ones(1, 2, 4, 4), semantic=semantic, points=torch.full((1, 1, 3), -1))
    assert not made.offsets.any() and not made.weight.any()


def as_set(instances):
    """Instances as {(pixels, category): score}."""
    pixels = [
        frozenset(zip(*np.nonzero(instances.instance_map == k), strict=True))
        for k in range(1, len(instances.scores) + 1)
    ]
    assert instances.instance_map.max() == len(pixels) == len(instances.categories)
    return {
        (part, int(c)): s for part, c, s in zip(pixels, instances.categories, instances.scores.tolist(), strict=True)
    }


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("offsets", ["noisy", "specks"])
@pytest.mark.parametrize("seed", range(5))
def test_predicted_instances_are_those_of_the_literal_rule(seed, offsets, device):
    _, logits, heatmap, way, _, _ = reference.scene(seed, offsets=offsets)
    outputs = [torch.from_numpy(part).to(device) for part in (probability(logits), heatmap, way)]
    given = dict(zip(("probability", "centers", "offsets"), outputs, strict=True))
    found = as_set(instances_from_outputs(**given, settings=BestieInfer()))
    expected = {part[:2]: part[2] for part in reference.instances(probability(logits), heatmap, way)}
    assert found == pytest.approx(expected, abs=1e-5) and len(expected) > 1


def test_a_component_without_a_center_is_one_predicted_instance():
    semantic, logits, heatmap, way, _ = blank()
    logits[1] = np.where(semantic, 1, -1)
    heatmap[:] = 0.07
    found = instances_from_outputs(
        probability=torch.from_numpy(probability(logits)),
        centers=torch.from_numpy(heatmap),
        offsets=torch.from_numpy(way),
        settings=BestieInfer(),
    )
    assert np.array_equal(found.instance_map, semantic)
    assert found.scores == pytest.approx(0.07 * np.e / (1 + np.e))


def centers_of(heatmap, components=None, window=9):
    """Centers (image, y, x) of (B, H, W) heat in components that by default are the whole pictures."""
    heatmap = torch.tensor(heatmap)
    components = torch.ones_like(heatmap, dtype=torch.int32) if components is None else torch.tensor(components)
    pixels = list_pixels(components, int(components.max()))
    rows = torch.zeros(len(heatmap) * pixels.rows, dtype=torch.long)
    rule = CenterFinding(window=window, cluster_tolerance=0)
    far = torch.full((len(heatmap), 2, *heatmap.shape[1:]), 50.0)
    found, _ = find_centers(pixels, heatmap[:, None], far, rows, 0.3, rule)
    images = torch.div(found.component, pixels.rows, rounding_mode="floor")
    return [tuple(place) for place in torch.stack([images, found.y, found.x], dim=1).tolist()]


def test_a_plateau_has_one_center_its_first_pixel():
    heatmap = np.zeros((3, 20, 30), np.float32)
    heatmap[0, 5:9, 6:12] = 0.8  # smaller than the window
    heatmap[1, 0:3, 25:30] = 0.8  # at the border
    heatmap[2, 4:6, 3:9] = heatmap[2, 14:16, 20:26] = 0.8  # two, further apart than the window
    assert centers_of(heatmap) == [(0, 5, 6), (1, 0, 25), (2, 4, 3), (2, 14, 20)]


def test_a_plateau_wider_than_the_window_has_one_center_too():
    heatmap = np.zeros((1, 9, 60), np.float32)
    heatmap[0, 4, 5:50] = 0.8
    assert centers_of(heatmap) == [(0, 4, 5)]


def test_equal_heat_in_touching_components_is_a_center_in_each():
    heatmap = np.full((1, 8, 8), 0.8, np.float32)
    components = np.repeat([[1] * 4 + [2] * 4], 8, axis=0)[None].astype(np.int32)
    assert centers_of(heatmap, components, window=31) == [(0, 0, 0), (0, 0, 4)]


def test_a_picture_of_background_has_no_instances():
    found = instances_from_outputs(
        probability=torch.tensor([0.9, 0.1])[:, None, None].expand(2, 30, 40),
        centers=torch.ones(1, 30, 40),
        offsets=torch.zeros(2, 30, 40),
        settings=BestieInfer(),
    )
    assert not found.instance_map.any() and len(found.categories) == len(found.scores) == 0


@pytest.mark.parametrize("left_out", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_given_points_make_the_predicted_instances(seed, left_out):
    """left_out: the first tagged class has no point; its pixels are in no instance, and go to no other class."""
    _, logits, _, way, tags, points = reference.scene(seed)
    own = probability(logits) * np.append(True, tags)[:, None, None]
    first = points[0][2]
    if left_out:
        points = [point for point in points if point[2] != first] or [(3, 4, 1 - min(first, 1))]
        assert (own.argmax(axis=0) == first + 1).any()
    made = instances_from_points(
        probability=torch.from_numpy(own.astype(np.float32)),
        offsets=torch.from_numpy(way),
        points=torch.tensor([(c, x, y) for x, y, c in points]),
    )
    assert as_set(made) == pytest.approx(reference.instances_of_points(own, way, points), abs=1e-5)
    if left_out:
        assert not made.instance_map[own.argmax(axis=0) == first + 1].any()
