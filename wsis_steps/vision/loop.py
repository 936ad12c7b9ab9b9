"""The training loop of all networks: data order, mixed precision, schedule, checkpoints, resuming, metrics.

Every random number of iteration t depends only on (seed, t): the loop seeds torch at each iteration, and data sets seed
their generators with (seed, t, place in the batch). So the iteration defines the position in the data, and a resumed
training computes the same as an uninterrupted one.
"""

import logging
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from wsis_steps.engine.documents import write_lines
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.progress import Meter
from wsis_steps.engine.step import Job
from wsis_steps.vision import ranks
from wsis_steps.vision.checkpoint import Checkpoint
from wsis_steps.vision.device import autocast
from wsis_steps.vision.metrics import Speed, Sums
from wsis_steps.vision.schedule import rate
from wsis_steps.vision.settings import Training

log = logging.getLogger("wsis")
SEED_STRIDE = 1_000_003  # distance between the random numbers of two seeds; exceeds the iterations of any training
METRIC_POINTS = 200  # lines in the metrics file of a complete training


class Batches:
    """Yields, for each iteration from `start`, the list of (index, iteration, place) to load.

    Each pass over the `count` images has its own permutation; a batch may span two passes. Rank `rank` of `ranks` gets
    every `ranks`-th place of each batch, from `rank` on.
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
    """Trains `model` in place, resuming from a matching checkpoint in `job.work` if there is one.

    `dataset[(index, iteration, place)]` is a sample; loss(model, batch, iteration) returns the terms, of which
    `total` is minimized. Their means are written to the output `metrics` as JSON lines.
    With `accumulation` above 1, a batch must be a list and passes through the network in that many parts of equal
    size. With several ranks (`ranks`), each takes its places of every batch.
    Raises InputError with the terms if the loss is not finite.
    """
    settings: Training = job.settings
    if settings.batch_size % (ranks.count() * accumulation):
        raise InputError(
            f"{job.name}: {ranks.count()} processes cannot share a batch of {settings.batch_size} evenly "
            f"({accumulation} parts); choose another --ranks."
        )
    if settings.batch_norm == "joint":
        ranks.join_batch_norms(model)
    model.to(memory_format=torch.channels_last)  # makes convolutions a fifth faster on CPUs and in mixed precision
    checkpoint = Checkpoint(job, model, optimizer)
    bases = [group["lr"] for group in optimizer.param_groups]
    start, lines, terms, count = checkpoint.resume(device)
    if not start and settings.weights == "none":
        log.info("the backbone starts with random weights (weights: none)")
    sums = Sums(max(iterations // METRIC_POINTS, 1), lines)
    sums.terms, sums.count = terms, count
    own = ranks.number(), ranks.count()
    batches = Batches(len(dataset), settings.batch_size, settings.seed, start, iterations, *own)
    loader = build_loader(dataset, batches, job.threads, device, collate)
    bar = tqdm(total=iterations, initial=start, desc=job.name, unit="it", disable=not sys.stderr.isatty())
    meter = Meter(iterations, "it", start)
    model.train()
    speed = Speed(settings.batch_size)
    for done, batch in enumerate(speed.watch(watch_workers(loader)), start=start + 1):
        number = (settings.seed * SEED_STRIDE + done) * ranks.count() + ranks.number()
        torch.manual_seed(number % 2**32)  # on a CPU torch uses only 32 bits
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
            log.info("ended by a signal after iteration %d; the next call resumes there", done)
            sys.exit(143)
    bar.close()
    speed.tell()
    write_lines(job.outputs["metrics"], sums.lines)


def advance(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[nn.Module, Any, int], dict[str, torch.Tensor]],
    batch: Any,
    iteration: int,
    device: torch.device,
    accumulation: int = 1,
) -> dict[str, torch.Tensor]:
    """One iteration of training; returns the loss terms, averaged over the parts of the batch and the ranks."""
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
    """Loads in worker processes beside a GPU. On a CPU, one worker loads during the computation; on two cores that
    would cost more than loading in between, so there is none."""
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


def watch_workers(loader: DataLoader) -> Iterator[Any]:
    """The batches of a loader; InputError if its processes cannot start or lack shared memory."""
    advice = "see that /dev/shm is writable and large enough (docker run --shm-size), or give fewer --threads"
    try:
        yield from loader
    except (RuntimeError, OSError) as error:
        starting = isinstance(error, OSError) and error.filename is None and "Caught" not in str(error)
        if loader.num_workers and (starting or "shared memory" in str(error)):
            reason = getattr(error, "strerror", None) or "no shared memory"
            raise InputError(f"The processes that load images cannot run ({reason}); {advice}.") from error
        raise


def _start_worker(_: int) -> None:
    """Ignores signals sent to the whole process group: the training saves a checkpoint, then ends its workers."""
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
