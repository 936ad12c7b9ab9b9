"""A map over images in worker processes."""

import itertools
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_inherited: list[Callable[[Any], Any]] = []


def fork_map(
    function: Callable[[Item], Result], items: Iterable[Item], processes: int, chunk: int = 4
) -> Iterator[Result]:
    """Results of function(item) in order, computed in forked processes a few chunks ahead of the reader.

    Workers inherit `function` with all that it refers to instead of unpickling it, so it may be a closure over
    opened artifacts or large tables. An exception of the function is raised here.
    """
    if processes <= 1:
        yield from map(function, items)
        return
    _inherited.append(function)
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("fork"))
    try:
        waiting: deque = deque()
        for batch in _batched(items, chunk):
            waiting.append(pool.submit(_call, batch))
            if len(waiting) > 4 * processes:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        _inherited.pop()


def _batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def _call(batch: list) -> list:
    return [_inherited[-1](item) for item in batch]
