"""Prepares the check on a GPU: everything that needs none, on any machine with the full environment.

In its folder, `papers` holds the inputs of every training and inference of the preset voc2012 on generated images (as
for the rehearsal, `bench/rehearsal_data.py`), `demo` those of the demo's BESTIE, and `plan.json` the jobs and the
figures of the CPU that the GPU's are compared with. Networks start from random weights, which are the same on every
machine; they are not kept, so the folder is small, and the check builds them again (`build_networks`).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from contextlib import chdir
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import yaml

from bench.annotation_consistency import draw_regions
from bench.gpu_gradients import step
from bench.gpu_steps import capture, run, untrained
from bench.jobs import ROOT, PlannedJob, planned_jobs
from bench.rehearsal_boxes import BOXES, fill_boxes
from bench.rehearsal_jobs import with_instances
from bench.rehearsal_plan import backbones, check_settings, merged, shortened, with_ancestors
from wsis_steps.engine.documents import read_document
from wsis_steps.engine.settings import canonical
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.proposals import Proposals, ProposalsWriter, encode

PRESET, DEMO = ROOT / "workflow/presets/voc2012.yaml", ROOT / "config.yaml"
INFERENCES = (
    "classifier_infer", "bestie_infer", "community_learning_infer", "annotation_consistency_sample", "maskrcnn_infer",
    "learning_to_segment_infer", "proposals_find_edges",
)  # fmt: skip
CONDITIONAL = "annotation_consistency_train_conditional"
IMAGES = 2  # of the batch that is computed on the CPU
# what else is smaller there, because a CPU would take an hour
SMALLER = {"community_learning_train": {"max_proposals": 200}}
ITERATIONS, SEEDS = 300, (0, 1, 2)  # of the demo's BESTIE
REGIONS = "results/regions.h5"


def small(job: PlannedJob) -> PlannedJob:
    """The job with the settings of SMALLER."""
    return with_settings(job, SMALLER.get(job.step, {}))


def with_settings(job: PlannedJob, changes: dict) -> PlannedJob:
    """The job with some settings changed."""
    return job.with_option("settings", canonical(json.loads(job.option("settings")) | changes))


def cheapest(step: str, jobs: list[PlannedJob]) -> PlannedJob:
    """The job of a step that depends on the fewest others."""
    return min((job for job in jobs if job.step == step), key=lambda job: len(with_ancestors([job.name], jobs)))


def trains(job: PlannedJob) -> bool:
    """Whether a job is a training."""
    return "--metrics" in job.command


def plan_papers(folder: Path, dry: bool) -> list[PlannedJob]:
    """All jobs on the preset's settings, with two iterations; on tiny ones for a dry run."""
    if dry:
        parts = [yaml.safe_load((ROOT / f"tests/{name}.yaml").read_text()) for name in ("proposal_systems", "tiny")]
        steps = {name: values for part in parts for name, values in part["steps"].items()}
        runs = {
            name: {"system": name} for name in ("bestie", "supervised", "learning_to_segment", "community_learning")
        }
        runs["annotation_consistency"] = {"system": "annotation_consistency", "rounds": 2}
        before = {"dataset": "papers", "verdict": "warn", "runs": runs, "steps": steps}
    else:
        before = merged(PRESET) | {"dataset": "papers"}
        settings = before["steps"]["data_import_dataset"]
        lists = [settings["train_list"], settings["val_list"]]
        module = [sys.executable, "-m", "bench.rehearsal_data", str(folder), *lists]
        subprocess.run(module, cwd=ROOT, check=True)  # images only; weights are written by `build_networks`
    path, shorter = folder / "config.yaml", folder / "shorter.yaml"
    path.write_text(yaml.safe_dump(before))
    shorter.write_text(yaml.safe_dump(shortened(before)))
    check_settings(merged(path), merged(path, shorter))
    return planned_jobs(folder, path, shorter)


def plan_demo(folder: Path, dry: bool) -> list[PlannedJob]:
    """The jobs of the demo's BESTIE with few iterations, without Mask R-CNN."""
    configuration = yaml.safe_load((ROOT / "tests/tiny.yaml" if dry else DEMO).read_text())
    length = {"bestie_train": {"iterations": 30 if dry else ITERATIONS}}
    configuration["runs"] = {"bestie": {"system": "bestie", "maskrcnn": False, "steps": length}}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(configuration))
    return planned_jobs(folder, path)


def fill_regions(source: Path, path: Path, count: int) -> None:
    """Writes `count` random regions of superpixels for each image of another file of proposals."""
    given = Proposals(source)
    with create(path, Proposals.schema, given.provenance) as file:
        writer = ProposalsWriter(file, "regions")
        for i, name in enumerate(given.ids):
            height, width = int(given.heights[i]), int(given.widths[i])
            drawn = draw_regions(np.random.default_rng((1, i)), height, width, count)
            writer.add(name, height, width, *encode(drawn))
        writer.close()


