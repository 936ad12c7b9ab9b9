"""Parts of a data set for the jobs, and the processes of a job, that share the work of one step."""

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

Join = Callable[[Sequence[Path], Path], None]  # of the files of shards, in order, into one
RANK_OF_SHARE = "WSIS_RANK"  # says to a process which of those it is that share the images of a job
BLOCK = 8  # images that a step may take at once: a shard has whole blocks, so that they meet in it as in one job


def number_of_share() -> int:
    """Which this process is among those that share the images of a job; 0 where there are no others."""
    return int(os.environ.get(RANK_OF_SHARE, 0))


def members_of_shard(count: int, shard: str) -> np.ndarray:
    """Indices int64 of the images of a shard: '1/4' is the first quarter of `count` images, in whole blocks.

    Raises:
        InputError: the text is no such fraction.
    """
    number, shards = _parse(shard)
    blocks = -(-count // BLOCK)
    return np.arange(blocks * (number - 1) // shards * BLOCK, min(blocks * number // shards * BLOCK, count))


def divide(shard: str, parts: int) -> list[str]:
    """The shards that a shard falls into, in order: '2/4' in two is '3/8' and '4/8'.

    Raises:
        InputError: the text is no such fraction.
    """
    number, shards = _parse(shard)
    return [f"{(number - 1) * parts + k}/{shards * parts}" for k in range(1, parts + 1)]


def share_among_processes(
    command: Sequence[str], shard: str, outputs: Mapping[str, Path], ranks: int, join: Join
) -> int:
    """Calls a step in `ranks` processes at once, a GPU each, and joins what they made to what one would have written.

    command: module and command line of the step; what it says of shard, ranks and outputs is overruled.
    Returns the exit status of the first that fails, whereupon the others are ended, else 0.
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
    """Exit status of the first of some modules that fails, else 0; those that then still run are ended, as all are
    when this process ends."""
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
    """Number, from 1, and count of a shard."""
    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    number, shards = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= shards:
        raise InputError(f"--shard is '{shard}'; it should be like 1/4, from 1/4 to 4/4.")
    return number, shards
