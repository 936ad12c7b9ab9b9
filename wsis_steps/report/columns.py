"""Turns the results of runs into columns of a gallery; what a file shows depends on its contract, not its name."""

import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from wsis_steps.drawing.raster import heatmap
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.hdf5 import open_hdf5, read_attributes
from wsis_steps.report.gallery import Column
from wsis_steps.report.pictures import Overlay, instances_overlay, points_overlay, semantic_overlay
from wsis_steps.vision.contracts.agreement import check_same_classes, places
from wsis_steps.vision.contracts.artifact import Artifact
from wsis_steps.vision.contracts.features import Features
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.label_sets import LabelSets
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.contracts.points import Points
from wsis_steps.vision.contracts.proposals import Proposals

READERS = {reader.schema: reader for reader in (Images, Points, Maps, Features, Instances, LabelSets, Proposals)}
Part = tuple[str, Artifact]


def open_artifact(path: Path) -> Artifact:
    """Opens a file with the reader of its contract; InputError if it is missing, locked, forbidden, broken or of no
    known contract."""
    if os.path.exists(path) and path.suffix != ".h5":
        raise InputError(f"{path} is not an .h5 result file.")
    with open_hdf5(path) as file:
        schema = str(read_attributes(file).get("schema", ""))
    if schema and schema not in READERS:
        raise InputError(f"{path} holds '{schema}', which cannot be shown; only these can: {', '.join(READERS)}.")
    return READERS.get(schema, Instances)(path)


def read_truth(paths: Sequence[Path], images: Images) -> dict[str, Instances]:
    """The true instances by the split of their images; splits without ground truth are left out."""
    opened = [truth for truth in map(Instances, paths) if len(truth)]
    return {split_of(truth, images): truth for truth in opened}


def split_of(artifact: Artifact, images: Images) -> str:
    """The split of an artifact's images; InputError unless they and the classes are those of `images`."""
    check_same_classes(images, artifact)
    return str(images.splits[places(images, artifact)[0]])


class Drawing:
    """Draws the parts of one column: an artifact, or activation maps with the cues found in them."""

    def __init__(self, parts: Sequence[Part], images: Images, colors: Sequence[str], scored: bool) -> None:
        self.parts, self.images, self.colors, self.scored = [part for _, part in parts], images, colors, scored

    def __call__(self, identity: str, picture: np.ndarray) -> Overlay | None:
        """The overlay for an image; None if no part contains it."""
        drawn = [self._draw(part, identity, picture) for part in self.parts if identity in part.index]
        if not drawn:
            return None
        return Overlay(
            "".join(overlay.svg for overlay in drawn),
            drawn[-1].found,
            next((overlay.background for overlay in drawn if overlay.background is not None), None),
        )

    def _draw(self, part: Artifact, identity: str, picture: np.ndarray) -> Overlay:
        i, size, names = part.index[identity], picture.shape[:2], self.images.class_names
        if isinstance(part, Instances):
            return instances_overlay(part.read(i), *size, names, self.colors, self.scored)
        if isinstance(part, Images | Points):
            points = part.points[i] if isinstance(part, Images) else part.read(i)
            return points_overlay(points, *size, names, self.colors)
        if _is_semantic(part):
            return semantic_overlay(part.semantic(i), names, self.colors)
        maps, categories = part.read(i)
        found = tuple((int(category), float(map_.max())) for category, map_ in zip(categories, maps, strict=True))
        return Overlay("", found, heatmap(picture, maps, categories, self.colors))


def _is_semantic(part: Artifact) -> bool:
    return isinstance(part, Maps) and part.dataset("maps").dtype == np.uint8


def _together(rows: Sequence[tuple[str, Path]], artifacts: dict[Path, Artifact]) -> list[tuple[tuple[str, Path], ...]]:
    """The rows of one run, in order; its cues and points are drawn on its activation maps, if any."""
    cues = [row for row in rows if isinstance(artifacts[row[1]], Images | Points)]
    found: list[tuple[tuple[str, Path], ...]] = []
    for row in rows:
        shown = artifacts[row[1]]
        if isinstance(shown, Maps) and not _is_semantic(shown):
            found.append((row, *cues))
            cues = []
        elif not isinstance(shown, Images | Points):
            found.append((row,))
    return [*((row,) for row in cues), *found]


def columns_by_split(
    rows: Sequence[tuple[str, str, Path]],
    runs: Sequence[str],
    artifacts: dict[Path, Artifact],
    images: Images,
    truth: dict[str, Instances],
    colors: Sequence[str],
) -> dict[str, list[Column]]:
    """Columns for the training and for the evaluation images.

    Args:
        rows: run, stage and file, those of a run together and in the order in which they were made. A file named by
            several runs is one column, which belongs to all of them.
        runs: all runs; a run's place among them determines its color.
        artifacts: the opened files of `rows`.
        truth: true instances by split; if there are any, their column comes first.
        colors: one per class.

    Returns:
        `train` and `val` to columns. Only instances of the evaluation images are scored.
    """
    found: dict[tuple[tuple[str, Path], ...], list[tuple[int, str]]] = {}
    for run, group in groupby(rows, key=lambda row: row[0]):
        for key in _together([(stage, path) for _, stage, path in group], artifacts):
            found.setdefault(key, []).append((runs.index(run), run))
    columns: dict[str, list[Column]] = {"train": [], "val": []}
    for split, instances in truth.items():
        if len(instances):
            columns[split].append(Column((), "truth", Drawing([("truth", instances)], images, colors, False)))
    for key, owners in found.items():
        parts = [(stage, artifacts[path]) for stage, path in key]
        first = parts[0][1]
        # Points of the data set are cues of the training images, though their file holds all images.
        split = "train" if isinstance(first, Images) else split_of(first, images)
        caption = " with ".join(stage for stage, _ in parts)
        scored = split == "val" and isinstance(first, Instances)
        columns[split].append(Column(tuple(owners), caption, Drawing(parts, images, colors, scored), scored))
    return columns
