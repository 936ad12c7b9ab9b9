"""Starts a project: a folder with a configuration, a Snakefile of a few lines that uses the installed workflow, and
profiles for this machine and for a cluster with SLURM.

The configuration is a copy of a preset:
  own_images  your own images, with a GPU or without (the default)
  shapes      the generated data set of the demo: minutes on a CPU
  voc2012     PASCAL VOC 2012 with the settings of the papers
  coco2017    COCO 2017

examples:
  wsis new my_project
  wsis new my_project --preset shapes
"""

import argparse
import logging
from pathlib import Path

from wsis_steps.engine import VERSION
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.writers import plain
from wsis_steps.plan.home import HOME, PRESETS

log = logging.getLogger("wsis")

SNAKEFILE = """\
# Runs the workflow of the installed package wsis with config.yaml: `wsis run`, or snakemake itself.
from wsis_steps.plan.home import SNAKEFILE


configfile: "config.yaml"


module wsis:
    snakefile:
        SNAKEFILE
    config:
        config


use rule * from wsis


onsuccess:
    wsis.last_lines()


onerror:
    wsis.last_lines()
"""
FIRST_LINES = """\
# Written by wsis {version} from its preset {preset}. Every setting: docs/settings.md of wsis.
#
#   wsis check config.yaml               what is wrong with the data or the settings, and which weights are missing
#   wsis run first_look                  activation maps and first labels, to be looked at
#   wsis run --resources gpu=1           everything; all arguments are Snakemake's
#
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the project; may hold other files already")
    parser.add_argument("--preset", choices=PRESETS, default="own_images", help="default: own_images")


def configuration_of(preset: str) -> str:
    """The text of a preset, with the commands of a project in its first comment instead of the repository's."""
    lines = PRESETS[preset].read_text(encoding="utf-8").splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    comment = [line for line in lines[:end] if not line.startswith("#   ")]
    comment = [line for line, before in zip(comment, ["#", *comment], strict=False) if (line, before) != ("#", "#")]
    return FIRST_LINES.format(version=VERSION, preset=preset) + "\n".join([*comment, *lines[end:]]) + "\n"


def files_of(preset: str) -> dict[str, str]:
    """The files of a new project: text by path."""
    profiles = {
        name: (HOME / f"profiles/{name}/config.yaml").read_text(encoding="utf-8") for name in ("default", "slurm")
    }
    profiles["default"] += "cores: all\n"
    return {
        "Snakefile": SNAKEFILE,
        "config.yaml": configuration_of(preset),
        **{f"profiles/{name}/config.yaml": text for name, text in profiles.items()},
    }


def main(options: argparse.Namespace) -> None:
    folder, files = options.folder, files_of(options.preset)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{plain(str(folder))} is not a folder.")
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise InputError(f"{plain(str(folder))} already has {', '.join(there)}; nothing was written.")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    log.info("wrote %s: edit config.yaml, then run `wsis check config.yaml` and `wsis run` there", folder)
