"""Unary and pairwise scores of proposals against plain loops over masks and pixels."""

import numpy as np
import pytest
import torch
from consistency_reference import contour, contours_beyond, gains, masked_scores, spread
from proposal_sets import pixels, random_proposals

from wsis_steps.annotation_consistency import scores as library
from wsis_steps.annotation_consistency.losses import sampled_self_diversity
from wsis_steps.annotation_consistency.network import ConditionalNetwork, load_conditional
from wsis_steps.annotation_consistency.prediction import masks_in_boxes
from wsis_steps.annotation_consistency.region_graph import build_graph, cells_of, graph_tensors, with_matrices
from wsis_steps.annotation_consistency.settings import AnnotationConsistencyInitialise, Scoring
from wsis_steps.vision.images import flip_and_rot90
from wsis_steps.vision.models import TrainedModel
from wsis_steps.vision.regions import RegionProposals

HEIGHT, WIDTH = 10, 13
SMALL = {"backbone": "small", "weights": "none", "width": 6, "decoder_width": 8, "decoder_layers": 1}


def case(seed: int, kind: str = "regions", count: int = 7):
    """Proposals, their masks bool (P, h, w), an edge map, the graph and its tensors at stride 4."""
    rng = np.random.default_rng(seed)
    proposals = random_proposals(rng, kind, count, HEIGHT, WIDTH)
    strength = rng.random((HEIGHT, WIDTH)).astype(np.float32)
    graph = build_graph(proposals, strength, HEIGHT, WIDTH)
    cells = -(-HEIGHT // 4) * -(-WIDTH // 4)
    return pixels(proposals, HEIGHT, WIDTH), strength, graph, with_matrices(graph_tensors(graph, 4), cells)


@pytest.mark.parametrize("kind", ["regions", "masks", "boxes"])
def test_a_graph_holds_the_masks_of_any_proposals(kind):
    masks, _, graph, _ = case(0, kind)
    assert np.array_equal(graph.members[:, graph.superpixels], masks)
    assert graph.scores.mean() == pytest.approx(0, abs=1e-6)
    rows = np.array([2, 0])
    assert [code["size"] for code in graph.codes(rows)] == [[HEIGHT, WIDTH]] * 2


def test_a_picture_without_proposals_is_one():
    empty = random_proposals(np.random.default_rng(0), "regions", 1, HEIGHT, WIDTH)
    empty = type(empty)(empty.boxes[:0], empty.scores[:0], empty.superpixels, empty.members[:0])
    graph = build_graph(empty, None, HEIGHT, WIDTH)
    assert graph.members.all() and graph.boxes.tolist() == [[0, 0, WIDTH, HEIGHT]] and graph.edges.shape == (2, 0)


def test_a_turned_graph_has_the_turned_masks():
    masks, _, graph, _ = case(1)
    geometry = flip_and_rot90(np.random.default_rng(3), HEIGHT, WIDTH, rot90=True)
    moved = graph.moved(geometry, np.array([4, 2]))
    turned = np.stack([geometry.labels(mask.astype(np.uint8)) for mask in masks[[4, 2]]]) > 0
    assert np.array_equal(moved.members[:, moved.superpixels], turned)
    for mask, (x1, y1, x2, y2) in zip(turned, moved.boxes.astype(int), strict=True):
        rows, columns = np.nonzero(mask)
        assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (x1, y1, x2, y2)


def test_cells_are_shared_by_area():
    superpixels = np.array([[0, 0, 1], [0, 1, 1], [2, 2, 2]], np.int32)
    indices, shares = cells_of(superpixels, 2)
    found = {tuple(index): share for index, share in zip(indices.T.tolist(), shares.tolist(), strict=True)}
    assert found == {(0, 0): 0.75, (1, 0): 0.25, (1, 1): 0.5, (2, 2): 0.5, (2, 3): 0.25}


@pytest.mark.parametrize("seed", range(4))
def test_contours_equal_those_counted_pixel_by_pixel(seed):
    masks, strength, _, tensors = case(seed, "regions" if seed % 2 else "masks")
    others = torch.tensor([0, 3, 5])
    mean, neighbours = library.contours_to(others, tensors)
    for u in range(len(masks)):
        for place, v in enumerate(others.tolist()):
            total, length = contour(masks[u], masks[v], strength)
            assert bool(neighbours[u, place]) == (length > 0)
            if length:
                assert float(mean[u, place]) == pytest.approx(total / length, rel=1e-4)


def nested(seed: int, enlarge: int = 1):
    """Superpixels, an edge map, members of nine proposals of which each but every third holds the one before, and the
    tensors of their graph; `enlarge` repeats every pixel."""
    rng = np.random.default_rng(seed)
    superpixels = rng.permutation(np.arange(HEIGHT * WIDTH) % 12).reshape(HEIGHT, WIDTH).astype(np.int32)
    strength = rng.random((HEIGHT, WIDTH)).astype(np.float32)
    members = rng.random((9, 12)) < 0.25
    members[np.arange(9), rng.integers(0, 12, 9)] = True
    for row in range(1, 9):
        if row % 3:
            members[row] |= members[row - 1]
    superpixels, strength = (np.kron(part, np.ones((enlarge, enlarge), part.dtype)) for part in (superpixels, strength))
    boxes = np.tile(np.array([0, 0, WIDTH, HEIGHT], np.float32) * enlarge, (9, 1))
    regions = RegionProposals(boxes, np.ones(9, np.float32), superpixels, members)
    graph = build_graph(regions, strength, *superpixels.shape)
    return superpixels, strength, members, with_matrices(graph_tensors(graph, 4 * enlarge), 12)


@pytest.mark.parametrize("seed", range(3))
def test_contours_beyond_a_part_equal_those_counted_pixel_by_pixel(seed):
    superpixels, strength, members, tensors = nested(seed)
    beyond, within = library.contours_beyond(torch.arange(9), tensors)
    side = (HEIGHT * WIDTH) ** 0.5
    for u, v in np.ndindex(9, 9):
        assert bool(within[u, v]) == (not (members[v] & ~members[u]).any() and (members[u] & ~members[v]).any())
        if within[u, v]:
            whole, part = members[u][superpixels], members[v][superpixels]
            expected = contours_beyond(whole, part, superpixels, strength) / side
            assert float(beyond[u, v]) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert within.sum() >= 6
    larger, _ = library.contours_beyond(torch.arange(9), nested(seed, enlarge=3)[3])
    torch.testing.assert_close(larger, beyond)  # whatever the size of a picture


@pytest.mark.parametrize("choice", ["highest_score", "greatest_gain"])
@pytest.mark.parametrize("neighbours", ["touching", "within"])
def test_gains_equal_the_loops(neighbours, choice):
    *_, tensors = nested(2)
    settings = Scoring(
        neighbours=neighbours, pairwise_choice=choice, delta=0.3, edge_scale=2.0, anchors=4, pairwise_iterations=2
    )  # fmt: skip
    unary = 3 * torch.randn(3, 9, 4, generator=torch.Generator().manual_seed(0))
    found = library.final_scores(unary, tensors, settings)
    anchors = (unary - unary[..., :1]).mean(dim=0).T.topk(4, dim=1).indices.numpy()
    pair = {"touching": library.contours_to, "within": library.contours_beyond}[neighbours]
    contours, paired = (part.numpy() for part in pair(torch.arange(9), tensors))
    scale = spread(unary.double().numpy())
    for sample, ours in zip(unary.double().numpy(), found.numpy(), strict=True):
        assert np.abs(ours - sample)[:, 1:].max() > 0.1  # there is something to compare
        margins = (sample - sample[:, :1]) / scale
        for _ in range(2):
            margins = margins + gains(margins, anchors, contours, paired, settings)
        np.testing.assert_allclose(ours, sample[:, :1] + scale * margins, rtol=1e-4, atol=1e-5)


def label_shares(unary: torch.Tensor, **settings) -> tuple[torch.Tensor, torch.Tensor]:
    """The best labels (K, P) with the term and without."""
    grown = library.final_scores(unary, nested(2)[3], Scoring(**settings))
    return grown.argmax(dim=2), unary.argmax(dim=2)


@pytest.mark.parametrize("neighbours", ["touching", "within"])
def test_labels_depend_neither_on_the_scale_of_scores_nor_on_what_is_added_to_a_proposal(neighbours):
    generator = torch.Generator().manual_seed(4)
    unary = torch.randn(6, 9, 3, generator=generator, dtype=torch.float64).float()
    settings = {"neighbours": neighbours, "delta": 0.3, "edge_scale": 1.0}
    labels, before = label_shares(unary, **settings)
    assert (labels != before).any()  # the term does something
    for scale in (1e-3, 0.1, 10.0, 1e3):
        assert torch.equal(label_shares(scale * unary, **settings)[0], labels)
    added = torch.randn(6, 9, 1, generator=generator)
    assert torch.equal(label_shares(unary + added, **settings)[0], labels)


@pytest.mark.parametrize("choice", ["highest_score", "greatest_gain"])
@pytest.mark.parametrize("neighbours", ["touching", "within"])
def test_the_background_never_gains_and_no_class_loses(neighbours, choice):
    unary = torch.randn(4, 9, 3, generator=torch.Generator().manual_seed(5))
    settings = Scoring(neighbours=neighbours, pairwise_choice=choice, edge_scale=0.5)
    found = library.final_scores(unary, nested(2)[3], settings)
    assert torch.equal(found[..., 0], unary[..., 0])
    assert (found[..., 1:] >= unary[..., 1:]).all() and (found[..., 1:] > unary[..., 1:]).any()


def test_proposals_whose_scores_differ_still_differ_however_small_the_scores_are():
    """A gain of at most the difference would make a tie of each pair whose difference is below the gain."""
    unary = 1e-3 * torch.randn(1, 9, 2, generator=torch.Generator().manual_seed(6))
    found = library.final_scores(unary, nested(2)[3], Scoring(edge_scale=0.1, pairwise_iterations=1))
    margins = (found - found[..., :1])[0, :, 1]
    apart = (margins[:, None] - margins).abs().triu(diagonal=1)
    assert (apart > 1e-6).sum() == 9 * 8 // 2


def test_without_edges_between_them_a_proposal_follows_its_neighbour_and_behind_edges_it_does_not():
    members = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]], bool)
    superpixels = np.repeat(np.array([[0, 1, 2]], np.int32), 4, axis=0)
    strength = np.zeros((4, 3), np.float32)
    strength[:, 2] = 1  # between the second and the third
    boxes = np.array([[0, 0, 1, 4], [0, 0, 2, 4], [2, 0, 3, 4]], np.float32)
    graph = build_graph(RegionProposals(boxes, np.ones(3, np.float32), superpixels, members), strength, 4, 3)
    tensors = with_matrices(graph_tensors(graph, 1), 12)
    unary = torch.tensor([[[0.0, 0.0], [0.0, -1.0], [0.0, -1.0]]])
    found = library.final_scores(unary, tensors, Scoring(edge_scale=20, pairwise_iterations=1))[0, :, 1]
    spread = 2**0.5 / 3  # of 0, -1 and -1
    assert found[0] == 0 and found[1] == pytest.approx(-1 + spread / (1 / spread + 1)) and found[2] < -0.99
    assert torch.equal(library.final_scores(unary, tensors, Scoring(pairwise=False)), unary)


