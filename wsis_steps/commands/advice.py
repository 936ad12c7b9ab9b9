"""The settings and the score of predictions: those of the run and the recommended one, unless others are given."""

import json
import logging
from pathlib import Path

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.settings import checked_settings
from wsis_steps.evaluation.recommendation import Recommendation, beside, is_of, read_recommendation
from wsis_steps.maskrcnn.settings import MaskrcnnInfer

log = logging.getLogger("wsis")

SCORE = 0.3  # below which instances are left out if no score is recommended


def read_advice(model: Path, text: str) -> tuple[Recommendation | None, str]:
    """The recommendation for a model: from `--settings`, if that names a file, else from the file beside the model; and
    the JSON of the other settings.

    A file beside the model that was made for another one is left alone, with a warning; InputError if `--settings`
    names such a file, or one that cannot be read.
    """
    path, named = (Path(text), True) if text.endswith(".json") else (beside(model), False)
    if not named and not path.exists():
        return None, text
    found = read_recommendation(path)
    if is_of(found, model):
        return found, "{}" if named else text
    if named:
        raise InputError(f"--settings {path} was made for another model than {model}.")
    log.warning("%s was made for another model than %s, so it is not used", path, model.name)
    return None, text


def inference_settings(
    trained: dict, short_side: int | None, score: float, text: str = "{}", advised: Recommendation | None = None
) -> MaskrcnnInfer:
    """Sizes as in training, or with another shorter side in the same proportion; other settings from the recommendation
    and, taking precedence, from JSON.

    InputError where the JSON is none, or one of them names what `maskrcnn_infer` does not have.
    """
    values = {"min_score": score}
    if short_side is not None:
        most = round(trained["max_size"] * short_side / trained["min_size"])
        values |= {"min_size": short_side, "max_size": most}
    try:
        given = dict(json.loads(text))
    except (ValueError, TypeError, RecursionError):
        raise InputError(f"--settings {text} is not a JSON object, such as '{{\"crf_iterations\": 5}}'.") from None
    before = advised.settings if advised else {}
    return checked_settings(MaskrcnnInfer, {**before, **given, **values}, "--settings" if given else "model.json")


def choose_score(given: float | None, advised: Recommendation | None) -> float:
    """The score below which instances are left out; says why."""
    if given is not None:
        return given
    if advised is None or advised.score is None:
        log.info("score at least %.2f: the default, since none is recommended for this model", SCORE)
        return SCORE
    log.info("score at least %.2f, as recommended: %s", advised.score, advised.sentence())
    return advised.score
