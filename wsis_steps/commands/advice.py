"""The settings and the score of predictions: those of the run and the recommended one, unless others are given."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.settings import Known, checked_settings
from wsis_steps.evaluation.recommendation import Recommendation, beside, is_of, read_recommendation
from wsis_steps.maskrcnn.settings import MaskrcnnInfer

log = logging.getLogger("wsis")

SCORE = 0.3  # below which instances are left out if no score is recommended


def read_advice(model: Path, text: str) -> tuple[Recommendation | None, dict[str, Any]]:
    """The recommendation for a model: from `--settings`, if that names a file, else from the file beside the model; and
    the other settings that `--settings` gives as JSON.

    A file beside the model that was made for another one is left alone, with a warning; InputError if `--settings`
    names such a file, or one that cannot be read, or is no JSON object.
    """
    if text.endswith(".json"):
        found = read_recommendation(Path(text))
        if not is_of(found, model):
            raise InputError(f"--settings {text} was made for another model than {model}.")
        return found, {}
    given = _read_settings(text)
    path = beside(model)
    found = read_recommendation(path) if path.exists() else None
    if found and not is_of(found, model):
        log.warning("%s was made for another model than %s, so it is not used", path, model.name)
        return None, given
    return found, given


def _read_settings(text: str) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError, RecursionError):
        raise InputError(f"--settings {text} is not a JSON object, such as '{{\"crf_iterations\": 5}}'.") from None


def inference_settings(
    trained: dict, short_side: int | None, score: float, given: Mapping[str, Any], advised: Recommendation | None = None
) -> MaskrcnnInfer:
    """Sizes as in training, or with another shorter side in the same proportion; other settings from the recommendation
    and, taking precedence, from `given`.

    InputError where one of them names what `maskrcnn_infer` does not have.
    """
    values: dict[str, Any] = {"min_score": score}
    if short_side is not None:
        most = round(trained["max_size"] * short_side / trained["min_size"])
        values |= {"min_size": short_side, "max_size": most}
    return merged_settings(MaskrcnnInfer, values, given, advised)


def merged_settings(
    kind: type[Known], values: Mapping[str, Any], given: Mapping[str, Any], advised: Recommendation | None
) -> Known:
    """`values`, then what is `given`, then what is recommended, as settings of a step; InputError if it lacks one."""
    before = advised.settings if advised else {}
    return checked_settings(kind, {**before, **given, **values}, "--settings" if given else "model.json")


def choose_score(score: float | None, given: Mapping[str, Any], advised: Recommendation | None) -> float:
    """The score below which instances are left out: `--score`, else that of `given`, the recommended one, or `SCORE`;
    says why if the user chose none."""
    if score is not None:
        return score
    if "min_score" in given:
        return given["min_score"]
    if advised is None or advised.score is None:
        log.info("score at least %.2f: the default, since none is recommended for this model", SCORE)
        return SCORE
    log.info("score at least %.2f, as recommended: %s", advised.score, advised.sentence())
    return advised.score


def counts_line(count: int, images: int, below: int, score: float) -> str:
    """How many instances on how many images, and how many are left out below a score."""
    left_out = f"; {below:,} below {score:g} left out" if below else ""
    return f"{count:,} instance{'s' * (count != 1)} on {images:,} image{'s' * (images != 1)}{left_out}"
