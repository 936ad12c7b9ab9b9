"""Whether a step's memory grows with the number of images: its peak on 100 and on 1,000 generated images.

A step may keep a table row and run-length masks per image, and images up to a limit (`vision/images.py`). A tenth more
memory is therefore allowed for ten times the images; two calls on the same images differ by some MB.

The steps are those that Snakemake would run for all systems at the tests' tiny sizes, with the same command lines, one
after another, each in a separate process with one thread.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from bench.jobs import commands
from bench.rows import Row

ROOT = Path(__file__).parents[1]
FEW, MANY = 100, 1000  # pictures; a half of them to train, a half to evaluate
PIPES = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
RUNS = {
    "bestie": {"system": "bestie"},
    "learning_to_segment": {"system": "learning_to_segment"},
    "community_learning": {"system": "community_learning"},
    "annotation_consistency": {"system": "annotation_consistency"},
}


def configure(folder: Path, count: int) -> Path:
    """The configuration of a workflow on `count` pictures."""
    steps = {}
    for name in ("proposal_systems", "tiny"):
        steps |= yaml.safe_load((ROOT / f"tests/{name}.yaml").read_text())["steps"]
    steps["data_draw_shapes"] |= {"train": count // 2, "val": count - count // 2}
    path = folder / "config.yaml"
    values = {"dataset": "tiny", "verdict": "warn", "runs": RUNS, "steps": steps}  # untrained networks
    path.write_text(yaml.safe_dump(values))
    return path


def peaks(folder: Path, count: int) -> dict[str, float]:
    """Peak MB of each job on `count` images, by job name."""
    (folder / "benchmarks/tiny").mkdir(parents=True)  # which Snakemake would fill
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    found = {}
    for name, command in commands(folder, configure(folder, count)):
        with subprocess.Popen(command, cwd=folder, env=variables, **PIPES) as process:
            said = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if status:
            raise RuntimeError(f"{name} ended with {process.returncode}: {said[-2000:]}")
        found[name] = max(found.get(name, 0), usage.ru_maxrss / 1e3)
    return found


def _peaks_from_outside(folder: Path, count: int) -> dict[str, float]:
    """As `peaks`, from a small process, because a job's peak is at least the size of the process that starts it."""
    command = [sys.executable, "-m", "bench.memory", str(folder), str(count)]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout)


def measure(folder: Path) -> list[Row]:
    """All rows of this benchmark; `folder` is for the two workflows."""
    few, many = (_peaks_from_outside(folder / str(count), count) for count in (FEW, MANY))
    return [
        Row(f"memory of {name}, {MANY:,} images", many[name], "MB", f"{FEW} images", few[name], 1.1, of_ratio=True)
        for name in sorted(few)
    ]


if __name__ == "__main__":
    print(json.dumps(peaks(Path(sys.argv[1]), int(sys.argv[2]))))
