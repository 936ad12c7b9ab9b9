"""The base of every step's settings: a validated section of the configuration. Imports no torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wsis_steps.engine.errors import InputError, nearest

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]

RENAMED = {  # keys of older versions, with their current names; `threshold` differs between steps
    "bias_factor": ("bias_lr_factor",),
    "cluster_value": ("min_cluster_center",),
    "foreground_share": ("min_foreground_share",),
    "head_factor": ("head_lr_factor",),
    "ignore_below": ("min_seed_overlap",),
    "kernel_normalisation": ("kernel_normalization",),
    "least_share": ("min_share",),
    "minimal_score": ("min_score",),
    "normalisation": ("normalization",),
    "offset_deviations": ("offset_std",),
    "pairwise_steps": ("pairwise_iterations",),
    "refine_threshold": ("min_refined_center",),
    "score_threshold": ("min_score",),
    "smallest_segment": ("min_segment",),
    "threshold": ("min_center", "min_value"),
    "turns": ("rot90",),
}

REMOVED = {  # keys of older versions without a replacement, with the reason
    "pairwise_clip": "gains are no longer limited; leave it out",
}


class Settings(BaseModel):
    """A section of the configuration: unknown keys are refused, and values are not silently converted."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)
    shares_batches: ClassVar[bool] = False  # whether several processes can share each of its batches
    trains: ClassVar[bool] = False  # whether the step trains a model


Known = TypeVar("Known", bound=Settings)


def canonical(settings: dict[str, Any]) -> str:
    """JSON with sorted keys and no spaces, so that equal settings give equal text."""
    return json.dumps(settings, sort_keys=True, separators=(",", ":"))


def explain(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """One sentence for all errors that pydantic found, each with its key; suggests valid names for unknown keys."""
    faults = []
    for fault in error.errors(include_url=False):
        key = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            faults.append(_unknown(key, str(fault["loc"][-1]), _model_at(model, fault["loc"][:-1])))
        elif fault["type"] == "value_error":
            faults.append(f"'{key}': {fault['ctx']['error']}" if key else str(fault["ctx"]["error"]))
        elif fault["type"] == "missing":
            faults.append(f"'{key}' is missing")
        elif fault["type"] == "string_pattern_mismatch":
            kind = "lowercase letters, digits and _" if key.startswith("runs") else "letters, digits, _ and -"
            faults.append(f"'{key.removesuffix('.[key]')}' is '{fault['input']}' but may contain only {kind}")
        elif fault["type"] in ("tuple_type", "list_type"):
            faults.append(f"'{key}' is {fault['input']!r} but should be a list: [{fault['input']}]")
        else:
            message = fault["msg"].replace("Input should be", "should be")
            faults.append(f"'{key}' is {fault['input']!r} but {message}")
    text = "; ".join(faults).rstrip(".")
    return f"{text[0].upper()}{text[1:]}." if text.startswith(("runs", "steps", "In ")) else f"In {where}: {text}."


def _unknown(key: str, name: str, owner: type[BaseModel] | None) -> str:
    """A clause about a key that `owner` does not have; `key` is its whole path, `name` the last part."""
    valid = owner.model_fields if owner else {}
    for new in RENAMED.get(name, ()):
        if new in valid:
            return f"'{key}' is now called '{new}'"
    if name in REMOVED:
        return f"'{key}' was removed: {REMOVED[name]}"
    return f"there is no key '{key}', {nearest(name, valid)}"


def _model_at(model: type[BaseModel], path: tuple) -> type[BaseModel] | None:
    """The model that holds the key at `path`, looking through dictionaries of models; None if there is none."""
    inside: Any = model
    for part in path:
        if isinstance(inside, type) and issubclass(inside, BaseModel):
            field = inside.model_fields.get(part)
            inside = field.annotation if field else None
        else:
            inside = (get_args(inside) or (None,))[-1]  # the value type of a dictionary
    return inside if isinstance(inside, type) and issubclass(inside, BaseModel) else None


def checked_settings(kind: type[Known], values: Mapping[str, Any], where: str) -> Known:
    """Settings that a user gave at `where`; InputError with one sentence for all that is wrong with them."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InputError(explain(error, kind, where)) from error


def known_settings(kind: type[Known], values: Mapping[str, Any], trained: Path) -> Known:
    """Settings of a step from the file of a training; InputError if the step no longer has them."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise InputError(
            f"{trained} was trained with settings that this version does not have ('{where}'); train it again."
        ) from error