def test_a_whole_object_grows_along_its_part_and_what_goes_beyond_it_does_not():
    """Four columns: an object of two parts without an edge between them, an outline, and background."""
    members = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1]], bool)
    superpixels = np.repeat(np.array([[0, 1, 2, 3]], np.int32), 4, axis=0)
    strength = np.zeros((4, 4), np.float32)
    strength[:, 2] = 1
    regions = RegionProposals(
        np.tile([0, 0, 4, 4], (4, 1)).astype(np.float32), np.ones(4, np.float32), superpixels, members
    )
    tensors = with_matrices(graph_tensors(build_graph(regions, strength, 4, 4), 1), 16)
    unary = torch.tensor([[[1.0, 2.0], [0.5, 1.0], [0.6, 1.0], [0.0, 0.0]]])
    settings = Scoring(neighbours="within", edge_scale=5, delta=1, pairwise_iterations=1)
    found = library.final_scores(unary, tensors, settings)
    assert torch.equal(found[..., 0], unary[..., 0])  # the background grows along nothing
    part, whole, beyond, apart = found[0, :, 1].tolist()
    spread = float(np.std([1.0, 0.5, 0.4, 0.0]))  # of the margins
    assert (part, apart) == (2.0, 0.0) and whole == pytest.approx(1 + spread / (0.5 / spread + 1))
    # the outline runs along the whole side of the picture
    assert beyond == pytest.approx(1 + spread * np.exp(-5.0) / (0.6 / spread + 1), abs=1e-5)


