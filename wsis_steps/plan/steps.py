"""The settings of every step, collected from the folders of the package. Imports no torch.

Each folder has a `settings.py` with one class per step, named after it: `MaskrcnnTrain` holds the settings of
`maskrcnn_train`. Defaults are the papers' values. A step's section in `config.yaml` has the step's name; a run may
override any setting under its own `steps`. Devices, worker counts and log intervals are not settings.
"""

import importlib
import re
from pathlib import Path

from wsis_steps.engine.settings import Settings

PACKAGE = Path(__file__).parents[1]
# In pipeline order; the systems' folders are found automatically and come between the two.
FIRST, LAST = ("data", "proposals", "classifier", "postprocess"), ("maskrcnn", "evaluation", "report")


def folders() -> list[str]:
    """The folders that contain steps, in pipeline order."""
    own = {path.parent.name for path in PACKAGE.glob("*/settings.py")} - {"engine", "vision", *FIRST, *LAST}
    return [*FIRST, *sorted(own), *LAST]


def _settings_of(folder: str) -> dict[str, type[Settings]]:
    """The settings classes of a folder by step name, in file order."""
    module = importlib.import_module(f"wsis_steps.{folder}.settings")
    found = {}
    for name, value in vars(module).items():
        step = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        own = isinstance(value, type) and issubclass(value, Settings) and value.__module__ == module.__name__
        if own and step.startswith(f"{folder}_"):
            found[step] = value
    return found


STEPS: dict[str, type[Settings]] = {
    step: settings for folder in folders() for step, settings in _settings_of(folder).items()
}


def module_of(step: str) -> str:
    """The module of a step, without the package: `maskrcnn.train` for `maskrcnn_train`."""
    folder = max((folder for folder in folders() if step.startswith(f"{folder}_")), key=len)
    return f"{folder}.{step.removeprefix(f'{folder}_')}"
