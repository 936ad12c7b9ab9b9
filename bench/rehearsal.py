"""Runs every step of the preset voc2012 and of its ablations at full size, on few pictures (make rehearsal).

    python -m bench.rehearsal                      some hours of one core; writes the table of docs/cost.md
    python -m bench.rehearsal --folder FOLDER      keeps what it makes there, and goes on from it
    python -m bench.rehearsal --rate 100           hours of a GPU that sustains 100 TFLOP/s

Networks, sizes of pictures, batches and all other settings are the preset's, which is checked; trainings take two
iterations, on four drawn pictures of 375 x 500 pixels, and weights are random. Every job of voc2012.yaml runs, and of
the presets that are laid over it what differs: a step with other settings, or with a network that was trained with
others, such inference on one picture of each split. Presets with data of their own are left out, and the download of
the archives. Jobs run one after the other, each in a process of its own with one thread.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from bench.jobs import ROOT, PlannedJob, planned_jobs
from bench.rehearsal_jobs import Taken, describe, run_all
from bench.rehearsal_plan import backbones, check_settings, choose, kind, merged, own_data, resolved, shortened
from bench.rehearsal_table import Group, table, write_between
from wsis_steps.plan.steps import STEPS

FOLDER = ROOT / "workflow/presets"
# the preset, and those that add runs to it on the same data
PRESETS = [FOLDER / "voc2012.yaml", *(path for path in sorted(FOLDER.glob("voc2012_*.yaml")) if not own_data(path))]
PAGE = ROOT / "docs/cost.md"
RATE = 50.0  # TFLOP/s that a GPU is taken to sustain, if nothing else is said
LIMIT = 14_000  # MB that a job may take
SMALLER = {"bestie_train": (2, 8)}  # batches of what needs more than that


def plan(folder: Path, presets: list[Path]) -> list[PlannedJob]:
    """The jobs of presets, with short trainings, in `folder`."""
    before = merged(*presets)
    shorter = folder / f"shorter{len(presets)}.yaml"
    shorter.write_text(yaml.safe_dump(shortened(before)))
    check_settings(before, merged(*presets, shorter))
    return planned_jobs(folder, *presets, shorter)


def make_inputs(folder: Path) -> None:
    """Writes what the presets read, in a process of its own: a job's memory is at least that of what starts it."""
    settings = resolved(merged(*PRESETS))
    lists = [merged(*PRESETS)["steps"]["data_import_dataset"][name] for name in ("train_list", "val_list")]
    command = [sys.executable, "-m", "bench.rehearsal_data", str(folder), *lists, *backbones(settings.values())]
    subprocess.run(command, cwd=ROOT, check=True)


def groups(takens: list[Taken], every: list[PlannedJob]) -> list[Group]:
    """What was taken, by kind, in the order of the pipeline."""
    makers = {path: job for job in every for path in job.outputs}
    kinds = {job.name: kind(job, makers) for job in every}
    settings = resolved(merged(*PRESETS))
    found: dict[str, Group] = {}
    for taken in takens:
        own = settings.get((taken.name.split("/")[0], taken.step), taken.settings)
        found.setdefault(kinds[taken.name], Group([], own)).taken.append(taken)
    for job in every:
        found[kinds[job.name]].jobs += 1
    return sorted(found.values(), key=lambda group: list(STEPS).index(group.first.step))


def splits(folder: Path) -> tuple[set[str], set[str]]:
    """Ids of the images to train and to evaluate on."""
    source = merged(*PRESETS)["steps"]["data_import_dataset"]
    lists = folder / source["root"] / "ImageSets/Segmentation"
    train, val = (set((lists / f"{source[name]}.txt").read_text().split()) for name in ("train_list", "val_list"))
    return train, val


def rehearse(folder: Path, rate: float) -> list[Taken]:
    """Runs all in `folder`, writes the table and returns what failed."""
    make_inputs(folder)
    every = plan(folder, PRESETS)
    takens = run_all(choose(plan(folder, PRESETS[:1]), every), folder, LIMIT, SMALLER)
    text = table(groups(takens, every), *splits(folder), rate)
    minutes, processor = (sum(getattr(taken, name) for taken in takens) / 60 for name in ("clock", "job_processor"))
    about = (
        f"{len(takens)} of {len(every)} jobs ran, in {minutes:.0f} minutes, of which a processor worked "
        f"{processor:.0f}. GPU: hours of one that sustains {rate:g} TFLOP/s; core: of one core of this machine.\n\n"
    )
    write_between(PAGE, f"\n{about}{text}\n")
    return [taken for taken in takens if taken.fault]


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
