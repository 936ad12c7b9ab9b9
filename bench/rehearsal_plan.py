"""What a rehearsal of presets runs: their jobs with short trainings, and of several alike the first.

Nothing but the length of trainings differs from the presets, which `check_settings` makes sure of.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import update_config

from bench.jobs import PlannedJob
from wsis_steps.engine.settings import canonical
from wsis_steps.plan.config import load
from wsis_steps.plan.runs import Runs
from wsis_steps.plan.steps import STEPS
from wsis_steps.vision.settings import Training

ITERATIONS = 2
PICTURES = 4  # of each split
LENGTHS = ("iterations", "epochs")  # the settings that a rehearsal may change


def merged(*paths: Path) -> dict[str, Any]:
    """The configuration of files that are laid one over the other, as Snakemake does it."""
    configuration: dict[str, Any] = {}
    for path in paths:
        update_config(configuration, yaml.safe_load(path.read_text()))
    return configuration


def own_data(preset: Path) -> bool:
    """Whether a preset that is laid over another has images of its own."""
    return "dataset" in yaml.safe_load(preset.read_text())


def shortened(configuration: dict[str, Any], pictures: int = PICTURES) -> dict[str, Any]:
    """What is laid over a configuration so that every training on so many pictures takes ITERATIONS iterations."""
    steps = configuration.get("steps") or {}
    shorter = {step: _length(step, steps.get(step) or {}, pictures) for step in STEPS if _trains(step)}
    runs = {}
    for name, run in configuration["runs"].items():
        own = (run or {}).get("steps") or {}
        changed = {step: _length(step, (steps.get(step) or {}) | own[step], pictures) for step in own if _trains(step)}
        if changed:
            runs[name] = {"steps": changed}
    return {"steps": shorter, "runs": runs}


def _trains(step: str) -> bool:
    return issubclass(STEPS[step], Training)


def _length(step: str, values: dict[str, Any], pictures: int) -> dict[str, int]:
    if "iterations" in STEPS[step].model_fields:
        return {"iterations": ITERATIONS}
    return {"epochs": -(-ITERATIONS * STEPS[step].model_validate(values).batch_size // pictures)}


def iterations(settings: dict[str, Any], pictures: int) -> int:
    """How long a training on so many pictures is."""
    if "iterations" in settings:
        return settings["iterations"]
    return max(settings["epochs"] * pictures // settings["batch_size"], 1)


def resolved(configuration: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """All settings of every step of every run."""
    runs = Runs(load(configuration))
    return {(run, step): json.loads(runs.settings(run, step)) for run in runs.runs for step in runs.steps(run)}


def check_settings(preset: dict[str, Any], rehearsed: dict[str, Any]) -> None:
    """Raises ValueError where a rehearsal's settings differ from the preset's in more than the length of trainings."""
    before, after = (load(configuration).model_dump(mode="json") for configuration in (preset, rehearsed))
    for document in (before, after):
        document.pop("steps")
        for run in document["runs"].values():
            run.pop("steps")
    if before != after:
        raise ValueError("the runs differ from the preset's")
    before, after = resolved(preset), resolved(rehearsed)
    for (run, step), settings in before.items():
        other = after[run, step]
        changed = {key for key in settings.keys() | other.keys() if settings.get(key) != other.get(key)}
        if changed - set(LENGTHS):
            raise ValueError(f"{run}, {step}: {', '.join(sorted(changed))} differ from the preset's")


def kind(job: PlannedJob, makers: dict[str, PlannedJob]) -> str:
    """Equal where two jobs do the same: the step, its settings, and those of the trainings whose results it reads. Of a
    fraction it only matters whether it is 0: another threshold or weight takes no other way through the code.

    makers: the job that makes a file, by the file.
    """
    reads = {makers[path] for path in job.inputs if path in makers}
    trainings = sorted(f"{maker.step} {_roughly(maker)}" for maker in reads if _trains(maker.step))
    return "\n".join([job.step, _roughly(job), *trainings])


def _roughly(job: PlannedJob) -> str:
    return canonical(json.loads(job.option("settings"), parse_float=lambda text: bool(float(text)) * 0.5))


def choose(first: list[PlannedJob], every: list[PlannedJob]) -> list[PlannedJob]:
    """The jobs of `first`, then of `every` one of each kind that `first` lacks, and what these stand on; in order.

    Of the latter, inference that nothing else reads gets a part of the images, where its step can divide them.
    """
    makers = {path: job for job in every for path in job.outputs}
    names = {job.name for job in first}
    kinds = {kind(job, makers) for job in every if job.name in names}
    chosen: dict[str, PlannedJob] = {}
    for job in every:
        if job.name not in names and kind(job, makers) not in kinds:
            kinds.add(kind(job, makers))
            chosen.update(_with_ancestors(job, makers))
    more = [job for job in every if job.name in chosen.keys() - names]
    read = {path for job in more for path in job.inputs}
    return first + [job if read.intersection(job.outputs) else _of_a_part(job) for job in more]


def _of_a_part(job: PlannedJob) -> PlannedJob:
    """The same for one image of each split."""
    return job.with_option("shard", f"1/{PICTURES}") if "--shard" in job.command else job


def _with_ancestors(job: PlannedJob, makers: dict[str, PlannedJob]) -> dict[str, PlannedJob]:
    found = {job.name: job}
    for path in job.inputs:
        if path in makers:
            found.update(_with_ancestors(makers[path], makers))
    return found


def backbones(settings: Iterable[dict[str, Any]]) -> list[str]:
    """The backbones that start from ImageNet weights."""
    return sorted({values["backbone"] for values in settings if values.get("weights") == "imagenet"})
