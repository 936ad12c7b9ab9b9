"""Mistakes in a chain.py, as the author of a new one may make them."""

import re
from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace

from wsis_steps.engine.chain import Chain, Stage
from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.plan.steps import STEPS
from wsis_steps.plan.systems import CHAINS, OWN_STAGES, STAGES

# Files that the evaluation rules accept.
SCORED = re.compile(r"labels/round(\d\d|\{round\})(_corrected)?\.h5|predictions/[^/]+\.h5|semantic/(train|val)\.h5")
SPLITS, SUPERVISION = ("train", "val"), ("tags", "points", "boxes")
EXAMPLE = SimpleNamespace(rounds=3, corrections={0: "", 1: ""})  # a run with several rounds


@cache
def check_chains() -> None:
    """Raises InputError for the first mistake in any chain."""
    for stage in (*STAGES.values(), *OWN_STAGES.values()):
        for fault in of_stage(stage):
            raise InputError(f"The chain of {stage.step}: {fault}.")
    for chain in CHAINS.values():
        for fault in of_chain(chain):
            raise InputError(f"The chain of {chain.system}: {fault}.")


def of_stage(stage: Stage) -> Iterator[str]:
    """One clause for each mistake in a stage."""
    if stage.step not in STEPS:
        yield f"no settings.py defines {_class_of(stage.step)}, the class of its settings"
    several = stage.rounds is not None and len(list(stage.rounds(EXAMPLE))) > 1
    other, keys = stage.settings_of or ("", ())
    for step, key in ((step, key) for step in (other, stage.step) for key in keys):
        fields = STEPS[step].model_fields if step in STEPS else {}
        if key not in fields:
            yield f"{step} has no setting {key}, {nearest(key, fields)}"
    for role, path in stage.writes.items():
        if several and "{round}" not in path:
            yield f"{role} is written to the same file, {path}, in several rounds; add {{round}} to its name"
    for show in stage.shows:
        if show.role not in stage.writes:
            yield f"it shows {show.role}, which it does not write, {nearest(show.role, stage.writes)}"
        elif show.scored not in ("", *SPLITS):
            yield f"{show.stage} is scored on '{show.scored}', {nearest(show.scored, SPLITS)}"
        elif show.scored and not SCORED.fullmatch(stage.writes[show.role]):
            yield (
                f"{stage.writes[show.role]} cannot be scored; labels/round{{round}}.h5, predictions/<name>.h5 and "
                "semantic/{train,val}.h5 can"
            )


def _class_of(step: str) -> str:
    """The settings class of a step: `MaskrcnnTrain` for `maskrcnn_train`."""
    return step.title().replace("_", "")


def of_chain(chain: Chain) -> Iterator[str]:
    """One clause for each mistake in a chain, except those in its stages."""
    steps = {stage.step for stage in chain.stages} | set(STAGES)
    if chain.ends not in steps:
        yield f"it ends in {chain.ends}, which is not a stage, {nearest(chain.ends, steps)}"
    for supervision in chain.supervision:
        if supervision not in SUPERVISION:
            yield f"it learns from '{supervision}', {nearest(supervision, SUPERVISION)}"
    for agreement in chain.agreements:
        for step in agreement.steps:
            keys = STEPS[step].model_fields if step in STEPS else {}
            for key in agreement.keys:
                if key not in keys:
                    yield f"{step} has no setting {key}, {nearest(key, keys)}"
