"""What `wsis predict` needs besides a model: the settings of the run's own predictions, and a score.

A file beside the model, of the same name with the suffix .json. It names the model by its digest, so it is never used
with another one, and the two can be copied elsewhere together.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wsis_steps.engine.documents import read_document, write_document
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.provenance import Provenance, digest

BASES = {
    "truth": "the best F1 against the ground truth of the evaluation images",
    "tags": "the best F1 for finding the tags of the evaluation images, which have no ground-truth masks",
}
FIGURES = ("precision", "recall", "f1")


@dataclass(frozen=True)
class Recommendation:
    """model: digest of the model's file; settings: of the step that predicted with it, as JSON values; basis: one of
    `BASES`, or empty without a score; score: 0 to 1, or None; precision, recall, f1: with this score, 0 to 1."""

    model: str
    settings: dict[str, Any]
    basis: str = ""
    score: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None

    def sentence(self) -> str:
        """Why this score, as a clause; empty without one."""
        if self.score is None:
            return ""
        figures = ", ".join(f"{name.replace('f1', 'F1')} {getattr(self, name):.2f}" for name in FIGURES)
        return f"{BASES[self.basis]} ({figures})"


def recommend(made: Provenance, basis: str, best: Mapping[str, float] | None) -> Recommendation:
    """From the provenance of predictions, and the best score with its figures as in `score_thresholds.curves`.

    The score is not below the predictions' own `min_score`: what lies below has not been measured.
    """
    settings = json.loads(made.settings)
    if not best:
        return Recommendation(made.inputs["model"], settings)
    score = max(best["score"], settings.get("min_score", 0.0))
    return Recommendation(made.inputs["model"], settings, basis, **{**best, "score": score})


def beside(model: Path) -> Path:
    """The file that belongs to a model."""
    return model.with_suffix(".json")


def write_recommendation(path: Path, recommendation: Recommendation, provenance: Provenance) -> None:
    write_document(path, {**asdict(recommendation), "provenance": asdict(provenance)})


def read_recommendation(path: Path) -> Recommendation:
    """InputError if the file is missing, damaged or of another kind."""
    found = read_document(path, "settings of predictions")
    kinds = {"model": str, "settings": dict, "basis": str}
    known = isinstance(found, dict) and all(isinstance(found.get(key), kind) for key, kind in kinds.items())
    numbers = [found.get(key) for key in ("score", *FIGURES)] if known else []
    if not known or not (numbers == [None] * 4 or found["basis"] in BASES and all(map(_is_fraction, numbers))):
        raise InputError(f"{path} does not hold the settings of a model's predictions; delete it, or make it anew.")
    return Recommendation(**{key: found[key] for key in (*kinds, "score", *FIGURES)})


def _is_fraction(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def is_of(recommendation: Recommendation, model: Path) -> bool:
    """Whether a recommendation was made for this model file."""
    return recommendation.model == digest(model)
