"""The JSON file of figures that an evaluation step writes."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from wsis_steps.engine.documents import read_document, write_document
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.provenance import Provenance
from wsis_steps.evaluation.class_means import class_mean
from wsis_steps.vision.contracts.artifact import Artifact
from wsis_steps.vision.contracts.instances import Instances


def write_figures(
    path: Path,
    split: str,
    scored: Artifact,
    metrics: dict[str, float | np.ndarray],
    provenance: Provenance,
    counts: dict[str, Any] | None = None,
    class_names: Sequence[str] | None = None,
    thresholds: dict[str, Any] | None = None,
) -> None:
    """Writes metrics, numbers or arrays over classes, which are also averaged, as JSON.

    `scored` is the evaluated artifact, whose supervision is recorded with the figures. `class_names` name the arrays if
    `scored` has no classes. thresholds: what depends on the score below which instances are left out, as JSON values.
    NaN becomes null.
    """
    class_names = scored.class_names if class_names is None else class_names
    means = {name: class_mean(np.atleast_1d(np.asarray(v, np.float64))) for name, v in metrics.items()}
    classes = {
        name: dict(zip(class_names, map(_json, values), strict=True))
        for name, values in metrics.items()
        if np.ndim(values) == 1 and len(values) == len(class_names)
    }
    document = {
        "split": split,
        "supervision": list(scored.supervision),
        "metrics": {name: _json(value) for name, value in means.items()},
        "per_class": classes,
        "counts": counts or {},
        **({"thresholds": thresholds} if thresholds else {}),
        "provenance": asdict(provenance),
    }
    write_document(path, document)


def read_figures(path: Path) -> dict[str, Any]:
    """The document of `write_figures`; InputError if there is none."""
    found = _read_document(path, "figures")
    kinds = {"split": str, "supervision": list, "metrics": dict, "per_class": dict}
    if not all(isinstance(found.get(key), kind) for key, kind in kinds.items()):
        raise InputError(f"{path} holds no figures; delete it and run again.")
    return found


def read_listing(path: Path) -> dict[str, Any]:
    """The document of evaluation_list_results; InputError if there is none."""
    found = _read_document(path, "list of results")
    parts = {"dataset", "figures", "results", "judged", "first", "trainings", "stages", "pairs", "published",
             "recommended"}  # fmt: skip
    if not parts <= set(found):
        raise InputError(f"{path} holds no list of results; delete it and run again.")
    return found


def read_verdicts(path: Path) -> list[dict[str, Any]]:
    """The verdicts of `summary.json`, worst first; InputError if there is no such file."""
    found = _read_document(path, "verdicts").get("verdicts")
    if not isinstance(found, list):
        raise InputError(f"{path} holds no verdicts; delete it and run again.")
    return found


def read_recommended(path: Path) -> list[dict[str, Any]]:
    """The recommended scores of `summary.json`; empty in one of an earlier version."""
    return _read_document(path, "verdicts").get("recommended", [])


def published_figures(listing: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, float]]:
    """The papers' figures in a list of results, fractions by metric: by run, stage and split."""
    return {(run, stage, split): values for run, stage, split, values, _ in listing["published"]}


def published_classes(listing: dict[str, Any]) -> dict[tuple[str, str, str, str], dict[str | None, float]]:
    """The papers' figures class by class (None: the background), fractions: by run, stage, split and metric."""
    return {
        (run, stage, split, metric): dict(values)
        for run, stage, split, _, classes in listing["published"]
        for metric, values in classes.items()
    }


def _read_document(path: Path, what: str) -> dict[str, Any]:
    found = read_document(path, what)
    return found if isinstance(found, dict) else {}


def _json(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def check_same_images(truth: Instances, other: Artifact) -> None:
    """Raises InputError unless two artifacts have the same images in the same order, and the same classes."""
    if truth.class_names != other.class_names:
        raise InputError(f"{other.path} and {truth.path} have different classes; delete the former and run again.")
    if truth.ids != other.ids:
        raise InputError(f"{other.path} and {truth.path} hold different images; delete the former and run again.")