def test_scores_are_finite_whatever_the_scale_of_edges():
    *_, tensors = nested(2)
    unary = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(1))
    for neighbours in ("touching", "within"):
        settings = Scoring(neighbours=neighbours, edge_scale=1e4, anchors=2)
        assert library.final_scores(unary, tensors, settings).isfinite().all()


@pytest.mark.parametrize("choice", ["highest_score", "greatest_gain"])
def test_a_picture_without_a_class_has_the_background_alone(choice):
    unary = torch.randn(2, 9, 1, generator=torch.Generator().manual_seed(1))
    settings = Scoring(neighbours="within", pairwise_choice=choice)
    assert torch.equal(library.final_scores(unary, nested(2)[3], settings), unary)


@pytest.mark.parametrize("choice", ["highest_score", "greatest_gain"])
@pytest.mark.parametrize("neighbours", ["touching", "within"])
def test_scores_have_the_gradient_of_finite_differences(neighbours, choice):
    *_, tensors = nested(3)
    tensors = {name: value.double() if value.is_floating_point() else value for name, value in tensors.items()}
    settings = Scoring(neighbours=neighbours, pairwise_choice=choice, delta=0.5, edge_scale=1.0)
    unary = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda scores: library.final_scores(scores, tensors, settings), (unary,))


