"""The machine that benchmarks run on."""

import os
import platform

import torch


def machine() -> dict[str, str | int]:
    """What the figures depend on."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cores": os.cpu_count() or 1,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }
