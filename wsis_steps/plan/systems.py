"""The systems and the stages they share, collected from the folders of the package. Imports no torch."""

import importlib
from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from wsis_steps.engine.chain import Chain, Stage
from wsis_steps.engine.errors import nearest
from wsis_steps.engine.published import Published
from wsis_steps.plan.steps import PACKAGE, folders

_MODULES = [
    importlib.import_module(f"wsis_steps.{folder}.chain")
    for folder in folders()
    if (PACKAGE / folder / "chain.py").is_file()
]
STAGES: dict[str, Stage] = {stage.step: stage for module in _MODULES for stage in getattr(module, "STAGES", ())}
"""Stages that any chain may use, by step."""
_CHAINS = [chain for module in _MODULES for chain in getattr(module, "CHAINS", ())]
_LENT = {stage.step: stage for chain in _CHAINS for stage in chain.stages}
CHAINS: dict[str, Chain] = {
    chain.system: replace(chain, stages=(*(_LENT[step] for step in chain.borrows), *chain.stages)) for chain in _CHAINS
}
"""All systems by name."""
OWN_STAGES = {stage.step: stage for chain in CHAINS.values() for stage in chain.stages}
"""Stages that belong to one system, by step."""


def stage_of(step: str) -> Stage | None:
    """The stage of a step in any system; None if the step is in no chain, such as those that make the table."""
    return STAGES.get(step) or OWN_STAGES.get(step)


def choices(key: str) -> list[str]:
    """The values of a run's key that select among stages with the same output."""
    return [stage.choice[1] for stage in STAGES.values() if stage.choice and stage.choice[0] == key]


def published(dataset: str) -> dict[tuple[str, str, str], Published]:
    """Published figures for a data set, by run, stage and split, named as in `summary.csv`."""
    found = (item for chain in CHAINS.values() for item in chain.published.items())
    return {(run, stage, split): figures for (of, run, stage, split), figures in found if of == dataset}


def _one_of(what: str, names: list[str]):
    """A type for strings that must be one of `names`; the error suggests the nearest."""

    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"there is no {what} '{name}', {nearest(name, names)}")
        return name

    return Annotated[str, AfterValidator(check), WithJsonSchema({"type": "string", "enum": names})]


System = _one_of("system", list(CHAINS))
Semantic = _one_of("source of semantic maps", choices("semantic"))
