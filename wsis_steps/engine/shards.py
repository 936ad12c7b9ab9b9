"""Shares the images of one step among jobs, or among the processes of a job."""

import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.pool import end_with

Join = Callable[[Sequence[Path], Path], None]  # joins the files of shards, in order, into one
RANK_OF_SHARE = "WSIS_RANK"  # environment variable: number of a process among those that share the images of a job
BLOCK = 8  # images that a step may process together; shards have whole blocks, so batches are the same as in one job


def number_of_share() -> int:
    """Number of this process among those that share the images of a job; 0 if there are no others."""
    return int(os.environ.get(RANK_OF_SHARE, 0))


def members_of_shard(count: int, shard: str) -> np.ndarray:
    """Indices of the images of a shard, int64: '1/4' is the first quarter of `count` images, in whole blocks.

    Raises:
        InputError: `shard` is not such a fraction.
    """
    number, shards = _parse(shard)
    blocks = -(-count // BLOCK)
    return np.arange(blocks * (number - 1) // shards * BLOCK, min(blocks * number // shards * BLOCK, count))


def divide(shard: str, parts: int) -> list[str]:
    """The parts of a shard, in order: '2/4' divided in two is '3/8' and '4/8'.

    Raises:
        InputError: `shard` is not such a fraction.
    """
    number, shards = _parse(shard)
    return [f"{(number - 1) * parts + k}/{shards * parts}" for k in range(1, parts + 1)]


def share_among_processes(
    command: Sequence[str], shard: str, outputs: Mapping[str, Path], ranks: int, join: Join
) -> int:
    """Runs a step in `ranks` processes, each with its own GPU, and joins their outputs into those of a single process.

    command: module and command line of the step; its shard, ranks and outputs are overridden.
    Returns 0, or the exit status of the first process that fails, after ending the others.
    """
    calls = [[*command, "--ranks", "1", "--shard", part] for part in divide(shard, ranks)]
    parts = {}
    for name, path in outputs.items():
        parts[name] = [path.with_name(f"{path.name}.ranks") / str(rank) for rank in range(ranks)]
        for call, part in zip(calls, parts[name], strict=True):
            call += [f"--{name}", str(part)]
    try:
        status = _call_together(calls)
        if not status:
            for name, path in outputs.items():
                join(parts[name], path)
        return status
    finally:
        for paths in parts.values():
            shutil.rmtree(paths[0].parent, ignore_errors=True)


def _call_together(calls: Sequence[Sequence[str]]) -> int:
    """Runs modules in parallel and returns 0, or the exit status of the first that fails. Those still running then are
    ended, as all are when this process ends."""
    started: list[subprocess.Popen] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    ends_with_us = functools.partial(end_with, os.getpid())
    try:
        for rank, call in enumerate(calls):
            variables = {**os.environ, "LOCAL_RANK": str(rank), RANK_OF_SHARE: str(rank)}
            command = [sys.executable, "-m", *call]
            started.append(subprocess.Popen(command, env=variables, preexec_fn=ends_with_us))
        while True:
            found = [process.poll() for process in started]
            if any(found) or None not in found:
                return next(filter(None, found), 0)
            time.sleep(0.1)
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


def _parse(shard: str) -> tuple[int, int]:
    """Number (from 1) and count of a shard."""
    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    number, shards = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= shards:
        raise InputError(f"--shard is '{shard}', but must be a fraction such as 1/4, at most 4/4.")
    return number, shards
