"""Time to draw K = 10 label sets of one image from 2,000 proposals, without the network: proposal graph, pairwise term,
exact inference, instances. One core; an image of 480 x 640 pixels with about 2,600 superpixels and two tags.

Baseline: the same with one sample.
"""

import time

import numpy as np
import torch

from bench.rows import Row
from wsis_steps.annotation_consistency.annotation import claims_of
from wsis_steps.annotation_consistency.instances import choose, quality
from wsis_steps.annotation_consistency.network import ConditionalNetwork
from wsis_steps.annotation_consistency.region_graph import build_graph, graph_tensors, with_matrices
from wsis_steps.annotation_consistency.sample import collect, label_proposals
from wsis_steps.annotation_consistency.settings import AnnotationConsistencyInitialise, AnnotationConsistencySample
from wsis_steps.vision.regions import RegionProposals

HEIGHT, WIDTH, CLASSES, PROPOSALS, SAMPLES, REPEATS = 480, 640, 20, 2000, 10, 5
CELL = 11  # pixels of a side of a superpixel
MOST_SECONDS = 0.3
SCORINGS = {
    "touching": {},
    "within": {"neighbours": "within"},
    "shapes": {
        "neighbours": "within", "pairwise_choice": "greatest_gain", "pairwise_iterations": 1, "delta": 2,
        "edge_scale": 2.5, "anchors": 300,
    },
}  # fmt: skip


def draw_regions(
    rng: np.random.Generator, height: int = HEIGHT, width: int = WIDTH, count: int = PROPOSALS
) -> RegionProposals:
    """Rectangles of superpixels, of all sizes, in an image that is not higher than wide."""
    down, across = -(-height // CELL), -(-width // CELL)
    superpixels = (np.arange(height)[:, None] // CELL * across + np.arange(width) // CELL).astype(np.int32)
    sides = np.exp(rng.uniform(np.log(2), np.log(down), (count, 2))).astype(int)
    low = (rng.random((count, 2)) * ((down, across) - sides)).astype(int)
    high = low + sides
    rows, columns = np.arange(down), np.arange(across)
    inside = [(k >= low[:, i, None]) & (k < high[:, i, None]) for i, k in enumerate((rows, columns))]
    members = (inside[0][:, :, None] & inside[1][:, None, :]).reshape(count, -1)
    boxes = np.minimum(np.hstack([low[:, ::-1], high[:, ::-1]]) * CELL, [width, height] * 2).astype(np.float32)
    return RegionProposals(boxes, np.linspace(1, 0, count, dtype=np.float32), superpixels, members)


def measure_samples(samples: int, **scoring) -> float:
    """Processor seconds for one image, the minimum of several runs."""
    rng = np.random.default_rng(0)
    settings = AnnotationConsistencySample(samples=samples, **scoring)
    model = ConditionalNetwork(AnnotationConsistencyInitialise(), CLASSES).eval()
    regions, strength = draw_regions(rng), rng.random((HEIGHT, WIDTH)).astype(np.float32)
    height, width = -(-HEIGHT // 2), -(-WIDTH // 2)
    features = torch.randn(model.trunk.width, height, width, generator=torch.Generator().manual_seed(0))
    noise = model.draw_noise(samples, HEIGHT, WIDTH, torch.Generator().manual_seed(0))
    tags = np.arange(CLASSES) < 2
    graph = build_graph(regions, strength, HEIGHT, WIDTH)
    claims = claims_of(tags, np.zeros((0, 5), np.float32), graph.boxes, settings)
    tensors = with_matrices(graph_tensors(graph, 2), features[0].numel())
    unary = model.score(features, noise, tensors, torch.from_numpy(claims.labels))  # of the network
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        graph = build_graph(regions, strength, HEIGHT, WIDTH)
        tensors = with_matrices(graph_tensors(graph, 2), features[0].numel())
        claims = claims_of(tags, np.zeros((0, 5), np.float32), graph.boxes, settings)
        found = label_proposals(unary, tensors, claims, settings)
        sizes = np.bincount(graph.superpixels.ravel(), minlength=graph.members.shape[1]).astype(np.float32)
        qualities = quality(found.margins, graph.members @ sizes / (HEIGHT * WIDTH), graph.scores, settings)
        picked = choose(found.labels, qualities, claims, graph.members, sizes, settings)
        collect(picked[:-1], found.labels[:-1], qualities[:-1], graph.codes, claims.labels - 1)
        seconds.append(time.process_time() - started)
    return min(seconds)


def measure() -> list[Row]:
    """All rows of this benchmark."""
    threads, rows = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for kind, scoring in SCORINGS.items():
                one, several = (measure_samples(samples, **scoring) for samples in (1, SAMPLES))
                what = f"annotation_consistency, {PROPOSALS} proposals, {SAMPLES} label sets, {kind}"
                rows.append(Row(what, several, "s", "one label set", one, MOST_SECONDS))
    finally:
        torch.set_num_threads(threads)
    return rows
