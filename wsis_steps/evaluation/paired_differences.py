"""The mean difference of two runs over seeds, and its significance."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.05  # a difference with a smaller p is significant


@dataclass(frozen=True)
class Difference:
    """One run minus another: `mean` and its standard error `error` over `count` seeds, `p` of a two-sided paired
    t-test.

    All are NaN if no seed has both figures, the last two also if only one has.
    """

    mean: float
    error: float
    p: float
    count: int

    @property
    def told(self) -> bool:
        """True if the difference is significant."""
        return self.p < LEVEL


def paired_difference(values: np.ndarray, others: np.ndarray) -> Difference:
    """values, others: float64 (seeds,), the figures of two runs by seed; seeds with a NaN in either are left out.

    If all seeds have the same difference, the error is 0 and p is 0 (NaN if that difference is 0, too).
    """
    differences = np.asarray(values, np.float64) - np.asarray(others, np.float64)
    differences = differences[np.isfinite(differences)]
    count = len(differences)
    mean = float(differences.mean()) if count else math.nan
    if count < 2:
        return Difference(mean, math.nan, math.nan, count)
    error = float(stats.sem(differences))
    if error == 0:
        return Difference(mean, 0.0, 0.0 if mean else math.nan, count)
    return Difference(mean, error, float(2 * stats.t.sf(abs(mean) / error, count - 1)), count)
