"""The speed and memory of trainings and inferences on a device, measured in this process."""

import gc
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from bench.gpu_steps import Training, run
from bench.jobs import PlannedJob
from wsis_steps.engine.step import Job
from wsis_steps.vision import loop
from wsis_steps.vision.metrics import WARM, Speed

MOST_BATCHES = 64  # times the paper's batch, beyond which nothing is tried


class Ended(SystemExit):
    """Ends a step whose speed is known."""


def release(device: torch.device) -> None:
    """Frees what no one uses, and forgets the peak of memory."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_memory(device: torch.device) -> float:
    """Peak GB of GPU memory since `release`; on a CPU, of the process since its start."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def wait(device: torch.device) -> None:
    """Waits until all that was asked of a GPU is computed."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def iterate(training: Training, samples: list) -> float:
    """Seconds of an iteration on these samples."""
    batch = training.batch(samples)
    wait(training.device)
    started = time.perf_counter()
    loop.advance(
        training.model, training.optimizer, training.loss, batch, training.iterations, training.device,
        training.accumulation,
    )  # fmt: skip
    wait(training.device)
    return time.perf_counter() - started


def train(training: Training, folder: Path, seconds: float) -> tuple[float, float]:
    """Images per second of the training loop, and the share of the time that it waits for them, in percent."""
    samples = training.samples(training.job.settings.batch_size)
    once = min(iterate(training, samples) for _ in range(2))
    kept: list[Speed] = []

    class Kept(Speed):
        def __init__(self, images: int) -> None:
            super().__init__(images)
            kept.append(self)

        def tell(self) -> None:
            wait(training.device)
            self.seconds = time.perf_counter() - self.started

    training.job.outputs = {"metrics": folder / "metrics.jsonl"}
    iterations = WARM + int(np.clip(seconds / once, 3, 200))
    with mock.patch.object(loop, "Speed", Kept):
        loop.train(
            training.job, training.model, training.optimizer, training.dataset, training.loss, iterations,
            training.device, training.collate, training.accumulation,
        )  # fmt: skip
    (speed,) = kept
    return (speed.count - WARM) * speed.images / speed.seconds, 100 * speed.waited / speed.seconds


def largest_batch(take: Callable[[int], float], batch: int, seconds: float) -> tuple[int, bool]:
    """The largest `batch` times a power of 2 that fits into the GPU's memory, and whether the next did not; larger
    ones are not tried after one that took `seconds`, or beyond MOST_BATCHES.

    take: seconds of an iteration with a batch; raises torch.OutOfMemoryError if it does not fit.
    """
    largest, tried = 0, batch
    while tried <= MOST_BATCHES * batch:
        try:
            took = take(tried)
        except torch.OutOfMemoryError:
            return largest, True
        largest, tried = tried, 2 * tried
        if took > seconds:
            break
    return largest, False


def enlarged(training: Training, samples: list) -> Callable[[int], float]:
    """For `largest_batch`: an iteration with a batch of these samples, as often as needed."""

    def take(count: int) -> float:
        repeated = [samples[k % len(samples)] for k in range(count)]
        try:
            return iterate(training, repeated)
        finally:
            training.optimizer.zero_grad(set_to_none=True)
            release(training.device)

    return take


def infer(job: PlannedJob, seconds: float) -> float:
    """Images per second of an inference on the job's images again and again, without reading the model or writing.

    The first image, or batch of images, is not counted.
    """
    rates: list[float] = []

    def progress(
        job: Job, items: Iterable, total: int | None = None, unit: str = "", size: Callable = lambda _: 1
    ) -> Iterator[Any]:
        started, count = None, 0
        for item in items:
            yield item
            now = time.perf_counter()
            if started is None:
                started = now
                continue
            count += size(item)
            if now - started > seconds:
                break
        rates.append(count / (now - started))
        raise Ended(0)

    repeated = mock.patch.object(Job, "share", lambda job, members: np.tile(members, 64))
    with mock.patch.object(Job, "progress", progress), repeated:
        run(job)
    return rates[0]
