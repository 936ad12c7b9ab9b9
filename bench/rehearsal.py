"""Runs every step of the preset voc2012 at full size on few images, then the parts that ablations and COCO add.

    make rehearsal, or
    python -m bench.rehearsal                      takes ten hours or so on one core; writes the tables of docs/cost.md
    python -m bench.rehearsal --folder FOLDER      keeps its results there and resumes from them
    python -m bench.rehearsal --rate 100           computes hours for a GPU that sustains 100 TFLOP/s

Networks, image sizes, batches and all other settings are the preset's, which is checked. Trainings take two iterations
on two generated images of 375 x 500 pixels, from random weights. The jobs, in this order:
- all jobs of voc2012.yaml, except trainings and samples of rounds that repeat an earlier round;
- from the presets that extend it, the jobs that use other code, with small batches and, for Deep Community Learning,
  fewer boxes and a single pass (bench/rehearsal_plan.py);
- the most expensive trainings of coco2017.yaml and the jobs they depend on.
The boxes of each image are filled up with random ones to 2,000, as photographs may have.
Other presets with their own data, and the downloads, are left out. Jobs run one after another, each in a separate
process with one thread.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from bench.jobs import ROOT, PlannedJob, planned_jobs
from bench.rehearsal_jobs import Taken, describe, run_all
from bench.rehearsal_plan import (
    backbones,
    check_settings,
    choose,
    kind,
    merged,
    own_data,
    resolved,
    shortened,
    with_ancestors,
)
from bench.rehearsal_table import COCO, Group, extrapolated, table, total, write_between
from wsis_steps.plan.steps import STEPS

FOLDER = ROOT / "workflow/presets"
# the preset, and those that add runs to it on the same data
PRESETS = [FOLDER / "voc2012.yaml", *(path for path in sorted(FOLDER.glob("voc2012_*.yaml")) if not own_data(path))]
PAGE = ROOT / "docs/cost.md"
RATE = 50.0  # TFLOP/s that a GPU is taken to sustain, if nothing else is said
LIMIT = 14_000  # MB that a job may take
SMALLER = {"bestie_train": (2, 8)}  # batches of what needs more than that
COCO_PRESET = FOLDER / "coco2017.yaml"
COCO_JOBS = (
    "supervised/maskrcnn_train",
    "bestie/bestie_train_round00",
    "annotation_consistency/annotation_consistency_train_conditional_round01",
)
COCO_SMALLER = {
    "annotation_consistency_initialise": (2, 5),
    "annotation_consistency_train_conditional": (2, 5),
    "annotation_consistency_train_prediction": (1, 2),
    "bestie_train": (2, 6),
    "classifier_train": (2, 5),
    "maskrcnn_train": (1, 2),
}


def plan(folder: Path, presets: list[Path]) -> list[PlannedJob]:
    """The jobs of presets, with short trainings, in `folder`."""
    before = merged(*presets)
    shorter = folder / f"shorter_{presets[-1].stem}.yaml"
    shorter.write_text(yaml.safe_dump(shortened(before)))
    check_settings(before, merged(*presets, shorter))
    return planned_jobs(folder, *presets, shorter)


def make_inputs(folder: Path) -> None:
    """Writes the inputs of the presets in a separate process, because a job's memory is at least that of its parent.
    Keeps existing inputs, because jobs rerun if their inputs are newer than their records."""
    settings = resolved(merged(*PRESETS)) | resolved(merged(COCO_PRESET))
    lists = [merged(*PRESETS)["steps"]["data_import_dataset"][name] for name in ("train_list", "val_list")]
    wanted, written = [*lists, *backbones(settings.values())], folder / "inputs.json"
    if written.exists() and json.loads(written.read_text()) == wanted:
        return
    subprocess.run([sys.executable, "-m", "bench.rehearsal_data", str(folder), *wanted], cwd=ROOT, check=True)
    written.write_text(json.dumps(wanted))


def groups(takens: list[Taken], every: list[PlannedJob], presets: list[Path]) -> list[Group]:
    """What was taken, by kind, in the order of the pipeline; of `every` job each is of the kind of one that ran."""
    makers = {path: job for job in every for path in job.outputs}
    kinds = {job.name: kind(job, makers) for job in every}
    settings = resolved(merged(*presets))
    found: dict[str, Group] = {}
    for taken in takens:
        own = settings.get((taken.name.split("/")[0], taken.step), taken.settings)
        found.setdefault(kinds[taken.name], Group([], own)).taken.append(taken)
    for job in every:
        found[kinds[job.name]].jobs += 1
    return sorted(found.values(), key=lambda group: list(STEPS).index(group.first.step))


def splits(takens: list[Taken]) -> tuple[set[str], set[str]]:
    """Ids of the training and the evaluation images; the first generated images are for training."""
    ids = sorted(next(taken.images for taken in takens if taken.step == "data_import_dataset"))
    return set(ids[: len(ids) // 2]), set(ids[len(ids) // 2 :])


def rehearse(folder: Path, rate: float) -> list[Taken]:
    """Runs all jobs in `folder`, writes the tables and returns the failures."""
    make_inputs(folder)
    every = plan(folder, PRESETS)
    jobs, stand_ins = choose(plan(folder, PRESETS[:1]), every)
    takens = run_all(jobs, folder, LIMIT, SMALLER, stand_ins)
    voc = extrapolated(groups(takens, every, PRESETS), *splits(takens), rate)
    coco_jobs = with_ancestors(COCO_JOBS, plan(folder, [COCO_PRESET]))
    more = run_all(coco_jobs, folder, LIMIT, COCO_SMALLER)
    coco = extrapolated(groups(more, coco_jobs, [COCO_PRESET]), *splits(more), rate, COCO)
    minutes, processor = (
        sum(getattr(taken, name) for taken in takens + more) / 60 for name in ("clock", "job_processor")
    )
    about = (
        f"{len(takens)} of {len(every)} jobs on VOC 2012 and {len(more)} on COCO 2017 ran, in {minutes:.0f} minutes, "
        f"of which a processor worked {processor:.0f}. GPU: hours of one that sustains {rate:g} TFLOP/s; core: of one "
        "core of this machine."
    )
    own = "The heaviest trainings of `coco2017.yaml` and what they stand on:"
    write_between(PAGE, "\n" + "\n\n".join([about, table(voc) + "\n" + total(voc), own, table(coco)]) + "\n")
    return [taken for taken in takens + more if taken.fault]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where it works; by default a temporary folder")
    parser.add_argument("--rate", type=float, default=RATE, help="TFLOP/s that a GPU sustains")
    options = parser.parse_args()
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
        failed = rehearse(options.folder.resolve(), options.rate)
    else:
        with tempfile.TemporaryDirectory() as folder:
            failed = rehearse(Path(folder), options.rate)
    for taken in failed:
        print(describe(taken), file=sys.stderr)
    sys.exit(f"{len(failed)} jobs failed" if failed else 0)


if __name__ == "__main__":
    main()
