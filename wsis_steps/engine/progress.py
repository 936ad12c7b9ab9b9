"""Progress of a job: a bar in a terminal, lines in a log."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

from wsis_steps.engine.shards import number_of_share

log = logging.getLogger("wsis")
Item = TypeVar("Item")


def progress(
    items: Iterable[Item],
    total: int,
    name: str,
    unit: str = "image",
    size: Callable[[Item], int] = lambda item: 1,
) -> Iterator[Item]:
    """Passes items on and shows progress: a bar in a terminal, otherwise a line now and then.

    size: how much an item counts toward the total, such as the number of images in a batch.
    """
    seen = sys.stderr.isatty() and not number_of_share()
    bar = tqdm(total=total, unit=unit, desc=name, leave=False, disable=not seen)
    meter, done = Meter(total, unit), 0
    with bar:
        for item in items:
            yield item
            done += size(item)
            bar.update(size(item))
            if bar.disable:
                meter.tell(done)


class Meter:
    """Logs progress, but no more often than every 30 s and every 2 %."""

    def __init__(self, total: int, unit: str, done: int = 0) -> None:
        self.total, self.unit, self.done = max(total, 1), unit, done
        self.started = self.told = time.monotonic()
        self.at_start = self.told_at = done

    def due(self, done: int) -> bool:
        late = time.monotonic() - self.told >= 30
        return late and done - self.told_at >= 0.02 * self.total

    def tell(self, done: int, more: str = "") -> None:
        if not self.due(done):
            return
        rate = (done - self.at_start) / (time.monotonic() - self.started)
        left = (self.total - done) / max(rate, 1e-9)
        log.info(
            "%d of %d (%.0f %%), %.3g %s/s, %s left%s",
            done, self.total, 100 * done / self.total, rate, self.unit, duration(left), more,
        )  # fmt: skip
        self.told, self.told_at = time.monotonic(), done


def duration(seconds: float) -> str:
    """'42 s', '3 min 5 s' or '2 h 10 min'."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
