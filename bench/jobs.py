"""The jobs of a workflow as command lines, for benches that run them one by one."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def commands(folder: Path, configuration: Path) -> list[tuple[str, list[str]]]:
    """Name and command line of every job that Snakemake would run in `folder`, in an order in which they can run."""
    snakemake = [sys.executable, "-m", "snakemake", "--directory", folder, "--dry-run", "--printshellcmds"]
    options = ["--cores", "1", "--configfile", configuration]
    done = subprocess.run([*map(str, snakemake + options)], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = re.findall(r"^Shell command: (python -m wsis_steps\..*)$", done.stdout + done.stderr, flags=re.MULTILINE)
    words = [shlex.split(line) for line in lines]
    return [(Path(line[line.index("--log") + 1]).stem, [sys.executable, *line[1:]]) for line in words]