def network(**settings) -> ConditionalNetwork:
    torch.manual_seed(0)
    return ConditionalNetwork(AnnotationConsistencyInitialise(**{**SMALL, **settings}), 3).eval()


@pytest.mark.parametrize("noise", ["tiled", "grid"])
@pytest.mark.parametrize("pooling", ["full", "mask"])
def test_scores_are_those_of_the_written_layers(pooling, noise):
    """With a cell a pixel: features times mask, 1 x 1 convolution, average; the noise beside the features."""
    rng = np.random.default_rng(0)
    proposals = random_proposals(rng, "regions", 5, 6, 8)
    graph = with_matrices(graph_tensors(build_graph(proposals, None, 6, 8), 1), 48)
    model = network(pooling=pooling, noise=noise, noise_channels=3)
    features = torch.randn(model.trunk.width, 6, 8)
    drawn = model.draw_noise(2, 6, 8, torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 2])
    found = model.score(features, drawn, graph, labels)
    masks = torch.from_numpy(pixels(proposals, 6, 8)).float()
    for k in range(2):
        wide = drawn[k : k + 1].expand(-1, -1, 6, 8)
        if noise == "grid":
            wide = torch.nn.functional.interpolate(drawn[k : k + 1], (6, 8), mode="bilinear", align_corners=False)
        mixed = model.mix(torch.cat([features[None], wide], dim=1)).relu()[0]
        classify, bias = model.classify.weight[labels, :, 0, 0], model.classify.bias[labels]
        expected = masked_scores(mixed, wide, masks, classify, bias, pooling)
        torch.testing.assert_close(found[k], expected, rtol=1e-4, atol=1e-5)


def test_noise_is_uniform_on_a_coarse_grid():
    model = network(noise="grid", noise_channels=1, noise_cell=32)
    noise = model.draw_noise(500, 96, 50, torch.Generator().manual_seed(0))
    assert noise.shape == (500, 1, 3, 2) and noise.min() >= -1 and noise.max() <= 1
    assert abs(float(noise.mean())) < 0.05 and float(noise.std()) == pytest.approx(3**-0.5, abs=0.02)


