"""Axes of SVG charts: from values to pixels, and where to put numbers."""

import math
from dataclasses import dataclass

import numpy as np


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times powers of ten apart) from `low` to `high`: between one and `most` (3 or more) of
    them."""
    if not high > low:
        return [low]
    finest = 10.0 ** math.floor(math.log10((high - low) / most))
    found = []
    for factor in (1, 2, 5, 10, 20):  # the first that are few enough; of four or more, the next step leaves one
        step = finest * factor
        found = [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
        if len(found) <= most:
            break
    return found


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from `low` to `high`; also 2 and 5 times these if there would be fewer than three, and round
    numbers if the range contains none of these."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        found = [f * 10.0**p for p in powers for f in factors if low <= f * 10.0**p <= high]
        if len(found) >= 3:
            break
    return found[:: math.ceil(len(found) / 6)] if found else ticks(low, high)


@dataclass(frozen=True)
class Axis:
    """From values to pixels along one axis."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, values: np.ndarray | float) -> np.ndarray:
        place, low, high = (np.log(v) if self.logarithmic else v for v in (values, self.low, self.high))
        return self.start + (place - low) / max(high - low, 1e-12) * (self.end - self.start)
