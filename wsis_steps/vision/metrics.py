"""What a training logs: the means of its loss terms, and its speed."""

import logging
import math
import time
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from wsis_steps.engine.errors import InputError

log = logging.getLogger("wsis")
WARM = 3  # iterations before speed is measured: the first ones wait for workers to start


class Speed:
    """Passes batches on and measures how fast they are used and how long the training waits for them."""

    def __init__(self, images: int) -> None:
        self.images = images  # per batch
        self.count, self.waited, self.started = 0, 0.0, 0.0

    def watch(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Yields the batches."""
        iterator = iter(batches)
        while True:
            asked = time.perf_counter()
            if self.count == WARM:
                self.started, self.waited = asked, 0.0
            batch = next(iterator, None)
            self.waited += time.perf_counter() - asked
            if batch is None:
                return
            yield batch
            self.count += 1

    def tell(self) -> None:
        """Logs the speed, if enough was measured."""
        if self.count <= WARM:
            return
        seconds = time.perf_counter() - self.started
        rate, share = (self.count - WARM) * self.images / seconds, self.waited / seconds
        log.info("%.3g images/s, %.1f %% of the time waiting for them", rate, 100 * share)


class Sums:
    """Means of the loss terms between metric points, kept on the device so that no iteration waits for them."""

    def __init__(self, every: int, lines: list[dict]) -> None:
        self.every, self.lines = every, lines
        self.terms: dict[str, torch.Tensor] = {}
        self.count = 0

    def add(self, terms: dict[str, torch.Tensor]) -> None:
        for name, value in terms.items():
            self.terms[name] = self.terms[name] + value.detach() if name in self.terms else value.detach()
        self.count += 1

    def line(self, iteration: int, learning_rate: float) -> dict[str, float]:
        """Closes the current mean and returns it as a line of the metrics; InputError if a term is not finite."""
        means = self.means(iteration)
        self.terms, self.count = {}, 0
        self.lines.append({"iteration": iteration, "learning_rate": learning_rate, **means})
        return self.lines[-1]

    def means(self, iteration: int) -> dict[str, float]:
        """Means of the terms since the last line; InputError if one is not finite."""
        means = {name: float(value) / self.count for name, value in self.terms.items()}
        if not all(map(math.isfinite, means.values())):
            text = ", ".join(f"{name} {value:.4g}" for name, value in means.items())
            raise InputError(
                f"The loss is not finite by iteration {iteration} ({text}); lower the learning rate or check the data."
            )
        return means
