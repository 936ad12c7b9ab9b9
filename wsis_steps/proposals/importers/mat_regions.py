"""Regions as published for MCG, SCG and COB: one .mat file per image, named after it.

`superpixels` (h, w) numbers the superpixels from 1; `labels` is a cell array with the superpixel numbers of each
region; `scores` has one number for each. `bboxes` and `bboxes_scores`, if any, have other rows (MCG drops boxes that
are nearly identical), so boxes are computed from the regions. Other variables are refused.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.proposals.importers.image_names import ImageNames
from wsis_steps.proposals.importers.mat_files import as_cells, as_numbers, check_known, read_variables
from wsis_steps.proposals.mcg.candidates import boxes_of
from wsis_steps.vision.regions import RegionProposals, best_first

READ = ("superpixels", "labels", "scores")
LEFT = ("bboxes", "bboxes_scores")
MOST = 1 << 16  # maximum number of superpixels in a 16-bit map


def find_regions(path: Path, names: ImageNames, ignored: Sequence[str] = ()) -> dict[str, Path]:
    """The file of each image that has one in the folder `path` or below it (COCO's files are in nested folders). Raises
    `InputError` if two files are of the same image, or the first of a folder holds variables that are neither known nor
    `ignored`."""
    files = sorted(path.rglob("*.mat")) if path.is_dir() else [path]
    found: dict[str, Path] = {}
    for file in files:
        identity = names.find(file.stem)
        if identity in found:
            raise InputError(f"{found[identity]} and {file} are both of image '{identity}'.")
        if identity is not None:
            found[identity] = file
    for file in {file.parent: file for file in reversed(found.values())}.values():
        check_known(file, (*READ, *LEFT, *ignored))
    return found


def read_regions(path: Path, height: int, width: int, cap: int) -> RegionProposals:
    """The best `cap` regions (0: all) of an image of that size; `InputError` if the file holds something else."""
    values = read_variables(path, READ)
    superpixels = _whole(path, "superpixels", as_numbers(path, "superpixels", values["superpixels"]))
    if superpixels.shape != (height, width):
        size = "x".join(map(str, superpixels.shape[::-1]))
        raise InputError(f"{path}: its superpixel map is {size} pixels, but its image {width}x{height}.")
    numbers, superpixels = np.unique(superpixels, return_inverse=True)
    superpixels = superpixels.reshape(height, width).astype(np.int32)
    if numbers[0] < 1 or len(numbers) > MOST:
        raise InputError(f"{path}: its superpixels must be numbered from 1, and be at most {MOST}.")
    scores = as_numbers(path, "scores", values["scores"]).ravel()
    labels = [as_numbers(path, "labels", part).ravel() for part in as_cells(path, "labels", values["labels"])]
    if len(labels) != len(scores):
        raise InputError(f"{path} has {len(labels)} labels but {len(scores)} scores.")
    rows = best_first(scores, cap)
    return _regions(path, superpixels, numbers, [labels[row] for row in rows], scores[rows])


def _regions(
    path: Path, superpixels: np.ndarray, numbers: np.ndarray, labels: list[np.ndarray], scores: np.ndarray
) -> RegionProposals:
    """Regions from their superpixel numbers; `numbers` (sorted) are those in the map, in its order."""
    lengths = np.array([len(part) for part in labels], dtype=np.int64)
    if (lengths == 0).any():
        raise InputError(f"{path}: one of its labels holds no superpixel.")
    flat = _whole(path, "labels", np.concatenate([*labels, np.zeros(0)]))
    held = np.searchsorted(numbers, flat).clip(max=len(numbers) - 1)
    unknown = flat[numbers[held] != flat]
    if len(unknown):
        raise InputError(f"{path}: its labels name superpixel {unknown[0]}, which its superpixel map lacks.")
    members = np.zeros((len(labels), len(numbers)), dtype=bool)
    members[np.repeat(np.arange(len(labels)), lengths), held] = True
    return RegionProposals(boxes_of(superpixels, members), scores.astype(np.float32), superpixels, members)


def _whole(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    """The same as int64; `InputError` if a number is not an integer."""
    with np.errstate(invalid="ignore"):  # for numbers too large for an integer
        whole = values.astype(np.int64)
    if (whole != values).any():
        raise InputError(f"{path}: its '{name}' holds numbers that are not integers.")
    return whole
