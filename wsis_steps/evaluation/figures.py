"""The JSON file in which an evaluation step leaves its figures."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from wsis_steps.core.artifact import Artifact, Provenance
from wsis_steps.core.errors import InputError
from wsis_steps.core.store import Instances
from wsis_steps.evaluation.class_means import class_mean


def write_figures(
    path: Path,
    split: str,
    scored: Artifact,
    metrics: dict[str, float | np.ndarray],
    provenance: Provenance,
    counts: dict[str, Any] | None = None,
) -> None:
    """Writes metrics, a number or an array over classes of which the mean is taken, as JSON.

    `scored` is what was evaluated: its supervision goes with the figures. NaN becomes null.
    """
    means = {name: class_mean(np.atleast_1d(np.asarray(v, np.float64))) for name, v in metrics.items()}
    classes = {
        name: dict(zip(scored.class_names, map(_json, values), strict=True))
        for name, values in metrics.items()
        if np.ndim(values) == 1 and len(values) == len(scored.class_names)
    }
    document = {
        "split": split,
        "supervision": list(scored.supervision),
        "metrics": {name: _json(value) for name, value in means.items()},
        "per_class": classes,
        "counts": counts or {},
        "provenance": asdict(provenance),
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def _json(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def check_same_images(truth: Instances, other: Artifact) -> None:
    """Raises InputError where two artifacts are not of the same images in the same order, or of other classes."""
    if truth.class_names != other.class_names:
        raise InputError(f"{other.path} and {truth.path} have different classes; delete the former and run again.")
    if truth.ids != other.ids:
        raise InputError(f"{other.path} and {truth.path} hold different images; delete the former and run again.")
