"""The jobs of a workflow as command lines, for benchmarks that run them one by one."""

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
# what Snakemake says of a job in a dry run, as far as the command
_JOB = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)Shell command: (python -m wsis_steps\..*)$", re.MULTILINE)


@dataclass(frozen=True)
class PlannedJob:
    """A job before it runs. name: <run>/<job>, as in its log. Files are relative to the working directory."""

    step: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    on_gpu: bool
    command: tuple[str, ...]

    def option(self, name: str) -> str:
        """A value of the command line."""
        return self.command[self.command.index(f"--{name}") + 1]

    def with_option(self, name: str, value: str) -> "PlannedJob":
        """The job with another value of its command line."""
        place = self.command.index(f"--{name}") + 1
        return replace(self, command=(*self.command[:place], value, *self.command[place + 1 :]))


def planned_jobs(folder: Path, *configurations: Path) -> list[PlannedJob]:
    """Every job of a workflow in `folder`, done or not, in an order in which they can run."""
    snakemake = [sys.executable, "-m", "snakemake", "--directory", folder, "--cores", "1"]
    options = ["--dry-run", "--forceall", "--printshellcmds", "--configfile", *configurations]
    done = subprocess.run([*map(str, snakemake + options)], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the dry run failed: {done.stderr[-2000:]}")
    return planned(done.stdout + done.stderr)


def planned(said: str) -> list[PlannedJob]:
    """The jobs that Snakemake listed in a dry run."""
    return [_planned(*found) for found in _JOB.findall(said)]


def _planned(step: str, said: str, line: str) -> PlannedJob:
    about = dict(re.findall(r"^    (\w+): (.*)$", said, flags=re.MULTILINE))
    files = {role: tuple(filter(None, about.get(role, "").split(", "))) for role in ("input", "output")}
    name = "/".join(Path(about["log"]).with_suffix("").parts[2:])
    words = (sys.executable, *shlex.split(line)[1:])
    on_gpu = re.search(r"\bgpu=[1-9]", about.get("resources", "")) is not None
    return PlannedJob(step, name, files["input"], files["output"], on_gpu, words)


def commands(folder: Path, configuration: Path) -> list[tuple[str, list[str]]]:
    """The last part of the name, and the command line, of every job, in an order in which they can run."""
    return [(Path(job.name).name, list(job.command)) for job in planned_jobs(folder, configuration)]
