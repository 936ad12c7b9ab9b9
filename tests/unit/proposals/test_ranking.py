"""Order of candidates: diversity against the written-out greedy choice, features of a known shape."""

import higra as hg
import numpy as np
import pytest
from region_sets import measured, pack, parts_of, random_sets

from wsis_steps.proposals.mcg.candidates import describe_parts, measure, members
from wsis_steps.proposals.mcg.hierarchy import SuperpixelGraph
from wsis_steps.proposals.mcg.ranking import FEATURES, choose_diverse, describe


def literal_choice(table: np.ndarray, scores: np.ndarray, count: int, weight: float) -> list[int]:
    chosen: list[int] = []
    while len(chosen) < min(count, len(scores)):
        penalty = table[:, chosen].max(1) if chosen else np.zeros(len(scores))
        values = scores - weight * penalty
        values[chosen] = -np.inf
        chosen.append(int(values.argmax()))
    return chosen


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_diverse_choice_is_the_greedy_one(seed, weight):
    _, parts = parts_of(seed)
    held = random_sets(seed, parts, 80)
    bits, found, place, areas, boxes, _ = measured(held, parts)
    masks = held[:, parts.labels].reshape(len(held), -1).astype(np.float64)
    common = masks @ masks.T
    table = common / (areas[:, None] + areas[None] - common)
    scores = np.random.default_rng(seed).permutation(len(held)) / len(held)  # no ties
    chosen, values = choose_diverse(bits, found, place, parts.sizes, areas, boxes, scores, 50, weight)
    assert list(chosen) == literal_choice(table, scores, 50, weight)
    assert (np.diff(values) <= 0).all()
    everything, _ = choose_diverse(bits, found, place, parts.sizes, areas, boxes, scores, 1000, weight)
    assert sorted(everything) == list(range(len(held)))


def test_features_of_a_square_on_plain_ground():
    """A square of 20 x 20 pixels in a picture of 60 x 80, in one part; the ground is another."""
    labels = np.zeros((60, 80), np.int64)
    labels[10:30, 20:40] = 1
    lab = np.where(labels[..., None] == 1, [50.0, 30.0, 0.0], [20.0, 0.0, 40.0]).astype(np.float32)
    graph = hg.UndirectedGraph(2)
    graph.add_edge(0, 1)
    superpixels = SuperpixelGraph(labels.astype(np.int32), np.array([[0, 1]]), np.array([80.0]), np.array([0.6]), graph)
    parts = describe_parts(superpixels, np.array([0, 1]), np.array([0.4]), lab)
    bits = pack(np.array([[False, True]]))
    found, place = members(bits)
    areas, boxes, _ = measure(found, place, parts.sizes, parts.boxes, parts.sums)
    values = describe(
        bits, found, place, areas, boxes, parts.sizes, parts.colors, parts.outer, parts.starts, parts.second,
        parts.lengths, parts.strengths, 60, 80,
    )  # fmt: skip
    seen = dict(zip(FEATURES, values[0].tolist(), strict=False))
    wanted = {
        "area": np.log(400 / 4800), "width": 20 / 80, "height": 20 / 60, "fill": 1, "aspect": 0,
        "center_x": abs(60 / 80 - 1), "center_y": 40 / 120, "left": 0, "top": 0, "right": 0, "bottom": 0,
        "compactness": np.log(80**2 / 400), "outer": 0, "contour_mean": 0.6, "contour_low": 0, "contour_sum": 48 / 20,
        "contour_std": 0, "height_mean": 0.4, "height_low": 0.4, "inner_mean": 0, "inner_sum": 0,
        "inner_height_mean": 0, "inner_height_max": 0, "contrast_height": 0.4, "color_step": np.sqrt(3400) / 50,
        "color_step_relative": np.sqrt(3400) / 5, "color_spread": 0, "parts": 0,
    }  # fmt: skip
    assert set(seen) == set(wanted)
    for name, value in wanted.items():
        assert seen[name] == pytest.approx(value, abs=2e-3), name
