"""Boxes of Selective Search as published by repositories of weakly supervised detection: one .mat file per split.

`images` is a cell array of names and `boxes` one of (n, 4) arrays y1, x1, y2, x2, counted from 1, the last pixel
included; the best come first. (The layout is Fast R-CNN's; WSDDN, OICR and PCL read it.) Scores, if any, are a cell
array of n numbers each, like `boxScores` of EdgeBoxes. Other orders are recognized by the image sizes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.problems import attempt
from wsis_steps.proposals.importers.box_readings import PUBLISHED, Reading, tell_reading
from wsis_steps.proposals.importers.image_names import ImageNames
from wsis_steps.proposals.importers.mat_files import Value, as_cells, as_numbers, check_known, read_variables
from wsis_steps.vision.regions import BoxProposals, best_first

READ = ("boxes", "images")
SCORES = ("boxScores", "scores")  # either name


@dataclass(frozen=True)
class PublishedBoxes:
    """The boxes of one image as stored in `file`, optionally with scores, its `name` there and its position, from 1;
    how to read the boxes."""

    file: Path
    name: str
    place: int
    boxes: np.ndarray
    scores: np.ndarray | None = None
    reading: Reading = PUBLISHED

    @property
    def where(self) -> str:
        return f"{self.file}: image '{self.name}' (element {self.place})"


def find_boxes(path: Path, names: ImageNames, ignored: Sequence[str] = ()) -> dict[str, PublishedBoxes]:
    """The boxes of each image that the file, or one of the .mat files in the folder, names. Raises `InputError` if a
    file holds something else, or variables that are neither known nor `ignored`, or an image occurs twice."""
    found: dict[str, PublishedBoxes] = {}
    for file in sorted(path.glob("*.mat")) if path.is_dir() else [path]:
        values = read_variables(file, READ, SCORES)
        check_known(file, (*READ, *SCORES, *ignored))
        boxes, images = (as_cells(file, name, values[name]) for name in READ)
        if len(boxes) != len(images):
            raise InputError(f"{file} has boxes of {len(boxes)} images but names of {len(images)}.")
        scores = _scores(file, values, len(images))
        for place, (name, rows, own) in enumerate(zip(images, boxes, scores, strict=True), 1):
            if not isinstance(name, str):
                raise InputError(f"{file}: element {place} of its 'images' is not a name.")
            identity = names.find(name)
            if identity in found:
                raise InputError(f"{file} has boxes of image '{identity}', which {found[identity].file} also has.")
            if identity is not None:
                found[identity] = PublishedBoxes(file, name, place, rows, own)
    return found


def _scores(file: Path, values: dict[str, Value], count: int) -> list:
    """The scores of each image, None if the file has none."""
    there = [name for name in SCORES if name in values]
    if len(there) > 1:
        raise InputError(f"{file} has two variables of scores: {' and '.join(there)}; keep one.")
    if not there:
        return [None] * count
    cells = as_cells(file, there[0], values[there[0]])
    if len(cells) != count:
        raise InputError(f"{file} has '{there[0]}' of {len(cells)} images but names of {count}.")
    return cells


def settle_boxes(
    found: Mapping[str, PublishedBoxes], sizes: Mapping[str, tuple[int, int]]
) -> tuple[dict[str, PublishedBoxes], list[str]]:
    """The same boxes with their reading, and sentences about possible errors; all files of a folder are read alike.

    sizes: height and width of each image. Raises `InputError` if the image sizes do not decide.
    """
    rows = {identity: attempt(_rows, one) for identity, one in found.items()}
    good = {identity: one for identity, one in rows.items() if not isinstance(one, InputError)}
    files = sorted({one.file for one in found.values()})
    reading, doubts = tell_reading(str(files[0] if len(files) == 1 else files[0].parent), good, sizes)
    return {identity: replace(one, reading=reading) for identity, one in found.items()}, doubts


def read_boxes(published: PublishedBoxes, height: int, width: int, cap: int) -> BoxProposals:
    """The best `cap` boxes (0: all) of an image of that size. Without scores they are best first; the box of rank k,
    from 0, of n then has score 1 - k / n. Raises `InputError` unless they are boxes in the image."""
    where, reading, rows = published.where, published.reading, _rows(published)
    wrong = np.flatnonzero(reading.misfits(rows, height, width))
    if len(wrong):
        values = ", ".join(f"{value:g}" for value in rows[wrong[0]])
        raise InputError(f"{where} is {width}x{height} pixels, but box {wrong[0] + 1} ({reading.order}) is {values}.")
    boxes = reading.boxes(rows)
    scores = 1 - np.arange(len(boxes)) / max(len(boxes), 1)
    if published.scores is not None:
        scores = as_numbers(published.file, "scores", published.scores).ravel()
    if len(scores) != len(boxes):
        raise InputError(f"{where} has {len(boxes)} boxes but {len(scores)} scores.")
    best = best_first(scores, cap)
    return BoxProposals(boxes[best].astype(np.float32), scores[best].astype(np.float32), height, width)


def _rows(published: PublishedBoxes) -> np.ndarray:
    """float64 (n, 4): the numbers in the file."""
    rows = published.boxes
    if not isinstance(rows, np.ndarray) or rows.size and (rows.ndim != 2 or rows.shape[1] != 4):
        raise InputError(f"{published.where} has no boxes of four numbers.")
    return as_numbers(published.file, "boxes", rows).astype(np.float64).reshape(-1, 4)
