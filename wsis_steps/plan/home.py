"""Where the workflow lies: in the repository, or in the folder `repository` of an installed package (setup.py)."""

from wsis_steps.plan.steps import PACKAGE

HOME = PACKAGE / "repository" if (PACKAGE / "repository").is_dir() else PACKAGE.parent
SNAKEFILE = str(HOME / "Snakefile")
"""The workflow, for the `snakefile:` of a module."""
# Complete configurations by name; the other presets are merged over one of them.
PRESETS = {
    "shapes": HOME / "config.yaml",
    **{name: HOME / f"workflow/presets/{name}.yaml" for name in ("own_images", "voc2012", "coco2017")},
}
