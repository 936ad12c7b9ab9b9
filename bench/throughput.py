"""Every training at the papers' sizes on a GPU: images per second in bfloat16 compared with float32, the share of time
spent waiting for images, and the largest batch that fits compared with the paper's.

The steps are those of the voc2012 preset with the command lines that Snakemake would run, from random weights, on
generated images of 500 pixels. Without a GPU, nothing is measured.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import torch
import yaml

from bench.jobs import ROOT, commands
from bench.rows import Row
from wsis_steps.plan.steps import STEPS
from wsis_steps.vision.settings import Training

PRESET = ROOT / "workflow/presets/voc2012.yaml"
PICTURES, SIZE = 48, 500
ITERATIONS, FEW = 40, 4  # of a training that is timed, and of one that only has to fit
RUNS = {
    "bestie": {"system": "bestie", "maskrcnn": False},
    "learning_to_segment": {"system": "learning_to_segment"},
    "community_learning": {"system": "community_learning"},
    "annotation_consistency": {"system": "annotation_consistency", "rounds": 2},
    "supervised": {"system": "supervised"},
}


def configure(folder: Path, steps: dict[str, dict], size: int) -> Path:
    """The configuration of a workflow with these settings whose trainings are short and start from random weights."""
    steps = {name: dict(values or {}) for name, values in steps.items() if name != "data_download_archives"}
    for name, values in STEPS.items():
        if issubclass(values, Training):
            chosen = steps.setdefault(name, {})
            chosen.update(length(name, ITERATIONS, PICTURES))
            if chosen.get("weights", values.model_fields["weights"].default) == "imagenet":
                chosen["weights"] = "none"
    steps["data_import_dataset"] = {"format": "shapes"}
    steps["data_draw_shapes"] = {"image_size": size, "train": PICTURES, "val": 4}
    path = folder / "config.yaml"
    values = {"dataset": "paper_sizes", "verdict": "warn", "runs": RUNS, "steps": steps}  # random networks know nothing
    path.write_text(yaml.safe_dump(values))
    return path


def length(name: str, iterations: int, pictures: int) -> dict[str, int]:
    """The setting that makes a training about this long (in epochs, assuming batches of 8)."""
    values = STEPS[name].model_fields
    return {"iterations": iterations} if "iterations" in values else {"epochs": -(-8 * iterations // pictures)}


def run(command: list[str], folder: Path, variables: dict[str, str]) -> str:
    """The output of a step; empty if it ran out of memory. Raises RuntimeError for other failures."""
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    if done.returncode and "Out of memory" in done.stderr:
        return ""
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stderr


def speed(said: str) -> tuple[float, float]:
    """Images per second of a training, and the percentage of time spent waiting for them."""
    rate, share = re.search(r"([\d.e+]+) images/s, ([\d.]+) % of the time waiting", said).groups()
    return float(rate), float(share)


def with_batch(command: list[str], name: str, batch: int) -> list[str]:
    """The command line of a short training with another batch."""
    place = command.index("--settings") + 1
    settings = {**json.loads(command[place]), **length(name, FEW, PICTURES), "batch_size": batch}
    return [*command[:place], json.dumps(settings), *command[place + 1 :]]


def largest_batch(command: list[str], name: str, batch: int, most: int, folder: Path, variables: dict) -> int:
    """The largest `batch` times a power of 2, at most `most`, that fits; 0 if `batch` does not."""
    largest = 0
    while batch <= most and run(with_batch(command, name, batch), folder, variables):
        largest, batch = batch, 2 * batch
    return largest


def measure_training(name: str, command: list[str], most: int, folder: Path, variables: dict) -> list[Row]:
    """The rows of a training, whose inputs must lie in `folder`; what it makes stays there."""
    batch = json.loads(command[command.index("--settings") + 1])["batch_size"]
    largest = largest_batch(command, name, batch, most, folder, variables)
    single, _ = speed(run([sys.executable, "-m", "bench.float32", *command[2:]], folder, variables))
    mixed, waiting = speed(run(command, folder, variables))
    return [
        Row(f"{name}, mixed precision", mixed, "images/s", "float32", single, 1, of_ratio=True, least=True),
        Row(f"{name}, waiting for pictures", waiting, "%", "all", 100, 10),
        Row(f"{name}, largest batch", largest, "images", "the paper's", batch, 1, of_ratio=True, least=True),
    ]


def measure_all(folder: Path, configuration: Path, most: int, device: torch.device) -> list[Row]:
    """Runs all steps of a workflow and measures each training once."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    if device.type == "cuda":
        variables["CUDA_VISIBLE_DEVICES"] = str(device.index)  # which this process has leased
    (folder / "benchmarks/paper_sizes").mkdir(parents=True)  # which Snakemake would fill
    rows, seen = [], set()
    for label, command in commands(folder, configuration):
        name = re.sub(r"_round\d+$", "", label)
        if "--metrics" in command and name not in seen:
            seen.add(name)
            rows += measure_training(name, command, most, folder, variables)
        else:
            run(command, folder, variables)
    return rows


def measure(folder: Path, device: torch.device) -> list[Row]:
    """All rows of this file; none without a GPU."""
    if device.type != "cuda":
        return []
    preset = yaml.safe_load(PRESET.read_text())["steps"]
    return measure_all(folder, configure(folder, preset, SIZE), 1024, device)
