"""Plans a rehearsal of presets: their jobs with short trainings, and only the first of several equal ones.

Only the length of trainings differs from the presets, which `check_settings` verifies; jobs of ablations are then made
smaller by `reduced`.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from bench.jobs import PlannedJob
from wsis_steps.engine.settings import canonical
from wsis_steps.plan.config import load
from wsis_steps.plan.runs import Runs
from wsis_steps.plan.steps import STEPS
from wsis_steps.vision.settings import Training

ITERATIONS = 2
PICTURES = 2  # of each split
SHARDS = {"shards": 1}  # however many a preset has: of few images most would be empty
LENGTHS = ("iterations", "epochs")  # the settings that a rehearsal may change
# settings of a training by which what reads its network takes no other way through the code
TRAINING_ONLY = {
    "annotation_consistency_initialise": {"self_diversity"},
    "annotation_consistency_train_conditional": {"self_diversity"},
    "annotation_consistency_train_prediction": {"self_diversity"},
    "bestie_train": {"instance_aware_guidance", "refinement"},
    "community_learning_train": {"activation_maps", "background_map", "feature_smoothing", "weighted_pooling"},
    "learning_to_segment_train": {"kernel_reading", "mean", "neighbourhood_weight"},
}
BATCH = 2  # of the trainings of ablations
# what else is smaller in them: boxes of each picture, and one pass of ten
SMALLER = {
    "community_learning_train": {"max_proposals": 50},
    "community_learning_infer": {"short_sides": [480], "flip": False},
}


def merged(*paths: Path) -> dict[str, Any]:
    """The configuration of several files, merged as Snakemake does it."""
    from snakemake.utils import update_config  # which machines that only run single steps lack

    configuration: dict[str, Any] = {}
    for path in paths:
        update_config(configuration, yaml.safe_load(path.read_text()))
    return configuration


def own_data(preset: Path) -> bool:
    """Whether a preset that is laid over another has images of its own."""
    return "dataset" in yaml.safe_load(preset.read_text())


def shortened(configuration: dict[str, Any], pictures: int = PICTURES) -> dict[str, Any]:
    """The settings that make every training on this many images take ITERATIONS iterations."""
    steps = configuration.get("steps") or {}
    shorter = {step: _length(step, steps.get(step) or {}, pictures) for step in STEPS if _trains(step)}
    runs = {}
    for name, run in configuration["runs"].items():
        own = (run or {}).get("steps") or {}
        changed = {step: _length(step, (steps.get(step) or {}) | own[step], pictures) for step in own if _trains(step)}
        if changed:
            runs[name] = {"steps": changed}
    return {"steps": shorter, "runs": runs, **SHARDS}


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
    """Raises ValueError if a rehearsal's settings differ from the preset's in more than the length of trainings."""
    before, after = (load(configuration).model_dump(mode="json") for configuration in (preset, rehearsed))
    for document in (before, after):
        document.pop("steps")
        document.pop("shards")
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
    """A key that is equal for jobs that do the same: the step, its settings, and those of the trainings it depends on.

    For fractions, only whether they are 0 matters, because another threshold or weight runs the same code; for layers
    with attention, only the first matters. TRAINING_ONLY settings of the trainings it depends on are ignored.

    makers: the job that makes a file, by the file.
    """
    reads = {makers[path] for path in job.inputs if path in makers}
    trainings = sorted(
        f"{maker.step} {_roughly(maker, TRAINING_ONLY.get(maker.step, ()))}" for maker in reads if _trains(maker.step)
    )
    return "\n".join([job.step, _roughly(job), *trainings])


def _roughly(job: PlannedJob, without: Iterable[str] = ()) -> str:
    settings = json.loads(job.option("settings"), parse_float=lambda text: bool(float(text)) * 0.5)
    if settings.get("attention_layers"):
        settings["attention_layers"] = min(settings["attention_layers"])
    return canonical({name: value for name, value in settings.items() if name not in without})


def choose(first: list[PlannedJob], every: list[PlannedJob]) -> tuple[list[PlannedJob], dict[str, str]]:
    """The jobs to run, in order, and the stand-in for each file that is not made.

    All jobs of `first` run, except GPU jobs that repeat an earlier round of their run; then, from `every`, one of each
    kind that `first` lacks, made smaller. The outputs of jobs that do not run are taken from the job of their kind that
    does.
    """
    makers = {path: job for job in every for path in job.outputs}
    chosen: dict[str, PlannedJob] = {}
    alike: dict[str, PlannedJob] = {}  # by kind and, within `first`, also by name and kind
    stand_ins: dict[str, str] = {}
    names = {job.name for job in first}
    for job in [*first, *(job for job in every if job.name not in names)]:
        of = kind(job, makers)
        name = re.sub(r"_round\d+$", "", job.name) if job.on_gpu else job.name
        own = f"{name}\n{of}" if job.name in names else of
        if own in alike:
            stand_ins.update(zip(job.outputs, alike[own].outputs, strict=True))
            continue
        alike[own] = job
        alike.setdefault(of, job)
        chosen[job.name] = job if job.name in names else reduced(job)
    return list(chosen.values()), stand_ins


def reduced(job: PlannedJob) -> PlannedJob:
    """The same job with small batches and the settings of SMALLER."""
    settings = json.loads(job.option("settings"))
    changed = settings | SMALLER.get(job.step, {})
    if _trains(job.step) and settings.get("batch_size", 0) > BATCH:
        changed = with_batch(changed, BATCH)
    return job.with_option("settings", canonical(changed)) if changed != settings else job


def with_batch(settings: dict[str, Any], batch: int) -> dict[str, Any]:
    """Settings of a training of ITERATIONS iterations with another batch."""
    epochs = {"epochs": -(-ITERATIONS * batch // PICTURES)} if "epochs" in settings else {}
    return settings | {"batch_size": batch} | epochs


def with_ancestors(names: Iterable[str], every: list[PlannedJob]) -> list[PlannedJob]:
    """The jobs with these names and all jobs they depend on, in order."""
    makers = {path: job for job in every for path in job.outputs}
    by_name = {job.name: job for job in every}
    found: set[str] = set()
    waiting = [by_name[name] for name in names]
    while waiting:
        job = waiting.pop()
        if job.name not in found:
            found.add(job.name)
            waiting += [makers[path] for path in job.inputs if path in makers]
    return [job for job in every if job.name in found]


def backbones(settings: Iterable[dict[str, Any]]) -> list[str]:
    """The backbones that start from ImageNet weights."""
    return sorted({values["backbone"] for values in settings if values.get("weights") == "imagenet"})
