"""Boxes of Selective Search as repositories of weakly supervised detection publish them: a .mat file for a split.

`images` is a cell array of names and `boxes` one of (n, 4) arrays y1, x1, y2, x2, counted from 1, the last pixel
included; the best come first, without scores. (The layout is that of Fast R-CNN; WSDDN, OICR and PCL read it.)
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.proposals.importers.image_names import ImageNames
from wsis_steps.proposals.importers.mat_files import as_cells, as_numbers, read_variables
from wsis_steps.vision.regions import BoxProposals


@dataclass(frozen=True)
class PublishedBoxes:
    """The boxes of one image as `file` has them, its `name` there and its place, from 1."""

    file: Path
    name: str
    place: int
    boxes: np.ndarray


def find_boxes(path: Path, names: ImageNames) -> dict[str, PublishedBoxes]:
    """The boxes of each image that the file, or one of the .mat files in the folder, names. Raises `InputError` where a
    file holds something else, or an image occurs twice."""
    found: dict[str, PublishedBoxes] = {}
    for file in sorted(path.glob("*.mat")) if path.is_dir() else [path]:
        values = read_variables(file, ("boxes", "images"))
        boxes, images = (as_cells(file, name, values[name]) for name in ("boxes", "images"))
        if len(boxes) != len(images):
            raise InputError(f"{file} has boxes of {len(boxes)} images but names of {len(images)}.")
        for place, (name, rows) in enumerate(zip(images, boxes, strict=True), 1):
            if not isinstance(name, str):
                raise InputError(f"{file}: element {place} of its 'images' is no name.")
            identity = names.find(name)
            if identity in found:
                raise InputError(f"{file} has boxes of image '{identity}', which {found[identity].file} has, too.")
            if identity is not None:
                found[identity] = PublishedBoxes(file, name, place, rows)
    return found


def read_boxes(published: PublishedBoxes, height: int, width: int, cap: int) -> BoxProposals:
    """The first `cap` boxes (0: all) of an image of that size; of n, that of rank k, from 0, has score 1 - k / n.
    Raises `InputError` where they are no boxes in the image."""
    where = f"{published.file}: image '{published.name}' (element {published.place})"
    rows = published.boxes
    if not isinstance(rows, np.ndarray) or rows.size and (rows.ndim != 2 or rows.shape[1] != 4):
        raise InputError(f"{where} has no boxes of four numbers.")
    rows = as_numbers(published.file, "boxes", rows).astype(np.float64).reshape(-1, 4)
    boxes = (rows - [1, 1, 0, 0])[:, [1, 0, 3, 2]]
    inside = (boxes[:, :2] >= 0).all(1) & (boxes[:, 2:] <= [width, height]).all(1)
    wrong = np.flatnonzero(~inside | (boxes[:, :2] >= boxes[:, 2:]).any(1) | (boxes != np.rint(boxes)).any(1))
    if len(wrong):
        values = ", ".join(f"{value:g}" for value in rows[wrong[0]])
        raise InputError(f"{where} is {width}x{height} pixels, but box {wrong[0] + 1} (y1, x1, y2, x2) is {values}.")
    boxes = boxes[: cap or None]
    scores = 1 - np.arange(len(boxes)) / max(len(boxes), 1)
    return BoxProposals(boxes.astype(np.float32), scores.astype(np.float32), height, width)
