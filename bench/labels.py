"""Speed of BESTIE's round-0 labels and of its refinement: 416 pixels, 20 classes, batch 16, one thread.

Baselines: a pixel-by-pixel implementation (tests/helpers/bestie_reference.py), timed on a few images and required to
give the same result; and the measured time of the released code on the same task.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.nn import functional

from bench.rows import Row
from tests.helpers import bestie_reference
from wsis_steps.bestie.grouping import pad_tables, pseudo_instances, semantic_components
from wsis_steps.bestie.refinement import refine
from wsis_steps.bestie.settings import BestieTrain
from wsis_steps.bestie.targets import Targets, render_targets

SIZE, CLASSES, BATCH, INSTANCES = 416, 20, 16, 5
SETTINGS = BestieTrain()  # of the paper
RELEASED_LABELS_MS, RELEASED_REFINEMENT_MS = 5.5, 660.0  # an image; taken beforehand, one CPU thread


@dataclass(frozen=True)
class Scene:
    """Ellipses of two classes: semantic and instance map, cues (n, 4), tags, centers (k, 3) as x, y, class."""

    semantic: np.ndarray
    instances: np.ndarray
    cues: np.ndarray
    tags: np.ndarray
    centers: np.ndarray


def draw_scene(rng: np.random.Generator) -> Scene:
    """A scene in which seven of ten instances have a cue."""
    semantic, instances = np.zeros((SIZE, SIZE), np.uint8), np.zeros((SIZE, SIZE), np.int32)
    present = rng.choice(CLASSES, 2, replace=False)
    centers = []
    for number in range(1, INSTANCES + 1):
        category = int(rng.choice(present))
        x, y = map(int, rng.integers(SIZE // 8, SIZE - SIZE // 8, 2))
        axes = tuple(map(int, rng.integers(SIZE // 12, SIZE // 4, 2)))
        inside = np.zeros_like(semantic)
        cv2.ellipse(inside, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
        semantic[inside > 0], instances[inside > 0] = category + 1, number
        centers.append((x, y, category))
    cued = [center for center in centers if rng.random() < 0.7]
    cues = np.pad(np.array(cued, float).reshape(-1, 3), ((0, 0), (0, 1)), constant_values=1)
    tags = np.isin(np.arange(CLASSES), present)
    return Scene(semantic, instances, cues, tags, np.array(centers))


def draw_outputs(rng: np.random.Generator, scenes: list[Scene], state: str) -> dict[str, torch.Tensor]:
    """Possible network outputs for the scenes: `start` is near 0, `middle` noisy, `trained` near the ground truth."""
    generator = torch.Generator().manual_seed(0)

    def noise(channels: int) -> torch.Tensor:
        coarse = torch.randn(len(scenes), channels, SIZE // 4, SIZE // 4, generator=generator)
        return functional.interpolate(coarse, (SIZE, SIZE), mode="bilinear")

    shown = functional.one_hot(torch.from_numpy(np.stack([s.semantic for s in scenes])).long(), CLASSES + 1)
    semantic = noise(CLASSES + 1) + 6 * shown.permute(0, 3, 1, 2)
    if state == "start":
        return {"semantic": semantic, "centers": noise(CLASSES) * 1e-3, "offsets": noise(2) * 1e-3}
    centers = noise(CLASSES) * (0.05 if state == "middle" else 0.01)
    offsets = noise(2) * (3.0 if state == "middle" else 0.2)
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    for image, scene in enumerate(scenes):
        for number, (cx, cy, category) in enumerate(scene.centers, start=1):
            height = rng.uniform(0.1, 1) if state == "middle" else 0.9
            heatmap = height * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 72)
            centers[image, category] = torch.maximum(centers[image, category], torch.from_numpy(heatmap))
            inside = torch.from_numpy(scene.instances == number)
            offsets[image, 0][inside] += torch.from_numpy(cy - y)[inside]
            offsets[image, 1][inside] += torch.from_numpy(cx - x)[inside]
    return {"semantic": semantic, "centers": centers, "offsets": offsets}


def milliseconds(call: Callable[[], object], repeats: int = 7) -> float:
    """Median CPU time of a call in this thread, after a warm-up call; other work on the machine does not add to it."""
    times = []
    for _ in range(repeats + 1):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return 1e3 * float(np.median(times[1:]))


def label(scenes: list[Scene]) -> Targets:
    """Round-0 labels of scenes as a batch of heat, offset and weight maps."""
    found = [pseudo_instances(scene.semantic, scene.cues, scene.tags, SETTINGS.min_area) for scene in scenes]
    table = torch.from_numpy(pad_tables([np.column_stack([one.categories, one.centers]) for one in found]))
    instance_map = torch.from_numpy(np.stack([one.instance_map for one in found]))
    return render_targets(instance_map, table, torch.ones(table.shape[:2]), CLASSES, None, SETTINGS.sigma)


def check_same(name: str, ours: list[torch.Tensor], literal: tuple) -> None:
    """Raises AssertionError if two sets of maps differ."""
    for mine, theirs in zip(ours, literal, strict=True):
        assert np.allclose(np.asarray(mine), theirs, atol=1e-4), f"{name} differs from the literal reference"


def measure_labels(scenes: list[Scene]) -> list[Row]:
    """Round-0 labels."""
    ours = milliseconds(lambda: label(scenes)) / len(scenes)
    started = time.process_time()
    scene = scenes[0]
    literal = bestie_reference.pseudo_labels(scene.semantic, scene.cues, np.flatnonzero(scene.tags), CLASSES)[2]
    baseline = 1e3 * (time.process_time() - started)
    check_same("labels", [part[0] for part in label([scene])], literal)
    what = "round-0 labels, an image"
    return [
        Row(what, ours, "ms", "written out, 1 image", baseline, 4),
        Row(what, ours, "ms", "released code, quoted", RELEASED_LABELS_MS, 4),
    ]


def measure_refinement(rng: np.random.Generator, scenes: list[Scene]) -> list[Row]:
    """Refinement, in the slowest of the three states of a training."""
    parts = [semantic_components(scene.semantic, scene.tags, SETTINGS.min_area) for scene in scenes]
    given = {
        "components": torch.from_numpy(np.stack([part.map for part in parts])),
        "table": torch.from_numpy(pad_tables([part.table for part in parts])),
        "settings": SETTINGS,
    }
    times, outputs = {}, {}
    for state in ("start", "middle", "trained"):
        outputs = draw_outputs(rng, scenes, state)
        times[state] = milliseconds(lambda found=outputs: refine(**found, **given), 5) / len(scenes)
    slowest = max(times, key=times.get)
    first = {name: value[0].numpy() for name, value in outputs.items()}
    probability = torch.from_numpy(first["semantic"]).softmax(0).numpy()
    tags = np.flatnonzero(scenes[0].tags)
    started = time.process_time()
    literal = bestie_reference.refine(scenes[0].semantic, probability, first["centers"], first["offsets"], tags)
    baseline = 1e3 * (time.process_time() - started)
    check_same("refinement", [part[0] for part in refine(**outputs, **given)], literal)
    what = f"refinement, an image ({slowest})"
    return [
        Row(what, times[slowest], "ms", "written out, 1 image", baseline, 15),
        Row(what, times[slowest], "ms", "released code, quoted", RELEASED_REFINEMENT_MS, 15),
    ]


def measure() -> list[Row]:
    """All rows of this benchmark."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    scenes = [draw_scene(rng) for _ in range(BATCH)]
    rows = measure_labels(scenes) + measure_refinement(rng, scenes)
    torch.set_num_threads(threads)
    return rows
