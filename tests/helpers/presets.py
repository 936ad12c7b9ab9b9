"""The shipped presets, each as it is meant to be used: alone, or laid over another file."""

from pathlib import Path

import yaml
from snakemake.utils import update_config

from wsis_steps.plan.config import Configuration, load

ROOT = Path(__file__).parents[2]
PRESETS = ROOT / "workflow/presets"
# What a preset is laid over, in the order of --configfile.
LAID_OVER = {
    "shapes_ablations": (ROOT / "config.yaml",),
    "voc2012_ablations": (PRESETS / "voc2012.yaml",),
    "voc2012_imagenet": (PRESETS / "voc2012.yaml",),
    "voc2012_train": (PRESETS / "voc2012.yaml",),
    "voc2012_learning_to_segment": (PRESETS / "voc2012.yaml", PRESETS / "voc2012_imagenet.yaml"),
}
NAMES = sorted(path.stem for path in PRESETS.glob("*.yaml"))


def merged(*paths: Path) -> dict:
    """The values of several files, as Snakemake merges them after --configfile."""
    values: dict = {}
    for path in paths:
        update_config(values, yaml.safe_load(path.read_text()))
    return values


def preset(name: str) -> Configuration:
    """A preset with what it is laid over."""
    return load(merged(*LAID_OVER.get(name, ()), PRESETS / f"{name}.yaml"))