def test_cells_of_noise_are_those_of_a_grid():
    tiled, grid = AnnotationConsistencyInitialise(), AnnotationConsistencyInitialise(noise="grid")
    assert tiled.noise_cell is None and grid.noise_cell == 32
    for settings in (tiled, grid):
        assert AnnotationConsistencyInitialise.model_validate_json(settings.model_dump_json()) == settings
    with pytest.raises(ValueError, match="leave noise_cell out, or set noise to grid"):
        AnnotationConsistencyInitialise(noise_cell=32)


def margins_of(model: ConditionalNetwork, samples: int = 40) -> torch.Tensor:
    """What the classes of random proposals of a random picture score over background, (K, P, C)."""
    rng = np.random.default_rng(0)
    proposals = random_proposals(rng, "regions", 30, 96, 96)
    picture = torch.from_numpy(rng.integers(0, 256, (1, 3, 96, 96), dtype=np.uint8))
    with torch.no_grad():
        features = model(model.backbone.normalize(picture))[0]
        graph = build_graph(proposals, None, 96, 96)
        tensors = with_matrices(graph_tensors(graph, model.stride), features[0].numel())
        noise = model.draw_noise(samples, 96, 96, torch.Generator().manual_seed(0))
        scores = model.score(features, noise, tensors, torch.arange(4))
    return scores[..., 1:] - scores[..., :1]


def test_one_vector_at_every_pixel_makes_samples_that_differ():
    """The default against a grid of single values, and against a grid of as long vectors."""
    tiled, single, grid = (
        margins_of(network(noise=noise, noise_channels=channels))
        for noise, channels in (("tiled", 6), ("grid", 1), ("grid", 6))
    )
    spreads = [float(margins.std(dim=0).mean()) for margins in (tiled, single, grid)]
    assert spreads[0] > 4 * spreads[1] and spreads[0] > 2.5 * spreads[2]
    labels = [torch.cat([torch.zeros(40, 30, 1), margins], dim=2).argmax(dim=2) for margins in (tiled, grid)]
    shares = [float(sampled_self_diversity(found)) / 30 for found in labels]
    assert shares[0] > 2 * shares[1]


@pytest.mark.parametrize(
    ("settings", "stride", "width"),
    [
        ({}, 2, 6),
        ({"network": "resnet"}, 16, 160),
        ({"backbone": "plain", "widths": [4, 5, 6]}, 1, 4),
    ],
)
def test_networks_give_a_feature_for_every_cell(settings, stride, width):
    model = network(**settings)
    features = model(model.backbone.normalize(torch.zeros(2, 3, 33, 50, dtype=torch.uint8)))
    assert model.stride == stride and features.shape == (2, width, -(-33 // stride), -(-50 // stride))
    groups = model.parameter_groups(model.backbone, 1e-3, 5)
    assert sum(p.numel() for group in groups for p in group["params"]) == sum(p.numel() for p in model.parameters())
    assert groups[-1]["lr"] == pytest.approx(5e-3)
    slow, fast = model.parameter_groups(model.trunk, 1e-3, 5)
    last = {*map(id, model.mix.parameters()), *map(id, model.classify.parameters())}
    assert set(map(id, fast["params"])) == last and not last & set(map(id, slow["params"]))


def test_a_network_of_a_later_round_is_built_from_the_settings_of_the_first(tmp_path):
    model = network(noise="grid", noise_cell=16)
    first = model.settings.model_dump(mode="json")
    for settings in (first, {"seed": 0, "network_settings": first}):
        trained = TrainedModel(tmp_path / "x", model.state_dict(), settings, ("a", "b", "c"), ())
        assert load_conditional(trained).settings == model.settings


def test_masks_in_boxes_are_those_of_the_picture():
    masks, _, graph, tensors = case(4)
    found = masks_in_boxes(tensors, 28).numpy()
    for mask, (x1, y1, x2, y2), ours in zip(masks, graph.boxes.astype(int), found, strict=True):
        places = np.arange(28) + 0.5
        rows, columns = (y1 + (y2 - y1) * places / 28).astype(int), (x1 + (x2 - x1) * places / 28).astype(int)
        assert np.array_equal(ours > 0, mask[rows][:, columns])
