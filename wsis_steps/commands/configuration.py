"""Checks of a configuration before it runs: its errors, and the weights that are missing."""

import math
from functools import cache
from pathlib import Path

import torch
import yaml
from snakemake.utils import update_config

from wsis_steps.data.settings import DataImportDataset
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.ordinary import check_ordinary
from wsis_steps.engine.problems import attempt
from wsis_steps.engine.progress import duration
from wsis_steps.formats.records import Dataset
from wsis_steps.plan.config import Configuration, load
from wsis_steps.plan.faults import faults
from wsis_steps.plan.packages import missing_packages
from wsis_steps.plan.runs import Runs
from wsis_steps.plan.time_left import read_run_costs
from wsis_steps.vision.backbone_table import fault_of, stride_of_patches
from wsis_steps.vision.backbones import build_backbone
from wsis_steps.vision.weights import obtain_weights, published_file, weights_path

MOST_VALUES = 100_000  # in a configuration


def read_configuration(paths: list[Path]) -> Configuration:
    """The configuration of YAML files, each overriding those before it. Raises InputError."""
    merged: dict = {}
    for path in paths:
        update_config(merged, read_yaml(path))
    return load(merged)


def read_yaml(path: Path) -> dict:
    """The content of a configuration file. Raises InputError if it is not one."""
    check_ordinary(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply for a configuration.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} is neither a folder nor a configuration: {' '.join(str(error).split())}.") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is neither a folder nor a configuration.")
    if _count(content, {}) > MOST_VALUES:
        raise InputError(f"{path} contains itself or far too many values through its aliases (*name).")
    return content


def _count(value: object, known: dict[int, float]) -> float:
    """The number of values of a YAML file with all aliases written out; infinite if one contains itself."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = math.inf  # until its content has been counted
        inside = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_count(one, known) for one in inside)
    return known[id(value)]


def settings_of_data(paths: list[Path]) -> DataImportDataset:
    """The import settings of a configuration. Raises InputError if it is not one."""
    return Runs(read_configuration(paths)).values("shared", "data_import_dataset")


def faulty_runs(paths: list[Path]) -> list[str]:
    """One sentence per error in the runs of a configuration; empty for a folder."""
    if paths[0].is_dir():
        return []
    runs = Runs(read_configuration(paths))
    found = [f"{fault}." for fault in faults(runs)] + missing_packages(runs)
    return [f"{fault[0].upper()}{fault[1:]}" for fault in found]


def faulty_backbones(paths: list[Path]) -> list[str]:
    """One sentence per step whose backbone cannot be built; empty for a folder.

    Backbones are built on the meta device, which takes no memory.
    """
    if paths[0].is_dir():
        return []
    runs, found = Runs(read_configuration(paths)), {}
    for run, graph in runs.graphs.items():
        for step in sorted(step for step in graph.steps if not graph.stage(step).settings_of):
            values = runs.values(run, step)
            name, stride = getattr(values, "backbone", ""), getattr(values, "output_stride", "own")
            told = stride == "own" or stride_of_patches(name)  # `faulty_runs` reports wrong strides
            fault = None if fault_of(name) else _fault_of_backbone(name, None if told else stride)
            if fault:
                found[f"{step}: {fault}"] = None
    return list(found)


@cache
def _fault_of_backbone(name: str, output_stride: int | None) -> str | None:
    try:
        with torch.device("meta"):
            build_backbone(name, output_stride)
    except InputError as error:
        return str(error)
    return None


def unmarked_runs(paths: list[Path], dataset: Dataset) -> list[str]:
    """One sentence per run that learns from points or boxes although no training image has any."""
    if paths[0].is_dir():
        return []
    train = [record for record in dataset.records if record.split == "train"]
    has = {"points": any(len(one.points) for one in train), "boxes": any(len(one.boxes) for one in train)}
    return [
        f"Run {name} is supervised by {run.supervision}, but no training image has any."
        for name, run in Runs(read_configuration(paths)).runs.items()
        if not has.get(run.supervision, True)
    ]


def idle_settings(paths: list[Path]) -> list[str]:
    """One sentence per set of settings that frozen classifiers ignore, with the runs that set them."""
    if paths[0].is_dir():
        return []
    runs, found = Runs(read_configuration(paths)), {}
    for run in runs.runs:
        if "classifier_train" in runs.steps(run) and runs.values(run, "classifier_train").frozen:
            steps = ("classifier_train", "classifier_infer", "classifier_audit_tags")
            idle = ", ".join(f"{step}.{key}" for step in steps for key in runs.values(run, step).without_effect())
            found.setdefault(idle, []).append(run)
    said = "The classifier is frozen, so these settings have no effect: "
    return [f"{said}{idle} (run {', '.join(names)})." for idle, names in found.items() if idle]


def missing_weights(paths: list[Path], fetched: bool = False) -> tuple[list[str], list[str]]:
    """One sentence per missing file of weights: that somebody must download before the runs can start, and that the
    first job which needs it downloads. With `fetched`, these are downloaded now. None for a folder."""
    if paths[0].is_dir():
        return [], []
    missing, coming = {}, {}
    for backbone, weights in _wanted_weights(paths):
        try:
            obtain_weights(backbone, weights) if fetched else weights_path(backbone, weights)
        except InputError as error:
            published = published_file(backbone) if weights == "imagenet" and not fetched else None
            if published is None:
                missing[str(error)] = None
                continue
            address, _, license = published
            coming[f"The first job that needs them downloads {address} ({license})."] = None
    return list(missing), list(coming)


def found_weights(paths: list[Path]) -> list[str]:
    """One line per file of weights that the runs start from and that is there; none for a folder."""
    if paths[0].is_dir():
        return []
    found = ((backbone, attempt(weights_path, backbone, weights)) for backbone, weights in _wanted_weights(paths))
    return list(dict.fromkeys(f"weights of {name}: {path}" for name, path in found if isinstance(path, Path)))


def _wanted_weights(paths: list[Path]) -> list[tuple[str, str]]:
    """The backbones of the runs that start with weights from a file, and these weights."""
    runs = Runs(read_configuration(paths))
    values = [runs.values(run, step) for run in runs.runs for step in runs.steps(run)]
    wanted = ((getattr(one, "backbone", None), getattr(one, "weights", None)) for one in values)
    return list(dict.fromkeys(one for one in wanted if one[0] and one[1] not in (None, "none", "classifier")))


def expected_time(paths: list[Path]) -> list[str]:
    """How long the jobs of the runs took the last time, as a line; none for a folder."""
    if paths[0].is_dir():
        return []
    runs = Runs(read_configuration(paths))
    steps = {(runs.owner(run, step), step) for run in runs.runs for step in runs.steps(run)}
    table = Path(runs.folder, "cost.csv")
    seconds = read_run_costs(table)
    if not steps & seconds.keys():
        return ["time: unknown before a first run; each training logs what is left of it"]
    took = sum(seconds[one] for one in seconds if one in steps or one[0] == "shared")
    new = sorted({step for _, step in steps - seconds.keys()})
    more = f"; not in there: {', '.join(new)}" if new else ""
    return [f"time: all jobs together took {duration(took)} last time ({table}){more}"]
