"""What the settings of every step are made of: a section of the configuration, checked; imports no torch."""

import json
from typing import Annotated, Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wsis_steps.engine.errors import nearest

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


class Settings(BaseModel):
    """A section of the configuration: unknown keys are refused, values are not coerced silently."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)
    shares_batches: ClassVar[bool] = False  # whether several processes can compute each of its batches together


def canonical(settings: dict[str, Any]) -> str:
    """JSON with sorted keys and no spaces: equal settings give equal text."""
    return json.dumps(settings, sort_keys=True, separators=(",", ":"))


def explain(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """One sentence for all faults that pydantic found, each with its key and the nearest valid one."""
    faults = []
    for fault in error.errors(include_url=False):
        key = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            owner = _model_at(model, fault["loc"][:-1])
            valid = owner.model_fields if owner else ()
            faults.append(f"there is no key '{key}', {nearest(str(fault['loc'][-1]), valid)}")
        elif fault["type"] == "value_error":
            faults.append(f"'{key}': {fault['ctx']['error']}" if key else str(fault["ctx"]["error"]))
        elif fault["type"] == "missing":
            faults.append(f"'{key}' is missing")
        elif fault["type"] == "string_pattern_mismatch":
            kind = "small letters, digits and _" if key.startswith("runs") else "letters, digits, _ and -"
            faults.append(f"'{key.removesuffix('.[key]')}' is '{fault['input']}' but should hold {kind} only")
        else:
            message = fault["msg"].replace("Input should be", "should be")
            faults.append(f"'{key}' is {fault['input']!r} but {message}")
    text = "; ".join(faults).rstrip(".")
    return f"{text[0].upper()}{text[1:]}." if text.startswith(("runs", "steps", "In ")) else f"In {where}: {text}."


def _model_at(model: type[BaseModel], path: tuple) -> type[BaseModel] | None:
    """The model that holds the key at `path`, through dictionaries of models; None where there is none."""
    inside: Any = model
    for part in path:
        if isinstance(inside, type) and issubclass(inside, BaseModel):
            field = inside.model_fields.get(part)
            inside = field.annotation if field else None
        else:
            inside = (get_args(inside) or (None,))[-1]  # what a dictionary holds
    return inside if isinstance(inside, type) and issubclass(inside, BaseModel) else None
