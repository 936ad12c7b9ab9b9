"""The training loop of every network: data order, mixed precision, schedule, checkpoints, resume, metrics.

Every random number of iteration t depends on (seed, t) only: the loop seeds torch at each iteration, and a
data set seeds its generator with (seed, t, place in the batch). So the position of the sampler is the iteration,
and a run that was killed and resumed computes what one that was not would have.

The environment variable WSIS_CHECKPOINT_SECONDS sets the time between checkpoints (60; 0 saves every iteration).
"""

import json
import logging
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.progress import Meter
from wsis_steps.engine.provenance import digest
from wsis_steps.engine.settings import canonical
from wsis_steps.engine.step import Job
from wsis_steps.vision import ranks
from wsis_steps.vision.device import autocast
from wsis_steps.vision.measures import Speed, Sums
from wsis_steps.vision.settings import Training

log = logging.getLogger("wsis")
SEED_STRIDE = 1_000_003  # between the random numbers of two seeds; more than a training has iterations
METRIC_POINTS = 200  # lines in the metrics file of a whole training


class Batches:
    """Yields for each iteration from `start` the list of (index, iteration, place) that a data set gets.

    Each pass over the `count` images has its own permutation; a batch may span two passes. `rank` of `ranks` gets
    every so many places of each batch.
    """

    def __init__(
        self, count: int, batch_size: int, seed: int, start: int, end: int, rank: int = 0, ranks: int = 1
    ) -> None:
        self.count, self.batch_size, self.seed, self.start, self.end = count, batch_size, seed, start, end
        self.rank, self.ranks = rank, ranks

    def __len__(self) -> int:
        return self.end - self.start

    def __iter__(self) -> Iterator[list[tuple[int, int, int]]]:
        epoch, order = -1, np.zeros(0, dtype=np.int64)
        for iteration in range(self.start, self.end):
            batch = []
            for place in range(self.batch_size):
                now, position = divmod(iteration * self.batch_size + place, self.count)
                if now != epoch:
                    epoch, order = now, np.random.default_rng((self.seed, now)).permutation(self.count)
                batch.append((int(order[position]), iteration, place))
            yield batch[self.rank :: self.ranks]


def checkpoint_seconds() -> float:
    """Seconds between two checkpoints; InputError where WSIS_CHECKPOINT_SECONDS is no number."""
    text = os.environ.get("WSIS_CHECKPOINT_SECONDS", "60")
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"WSIS_CHECKPOINT_SECONDS is '{text}', which is no number of seconds.") from error


def rate(settings: Training, iteration: int, iterations: int) -> float:
    """Factor on the learning rate at an iteration counted from 0."""
    progress = iteration / iterations
    factor = 1.0
    if settings.schedule == "drop":
        factor = 0.1 ** sum(progress >= at for at in settings.drop_at)
    elif settings.schedule == "halve":
        factor = 0.5 ** math.floor(10 * progress)
    elif settings.schedule == "poly":
        factor = (1 - progress) ** 0.9
    elif settings.schedule == "one_cycle":
        if progress < 0.25:
            factor = 0.04 + 0.96 * (1 - math.cos(math.pi * progress / 0.25)) / 2
        else:
            factor = (1 + math.cos(math.pi * (progress - 0.25) / 0.75)) / 2
    if iteration < settings.warm_up:
        factor *= 0.001 + 0.999 * iteration / settings.warm_up
    return factor


def ramp(share: float, iteration: int, iterations: int) -> float:
    """Factor that grows from 0 to 1 during the first `share` of the training, at an iteration counted from 1."""
    return min(iteration / (share * iterations), 1) if share else 1


def build_optimizer(settings: Training, groups: list[dict[str, Any]], momentum: float, nesterov: bool = False):
    """torch optimizer over parameter groups; each may have its own `lr`."""
    common = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=momentum, nesterov=nesterov, **common)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimizer](groups, **common)


class Checkpoint:
    """Model, optimizer, iteration and metrics in `job.work`, with the fingerprint of settings, code and inputs."""

    def __init__(self, job: Job, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.model, self.optimizer = model, optimizer
        self.path = job.work / "checkpoint.pt" if job.work else None
        self.saved, self.interval = time.monotonic(), checkpoint_seconds()
        parts = {name: digest(path) for name, path in job.inputs.items() if path}
        self.fingerprint = canonical(
            {"settings": job.settings.model_dump(mode="json"), "code": job.code, "inputs": parts}
        )

    def resume(self, device: torch.device) -> tuple[int, list[dict], dict[str, torch.Tensor], int]:
        """Iteration to go on from with the metrics so far; 0 where there is no checkpoint that fits."""
        if self.path is None or not self.path.exists():
            return 0, [], {}, 0
        try:
            state = torch.load(self.path, map_location=device, weights_only=True)
        except (UnpicklingError, RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError) as error:
            log.warning("checkpoint %s cannot be read (%s); starting anew", self.path, error)
            return 0, [], {}, 0
        if state["fingerprint"] != self.fingerprint:
            aside = self.path.with_suffix(".other.pt")
            if ranks.number() == 0:
                self.path.replace(aside)
            log.info("the checkpoint is of other settings, code or inputs; set aside as %s", aside)
            return 0, [], {}, 0
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        log.info("resuming after iteration %d", state["iteration"])
        return state["iteration"], json.loads(state["lines"]), state["terms"], state["count"]

    def due(self) -> bool:
        return self.path is not None and time.monotonic() - self.saved >= self.interval

    def save(self, iteration: int, sums: Sums) -> None:
        if self.path is None or ranks.number() > 0:
            return
        sums.means(iteration)  # what has diverged is not worth going on from
        self.path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "fingerprint": self.fingerprint,
            "iteration": iteration,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "lines": json.dumps(sums.lines),
            "terms": sums.terms,
            "count": sums.count,
        }
        partial = self.path.with_suffix(".partial")
        try:
            with partial.open("wb") as file:  # a path would hide from torch's error that the disk is full
                torch.save(state, file)
            partial.replace(self.path)
        finally:
            partial.unlink(missing_ok=True)
        self.saved = time.monotonic()


