"""Refuses what is not an ordinary file before it is opened: reading a pipe or a device may never end."""

import stat
from pathlib import Path

from wsis_steps.engine.errors import InputError


def check_ordinary(path: Path | str) -> None:
    """InputError if a path is a folder, a pipe or a device; opening it tells whether it is missing or forbidden."""
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} cannot be read: it is a folder, a pipe or a device.")
