"""A map over images in worker processes."""

import contextlib
import ctypes
import itertools
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_inherited: list[Callable[[Any], Any]] = []


def fork_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    processes: int,
    chunk: int = 4,
    ahead: int | None = None,
) -> Iterator[Result]:
    """Results of function(item) in order, computed in forked processes up to `ahead` chunks ahead of the reader.

    ahead: by default four times `processes`; pass less if items or results are large.

    Workers inherit `function` and everything it refers to without pickling, so it may be a closure over open artifacts
    or large tables. Exceptions of the function are raised here.
    """
    if processes <= 1:
        yield from map(function, items)
        return
    _inherited.append(function)
    ahead = 4 * processes if ahead is None else ahead
    pool = forked_pool(processes)
    try:
        waiting: deque = deque()
        for batch in _batched(items, chunk):
            waiting.append(pool.submit(_call, batch))
            if len(waiting) > ahead:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        _inherited.pop()


def forked_pool(processes: int) -> ProcessPoolExecutor:
    """A pool of forked processes that end with this one, even if it is killed."""
    context = multiprocessing.get_context("fork")
    return ProcessPoolExecutor(processes, context, initializer=end_with, initargs=(os.getpid(),))


def end_with(parent: int) -> None:
    """Ends this process when its parent dies; otherwise it would wait forever and keep the GPU lease it inherited."""
    if sys.platform == "linux":
        set_death_signal = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def release_memory() -> None:
    """Returns free memory to the system. Results of varying size leave gaps that the Linux allocator keeps: some
    hundred megabytes in a few hundred images."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # C libraries other than glibc lack this function
            ctypes.CDLL(None).malloc_trim(0)


def _batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def _call(batch: list) -> list:
    return [_inherited[-1](item) for item in batch]
