"""The shipped presets, each as it is meant to be used: alone, or laid over another file."""

from pathlib import Path

import yaml
from snakemake.utils import update_config

from wsis_steps.plan.config import Configuration, load

ROOT = Path(__file__).parents[2]
PRESETS = ROOT / "workflow/presets"
LAID_OVER = {
    "voc2012_ablations": PRESETS / "voc2012.yaml",
    "voc2012_imagenet": PRESETS / "voc2012.yaml",
    "shapes_ablations": ROOT / "config.yaml",
    "shapes_annotation_consistency": ROOT / "config.yaml",
    "shapes_community_learning": ROOT / "config.yaml",
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
    below = [LAID_OVER[name]] if name in LAID_OVER else []
    return load(merged(*below, PRESETS / f"{name}.yaml"))