def build_networks(jobs: list[PlannedJob]) -> None:
    """Writes the backbones' weights, and the initial networks of those trainings whose models are missing, in the
    current folder."""
    write_backbones(jobs)
    for job in jobs:
        if trains(job) and not Path(job.option("model")).exists():
            untrained(job)


def write_backbones(jobs: list[PlannedJob]) -> None:
    """Writes random weights in place of ImageNet's of all backbones of some jobs, in the current folder."""
    from bench.rehearsal_data import write_weights  # which takes scipy and, for some, timm

    for name in backbones(json.loads(job.option("settings")) for job in jobs):
        write_weights(Path(), name)


def make(jobs: list[PlannedJob], targets: list[PlannedJob], boxes: int) -> None:
    """Runs what the targets depend on, in the current folder; trainings have no iterations."""
    truth = truth_of(jobs)
    for job in depended_on(targets, jobs):
        job = with_instances(job, Path(), truth)
        (untrained if trains(job) else run)(job)
        if job.step == "proposals_search_selectively":
            fill_boxes(Path(job.outputs[0]), boxes)


def depended_on(targets: list[PlannedJob], jobs: list[PlannedJob]) -> list[PlannedJob]:
    """The jobs whose outputs the targets, or the jobs they depend on, read, in order."""
    every = with_ancestors([target.name for target in targets], jobs)
    read = {path for job in every for path in job.inputs}
    return [job for job in every if read & set(job.outputs)]


def truth_of(jobs: list[PlannedJob]) -> str | None:
    """The path of the true instances of the training images."""
    return next((path for job in jobs for path in job.outputs if path.endswith("/instances_train.h5")), None)


def prepare_papers(folder: Path, dry: bool) -> dict:
    """The jobs to check, and the first iteration of each training on the CPU, in `folder`."""
    folder.mkdir()
    jobs = plan_papers(folder, dry)
    every = list(dict.fromkeys(job.step for job in jobs if trains(job)))
    trainings = [cheapest(name, jobs) for name in every]
    inferences = [cheapest(name, jobs) for name in INFERENCES]
    needed = depended_on(trainings + inferences, jobs)
    with chdir(folder):
        write_backbones([*needed, *trainings])
        make(jobs, trainings + inferences, 30 if dry else BOXES)
        trainings = [with_instances(job, Path(), truth_of(jobs)) for job in trainings]
        networks = [with_instances(job, Path(), truth_of(jobs)) for job in needed if trains(job)]
        found = next(job for job in trainings if job.step == CONDITIONAL).option("proposals")
        fill_regions(Path(found), Path(REGIONS), 30 if dry else BOXES)
        for job in trainings:
            threads = "1" if dry else str(os.cpu_count() or 1)
            training = capture(small(job).with_option("threads", threads))
            step(training, training.samples(IMAGES)).write(Path(f"{job.step}.npz"))
            print(f"{job.step}: an iteration on the CPU", file=sys.stderr, flush=True)
    groups = {"trainings": trainings, "inferences": inferences, "networks": networks}
    return {name: list(map(asdict, group)) for name, group in groups.items()}


def demo_jobs(jobs: list[PlannedJob]) -> list[PlannedJob]:
    """The training, the inference and the evaluation of the demo's BESTIE."""
    return [cheapest(name, jobs) for name in ("bestie_train", "bestie_infer", "evaluation_score_instances")]


def score(jobs: list[PlannedJob], seed: int) -> float:
    """Mask AP50 in percent of the demo's BESTIE with a seed, in the current folder."""
    training, inference, evaluation = jobs
    for path in (path for job in jobs for path in job.outputs):
        Path(path).unlink(missing_ok=True)
    for job in (with_settings(training, {"seed": seed}), inference, evaluation):
        run(job)
    return 100 * read_document(Path(evaluation.option("figures")))["metrics"]["mask_ap50"]


def prepare_demo(folder: Path, dry: bool) -> dict:
    """The jobs of the demo's BESTIE, and its scores with several seeds, in `folder`."""
    folder.mkdir()
    jobs = plan_demo(folder, dry)
    chosen = demo_jobs(jobs)
    with chdir(folder):
        for job in with_ancestors([chosen[-1].name], jobs):
            if job.name not in {own.name for own in chosen}:
                run(job)
        scores = [score(chosen, seed) for seed in SEEDS]
    return {"demo": list(map(asdict, chosen)), "scores": scores}


def prepare(folder: Path, dry: bool) -> None:
    """Makes the folder; one that is complete is kept."""
    if (folder / "plan.json").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    document = prepare_papers(folder / "papers", dry) | prepare_demo(folder / "demo", dry)
    document |= {"dry": dry, "torch": torch.__version__}
    if not dry:
        for path in (folder / "papers").rglob("*"):
            if path.suffix in (".pt", ".pth"):
                path.unlink()
    (folder / "plan.json").write_text(json.dumps(document, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dry", action="store_true", help="tiny networks on tiny images")
    options = parser.parse_args()
    prepare(options.folder.resolve(), options.dry)


if __name__ == "__main__":
    main()
