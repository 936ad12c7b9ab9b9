"""Snakemake's time before the first job: dry runs of the presets coco2017 and voc2012 without the data sets, and a
second run of voc2012 that finds everything done.

Baseline: a dry run of a Snakefile with one empty rule, which is Snakemake's own start.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from bench.rows import Row

ROOT = Path(__file__).parents[1]
PRESETS = ("coco2017", "voc2012")
REPEATS = 3


def snakemake(folder: Path, *arguments: str) -> tuple[float, str]:
    """Seconds and standard output of a call in the working directory `folder`."""
    command = [sys.executable, "-m", "snakemake", "--directory", str(folder), "--cores", "1", *arguments]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return time.perf_counter() - started, done.stdout + done.stderr


def median(folder: Path, *arguments: str) -> tuple[float, str]:
    """As `snakemake`: the median time of several calls, and the output of the last."""
    calls = [snakemake(folder, *arguments) for _ in range(REPEATS)]
    return float(np.median([seconds for seconds, _ in calls])), calls[-1][1]


def pretend_done(folder: Path, *workflow: str) -> int:
    """Puts an empty file or folder in the place of every output and records all jobs as done; returns their number."""
    _, text = snakemake(folder, *workflow, "--summary")
    paths = [line.split("\t")[0] for line in text.splitlines() if line.startswith("results/")]
    for path in paths:
        place = folder / path
        (place.parent if place.suffix else place).mkdir(parents=True, exist_ok=True)
        if place.suffix:
            place.touch()
    snakemake(folder, *workflow, "--touch")
    return len(paths)


def measure(folder: Path) -> list[Row]:
    """All rows of this file; `folder` is for the workflow's working directory."""
    empty = folder / "Snakefile"
    empty.write_text("rule all:\n")
    baseline, _ = median(folder, "--snakefile", str(empty), "--dry-run")
    rows, against = [], "an empty rule"
    for preset in PRESETS:
        preset_file = str(ROOT / f"workflow/presets/{preset}.yaml")
        workflow = ("--snakefile", str(ROOT / "Snakefile"), "--configfile", preset_file)
        dry, text = median(folder, *workflow, "--dry-run", "--quiet", "rules")
        count = int(next(line.split()[1] for line in text.splitlines() if line.startswith("total")))
        rows.append(Row(f"dry run, {preset} ({count} jobs)", dry, "s", against, baseline, 10))
    pretend_done(folder, *workflow)
    second, text = median(folder, *workflow)
    if "Nothing to be done" not in text:
        raise RuntimeError(f"the second run still has something to do: {text[-2000:]}")
    return [*rows, Row("second run, nothing to do", second, "s", against, baseline, 10)]
