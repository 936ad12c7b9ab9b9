"""The mean over classes that papers on weakly supervised segmentation report."""

import numpy as np


def class_mean(values: np.ndarray) -> float:
    """Mean of float64 (classes,) without the NaN of undefined classes; NaN if none is defined."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