def train(
    job: Job,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    dataset: Dataset,
    loss: Callable[[nn.Module, Any, int], dict[str, torch.Tensor]],
    iterations: int,
    device: torch.device,
    collate: Callable[[list], Any] | None = None,
    accumulation: int = 1,
) -> None:
    """Trains `model` in place, resuming from a checkpoint in `job.work` where one fits.

    `dataset[(index, iteration, place)]` is a sample; loss(model, batch, iteration) gives the terms, of which
    `total` is minimized. The output `metrics` receives the means of the terms as JSON lines.
    With `accumulation` above 1 a batch, which must then be a list, goes through the network in so many parts of equal
    size. Of several ranks (`ranks`) each takes its places of every batch.
    Raises InputError with the terms where a loss is not finite.
    """
    settings: Training = job.settings
    if settings.batch_size % (ranks.count() * accumulation):
        raise InputError(
            f"{job.name}: {ranks.count()} processes cannot share a batch of {settings.batch_size} evenly "
            f"({accumulation} parts); take another --ranks."
        )
    if settings.batch_norm == "joint":
        ranks.join_batch_norms(model)
    model.to(memory_format=torch.channels_last)  # convolutions are a fifth faster on CPUs, and with mixed precision
    checkpoint = Checkpoint(job, model, optimizer)
    bases = [group["lr"] for group in optimizer.param_groups]
    start, lines, terms, count = checkpoint.resume(device)
    if not start and settings.weights == "none":
        log.info("the backbone starts from random weights (weights: none)")
    sums = Sums(max(iterations // METRIC_POINTS, 1), lines)
    sums.terms, sums.count = terms, count
    own = ranks.number(), ranks.count()
    batches = Batches(len(dataset), settings.batch_size, settings.seed, start, iterations, *own)
    loader = build_loader(dataset, batches, job.threads, device, collate)
    bar = tqdm(total=iterations, initial=start, desc=job.name, unit="it", disable=not sys.stderr.isatty())
    meter = Meter(iterations, "it", start)
    model.train()
    speed = Speed(settings.batch_size)
    for done, batch in enumerate(speed.watch(loader), start=start + 1):
        number = (settings.seed * SEED_STRIDE + done) * ranks.count() + ranks.number()
        torch.manual_seed(number % 2**32)  # on a CPU torch heeds no more than 32 bits
        for group, base in zip(optimizer.param_groups, bases, strict=True):
            group["lr"] = base * rate(settings, done - 1, iterations)
        sums.add(advance(model, optimizer, loss, to_device(batch, device), done, device, accumulation))
        ended = ranks.any_of(job.terminated)
        bar.update()
        if done % sums.every == 0 or done == iterations:
            line = sums.line(done, optimizer.param_groups[0]["lr"])
            bar.set_postfix(loss=f"{line['total']:.4g}")
            meter.tell(done, f", loss {line['total']:.4g}")
        if ended or checkpoint.due() or done == iterations:
            checkpoint.save(done, sums)
        if ended:
            log.info("ended by a signal after iteration %d; the next call goes on from there", done)
            sys.exit(143)
    bar.close()
    speed.tell()
    job.outputs["metrics"].write_text("".join(json.dumps(line) + "\n" for line in sums.lines))


def advance(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[nn.Module, Any, int], dict[str, torch.Tensor]],
    batch: Any,
    iteration: int,
    device: torch.device,
    accumulation: int = 1,
) -> dict[str, torch.Tensor]:
    """One iteration of training; returns the terms of the loss, the mean over the parts of the batch and the ranks."""
    optimizer.zero_grad(set_to_none=True)
    means: dict[str, torch.Tensor] = {}
    for part in [batch] if accumulation == 1 else [batch[k::accumulation] for k in range(accumulation)]:
        with autocast(device):
            terms = loss(model, part, iteration)
        (terms["total"] / accumulation).backward()
        for name, value in terms.items():
            means[name] = means.get(name, 0) + value.detach() / accumulation
    averaged = ranks.average_gradients(model.parameters(), means.values())
    optimizer.step()
    return dict(zip(means, averaged, strict=True))


def build_loader(
    dataset: Dataset, batches: Batches, threads: int, device: torch.device, collate: Callable | None
) -> DataLoader:
    """Loads in worker processes beside a GPU. On the CPU one worker overlaps with the computation, but on two cores it
    would take one of them from it, which costs more than loading in between."""
    workers = max(threads - 1, 1) if device.type == "cuda" else int(threads > 2)
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=device.type == "cuda",
        persistent_workers=False,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_start_worker,
    )


def _start_worker(_: int) -> None:
    """Leaves signals that reach the whole process group to the training, which saves first and ends its workers."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def to_device(batch: Any, device: torch.device) -> Any:
    """Moves every tensor of a nested batch without waiting for the copy."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {name: to_device(value, device) for name, value in batch.items()}
    if isinstance(batch, list | tuple):
        return [to_device(value, device) for value in batch]
    return batch
