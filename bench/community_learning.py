"""Memory and time of one iteration of community_learning with the paper's settings: ResNet-50, one image of 600 x 800
pixels, and 500, 1,000 and 2,000 proposals, all passed through res5.

Baseline: the same with 500 proposals. Memory has a limit; time should grow no faster than the number of proposals.
"""

import multiprocessing
import re
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch

from bench.neighbourhood import draw_picture
from bench.rows import Row
from wsis_steps.community_learning.network import CommunityNetwork
from wsis_steps.community_learning.objective import batch_loss
from wsis_steps.community_learning.settings import CommunityLearningTrain
from wsis_steps.vision.loop import advance
from wsis_steps.vision.schedule import build_optimizer

HEIGHT, WIDTH, CLASSES = 600, 800, 20
COUNTS = (500, 1000, 2000)
MOST_MEGABYTES = {"cuda": 12_000, "cpu": 6_000}
ITERATIONS = {"cuda": 5, "cpu": 1}


def draw_sample(count: int, device: torch.device) -> dict[str, torch.Tensor]:
    """An image with two tags and random boxes of all sizes."""
    rng = np.random.default_rng(0)
    picture = draw_picture(rng, WIDTH)[:HEIGHT]
    sides = np.exp(rng.uniform(np.log(20), np.log(HEIGHT), (count, 2)))
    low = rng.uniform(0, 1, (count, 2)) * ((WIDTH, HEIGHT) - sides)
    sample = {
        "picture": torch.from_numpy(picture).permute(2, 0, 1).contiguous(),
        "boxes": torch.from_numpy(np.hstack([low, low + sides]).astype(np.float32)),
        "tags": torch.from_numpy(rng.permutation(CLASSES) < 2),
        "luck": torch.from_numpy(rng.random(count, dtype=np.float32)),
    }
    return {name: value.to(device) for name, value in sample.items()}


def measure_iteration(count: int, kind: str) -> tuple[float, float]:
    """Peak MB and seconds of an iteration, in a separate process; on a GPU, the first iteration is not counted."""
    device = torch.device(kind)
    settings = CommunityLearningTrain(weights="none")
    model = CommunityNetwork(settings, CLASSES).to(device, memory_format=torch.channels_last).train()
    groups = model.parameter_groups(settings.learning_rate, settings.head_lr_factor, settings.bias_lr_factor)
    optimizer = build_optimizer(settings, groups)
    batch, seconds = [draw_sample(count, device)], []
    for _ in range(ITERATIONS[kind]):
        started = time.perf_counter()
        advance(model, optimizer, batch_loss, batch, 1, device)
        if kind == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    if kind == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6, min(seconds)
    status = Path("/proc/self/status").read_text()  # getrusage would count the parent as it was before exec
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024 / 1e6, min(seconds)


def measure(device: torch.device) -> list[Row]:
    """All rows of this benchmark."""
    found = []
    for count in COUNTS:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            found.append(pool.submit(measure_iteration, count, device.type).result())
    rows = []
    for count, (memory, seconds) in zip(COUNTS, found, strict=True):
        what, most = f"community_learning, {count} proposals, {device.type}", MOST_MEGABYTES[device.type]
        rows.append(Row(f"{what}: memory", memory, "MB", f"{COUNTS[0]} proposals", found[0][0], most))
        growth = 1.25 * count / COUNTS[0]
        rows.append(
            Row(f"{what}: iteration", seconds, "s", f"{COUNTS[0]} proposals", found[0][1], growth, of_ratio=True)
        )
    return rows
