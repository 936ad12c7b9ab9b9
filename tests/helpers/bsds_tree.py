"""A small tree in the layout of BSDS500: bright discs on a dark background; annotators differ by one pixel."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from scipy.io import savemat

SIZE = (60, 80)  # height, width


def disc(row: float, column: float, radius: float, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Label map uint16: 2 in the disc, 1 around it."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return (1 + ((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)).astype(np.uint16)


def outline(labels: np.ndarray) -> np.ndarray:
    """Thin boundary uint8 of a label map."""
    return (cv2.morphologyEx(labels, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 0).astype(np.uint8)


def write_drawings(path: Path, segmentations: list[np.ndarray]) -> None:
    """A file of groundTruth: a cell, and in each place a struct."""
    cell = np.empty((1, len(segmentations)), dtype=object)
    for k, labels in enumerate(segmentations):
        cell[0, k] = {"Segmentation": labels, "Boundaries": outline(labels)}
    savemat(path, {"groundTruth": cell})


def write_tree(root: Path, count: int = 3, splits: tuple[str, ...] = ("train",), annotators: int = 4) -> Path:
    """Writes `count` images per split, named 100, 101, ..., and returns the root."""
    rng = np.random.default_rng(0)
    for split in splits:
        for kind in ("images", "groundTruth"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        for k in range(count):
            row, column, radius = rng.uniform(25, 35), rng.uniform(30, 50), rng.uniform(10, 18)
            drawn = [disc(row, column + shift % 2, radius) for shift in range(annotators)]
            picture = np.where(drawn[0][..., None] == 2, (220, 180, 90), (40, 60, 80)) + rng.normal(0, 8, (*SIZE, 3))
            picture = np.clip(picture, 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(root / f"images/{split}/{100 + k}.jpg", quality=95)
            write_drawings(root / f"groundTruth/{split}/{100 + k}.mat", drawn)
    return root
