"""The time and peak memory that the neighbourhood loss adds to an iteration of learning_to_segment.

Baseline: the same iteration with neighbourhood_weight 0. The settings are those of the voc2012 preset (VGG-16, 224
pixels, 21 classes; on a CPU with a batch of 4, because all costs grow with the images) and of the generated data.
Iterations with and without the loss alternate.
"""

import multiprocessing
import re
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import yaml

from bench.neighbourhood import draw_picture
from bench.rows import Row
from wsis_steps.learning_to_segment.network import build_semantic_network
from wsis_steps.learning_to_segment.settings import LearningToSegmentTrain
from wsis_steps.learning_to_segment.train import build_loss
from wsis_steps.plan.config import load
from wsis_steps.plan.runs import Runs
from wsis_steps.vision.loop import advance
from wsis_steps.vision.schedule import build_optimizer

ROOT = Path(__file__).parents[1]
PRESETS = {  # configuration, classes, images of a batch on the CPU
    "voc2012, VGG-16": ("workflow/presets/voc2012.yaml", 20, 4),
    "shapes, small": ("config.yaml", 6, 8),
}
MOST_TAGS = 3
TURNS = 7


class Training:
    """A network in training, whose iterations can run with and without the neighbours."""

    def __init__(self, settings: LearningToSegmentTrain, classes: int, batch: int, device: torch.device) -> None:
        self.settings, self.device = settings, device
        rng = np.random.default_rng(0)
        pictures = np.stack([draw_picture(rng, settings.crop) for _ in range(batch)])
        tags = np.stack([rng.permutation(classes) < MOST_TAGS for _ in range(batch)])
        self.batch = {
            "picture": torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous().to(self.device),
            "tags": torch.from_numpy(tags).to(self.device),
            "valid": torch.ones(batch, settings.crop, settings.crop, dtype=torch.bool, device=self.device),
        }
        self.model = (
            build_semantic_network(settings, classes).to(self.device, memory_format=torch.channels_last).train()
        )
        groups = self.model.parameter_groups(settings.learning_rate, settings.head_lr_factor)
        self.optimizer = build_optimizer(settings, groups)

    def iterate(self, neighbourhood_weight: float) -> float:
        """Runs one iteration; seconds."""
        loss = build_loss(self.settings.model_copy(update={"neighbourhood_weight": neighbourhood_weight}), MOST_TAGS)
        started = time.perf_counter()
        advance(self.model, self.optimizer, loss, self.batch, 1, self.device)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started


def peak_memory(neighbourhood_weight: float, *training_of) -> float:
    """Peak MB of two iterations, on the GPU, else of this process, which must be fresh."""
    training = Training(*training_of)
    for _ in range(2):
        training.iterate(neighbourhood_weight)
    if training.device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    status = Path("/proc/self/status").read_text()  # getrusage would count the parent as it was before exec
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024 / 1e6


def measure(device: torch.device) -> list[Row]:
    """All rows of this file."""
    rows = []
    for name, (file, classes, batch) in PRESETS.items():
        configuration = load(yaml.safe_load((ROOT / file).read_text()))
        settings = Runs(configuration).values("learning_to_segment", "learning_to_segment_train")
        weight = settings.neighbourhood_weight
        batch = settings.batch_size if device.type == "cuda" else batch
        training_of = settings, classes, batch, device
        training = Training(*training_of)
        times = np.array([[training.iterate(weight), training.iterate(0)] for _ in range(1 + TURNS)])[1:]
        ours, theirs = (1e3 * np.median(times, axis=0)).tolist()
        what, against = f"learning_to_segment iteration, {name}, batch {batch}", "same, without neighbours"
        rows.append(Row(what, ours, "ms", against, theirs, 1.25, of_ratio=True))
        del training
        fresh = {"max_workers": 1, "mp_context": multiprocessing.get_context("spawn"), "max_tasks_per_child": 1}
        with ProcessPoolExecutor(**fresh) as pool:
            ours, theirs = (pool.submit(peak_memory, each, *training_of).result() for each in (weight, 0))
        rows.append(Row(f"{what}, memory", ours, "MB", against, theirs, 1.25, of_ratio=True))
    return rows
