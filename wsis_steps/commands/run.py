"""Runs the workflow of this folder's project: Snakemake, with the Python that has wsis. All arguments are Snakemake's.

The project's Snakefile, config.yaml and profiles/default apply, as `wsis new` writes them.

examples:
  wsis run --dry-run                     which jobs would run
  wsis run --resources gpu=1             everything that is out of date, with one GPU
  wsis run --cores 4 first_look          the first look, on four cores
  wsis run --profile profiles/slurm      on a cluster
"""

import argparse
import os
import sys
from pathlib import Path

from wsis_steps.engine.errors import InputError

PASSES_ON = True  # arguments that it does not know belong to Snakemake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds no arguments."""


def main(options: argparse.Namespace) -> None:
    if not any(Path(name).is_file() for name in ("Snakefile", "workflow/Snakefile")):
        raise InputError(f"{Path.cwd()} has no Snakefile; `wsis new FOLDER` writes one.")
    # the jobs call `python`, which must be the one that has wsis
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    command = [sys.executable, "-m", "snakemake", *options.passed_on]
    os.execve(sys.executable, command, {**os.environ, "PATH": path})
