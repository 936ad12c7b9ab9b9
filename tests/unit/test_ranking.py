"""Order of candidates: diversity against the written-out greedy choice, features of known shapes, the ranker."""

import numpy as np
import pytest
from region_sets import measured, parts_of, random_sets

from wsis_steps.proposals.ranking import choose_diverse


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
    chosen = choose_diverse(bits, found, place, parts.sizes, areas, boxes, scores, 50, weight)
    assert list(chosen) == literal_choice(table, scores, 50, weight)
    everything = choose_diverse(bits, found, place, parts.sizes, areas, boxes, scores, 1000, weight)
    assert sorted(everything) == list(range(len(held)))
