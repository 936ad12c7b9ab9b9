"""Runs steps in this process, and stops trainings where they would begin, so that each can be looked at alone."""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import nn
from torch.utils.data import Dataset, default_collate

from bench.jobs import PlannedJob
from wsis_steps.engine.documents import write_lines
from wsis_steps.engine.step import Job
from wsis_steps.vision.loop import Batches, to_device


@dataclass
class Training:
    """What a step hands to the training loop (`loop.train`)."""

    job: Job
    model: nn.Module
    optimizer: torch.optim.Optimizer
    dataset: Dataset
    loss: Callable[[nn.Module, Any, int], dict[str, torch.Tensor]]
    iterations: int
    device: torch.device
    collate: Callable[[list], Any] | None = None
    accumulation: int = 1

    def samples(self, count: int) -> list:
        """The samples of a batch of `count`, those of the first iteration."""
        (keys,) = Batches(len(self.dataset), count, self.job.settings.seed, 0, 1)
        return [self.dataset[key] for key in keys]

    def batch(self, samples: list) -> Any:
        """The samples as one batch, on the device."""
        return to_device((self.collate or default_collate)(samples), self.device)


def run(job: PlannedJob) -> None:
    """Runs a job in the current folder. RuntimeError if it fails."""
    module = importlib.import_module(job.command[2])
    try:
        module.STEP.run(module.main, job.command[3:])
    except SystemExit as ended:
        if ended.code:
            raise RuntimeError(f"{job.name} ended with {ended.code}") from None


@contextmanager
def _training_replaced(job: PlannedJob, train: Callable[..., None]) -> Iterator[None]:
    """The step of a job with another training loop."""
    module = importlib.import_module(job.command[2])
    owner = module if hasattr(module, "train") else importlib.import_module("wsis_steps.maskrcnn.training")
    with mock.patch.object(owner, "train", train):
        yield


def untrained(job: PlannedJob) -> None:
    """Runs a training without iterations, so that its model has its initial weights."""

    def train(job: Job, *_: Any) -> None:
        write_lines(job.outputs["metrics"], [])

    with _training_replaced(job, train):
        run(job)


def capture(job: PlannedJob) -> Training:
    """The training of a job, ready for its first iteration; no file is written."""
    found = []

    def train(*arguments: Any) -> None:
        found.append(Training(*arguments))
        sys.exit(0)

    with _training_replaced(job, train):
        run(job)
    if not found:
        raise RuntimeError(f"{job.name} starts no training")
    found[0].model.to(memory_format=torch.channels_last).train()
    found[0].job.work = None  # no checkpoints
    return found[0]
