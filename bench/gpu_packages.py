"""The packages that the check on a GPU imports, and what to bring to a machine that lacks some."""

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
# module: package, as in envs/requirements.txt
NEEDED = {
    "cv2": "opencv-contrib-python-headless",
    "h5py": "h5py",
    "numba": "numba",
    "numpy": "numpy",
    "pandas": "pandas",
    "PIL": "pillow",
    "pycocotools": "pycocotools",
    "pydantic": "pydantic",
    "pydensecrf": "pydensecrf2",
    "scipy": "scipy",
    "timm": "timm",
    "torch": "torch",
    "torchvision": "torchvision",
    "tqdm": "tqdm",
    "yaml": "pyyaml",
}
PREPARING = {"higra": "higra", "snakemake": "snakemake"}  # besides, to prepare


def missing(needed: dict[str, str]) -> list[str]:
    """The packages of modules that cannot be found, with their locked versions: name==version."""
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "envs/requirements.txt").read_text(), re.MULTILINE))
    packages = [package for module, package in needed.items() if importlib.util.find_spec(module) is None]
    return [f"{package}=={locked[package]}" for package in packages]


def advice(packages: list[str]) -> str:
    """How to bring packages to a machine without network."""
    names = " ".join(packages)
    return (
        f"This machine lacks {', '.join(packages)}. On one with network and the same Python, and with pip's --no-deps "
        f"where torch is the machine's own:\n    pip wheel --wheel-dir wheels {names}\n"
        f"and here, beside the folder wheels:\n    pip install --no-index --find-links wheels {names}"
    )
