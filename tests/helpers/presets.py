"""The shipped presets as they are meant to be used: alone, or merged over other files."""

from pathlib import Path

import yaml
from snakemake.utils import update_config

from wsis_steps.plan.config import Configuration, load

ROOT = Path(__file__).parents[2]
PRESETS = ROOT / "workflow/presets"
LAYERS = {  # uses of several files, in the order of --configfile; any other preset stands by itself
    "shapes_ablations": ("config", "shapes_ablations"),
    "voc2012_ablations": ("voc2012", "voc2012_ablations"),
    "voc2012_imagenet": ("voc2012", "voc2012_imagenet"),
    "voc2012_train": ("voc2012", "voc2012_train"),
    "voc2012_learning_to_segment": ("voc2012", "voc2012_imagenet", "voc2012_learning_to_segment"),
}
NAMES = sorted({path.stem for path in PRESETS.glob("*.yaml")} | set(LAYERS))


def merged(*names: str) -> dict:
    """The values of several files, as Snakemake merges them after --configfile."""
    values: dict = {}
    for name in names:
        path = ROOT / "config.yaml" if name == "config" else PRESETS / f"{name}.yaml"
        update_config(values, yaml.safe_load(path.read_text()))
    return values


def preset(name: str) -> Configuration:
    """A use of a preset: the preset and the files below it."""
    return load(merged(*LAYERS.get(name, (name,))))
