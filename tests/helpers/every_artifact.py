"""One small artifact of every contract, and its content as the readers return it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from artifacts import SIZE, nothing, provenance, squares, write_images, write_labels, write_semantic
from proposal_sets import random_proposals, square_boxes, square_regions, write_proposals

from wsis_steps.report.columns import open_artifact
from wsis_steps.vision.contracts.artifact import Artifact, create
from wsis_steps.vision.contracts.features import Features, FeaturesWriter
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.label_sets import LabelSets, write_label_sets
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.contracts.points import write_points


def write_maps(path: Path) -> Path:
    """Activation maps of six images, of one class or two."""
    rng = np.random.default_rng(0)
    with create(path, Maps.schema, provenance(), {"cues": 3}) as file:
        writer = MapsWriter(file, (8, 9), np.float16)
        for k in range(6):
            classes = [0, 1][: 1 + k % 2]
            writer.add(f"image{k}", SIZE, SIZE, rng.random((len(classes), 8, 6 + k % 4)).astype(np.float16), classes)
        writer.close()
    return path


def write_features(path: Path) -> Path:
    """Features of four images at two sizes."""
    rng = np.random.default_rng(1)
    with create(path, Features.schema, provenance()) as file:
        writer = FeaturesWriter(file, 3, (5, 6))
        for k in range(4):
            maps = [rng.normal(size=(3, 2 + k % 3, side)).astype(np.float16) for side in (6, 2)]
            writer.add(f"image{k}", SIZE, SIZE, maps)
        writer.close()
    return path


def write_cues(path: Path) -> Path:
    """Points of six images, some without any."""
    rows = [np.array([[3 + k, 5, k % 2, 0.5]] * (k % 3)).reshape(-1, 4) for k in range(6)]
    write_points(path, provenance(), [f"image{k}" for k in range(6)], [SIZE] * 6, [SIZE] * 6, rows, {"cues": 6})
    return path


def write_sets(path: Path) -> Path:
    """Three label sets of six images, one of them empty."""
    found = [nothing() if k == 2 else squares(k) for k in range(6)]
    sets = [np.arange(3)[None].repeat(len(one), 0) % 2 == k % 2 for k, one in enumerate(found)]
    write_label_sets(path, provenance(), [f"image{k}" for k in range(6)], [SIZE] * 6, [SIZE] * 6, found, sets)
    return path


def write_masks(path: Path) -> Path:
    """Proposals that are masks, of four images."""
    rng = np.random.default_rng(2)
    found = {f"image{k}": (random_proposals(rng, "masks", 4, SIZE, SIZE), SIZE, SIZE) for k in range(4)}
    return write_proposals(path, "masks", found)


WRITERS: dict[str, Callable[[Path], Path]] = {
    "images": write_images,
    "instances": write_labels,
    "label_sets": write_sets,
    "semantic": write_semantic,
    "maps": write_maps,
    "features": write_features,
    "points": write_cues,
    "boxes": lambda path: square_boxes(path, 4),
    "regions": lambda path: square_regions(path, 4),
    "masks": write_masks,
}


def read_everything(path: Path) -> object:
    """Everything that the reader of a file's contract returns, as text."""
    artifact = open_artifact(path)
    return repr([_plain(value) for value in _parts(artifact)])


def _parts(artifact: Artifact) -> list:
    found = [artifact.attributes, artifact.provenance, artifact.counts, artifact.ids]
    found += [artifact.heights, artifact.widths, artifact.first]
    if isinstance(artifact, Images):
        found += [artifact.tags, artifact.points, artifact.boxes, artifact.splits, artifact.picture_range]
        return found + [artifact.encoded(i) for i in range(len(artifact))]
    if isinstance(artifact, LabelSets):
        found += [artifact.sets]
    return found + [artifact.read(i) for i in range(len(artifact))]


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tolist()
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return {name: _plain(one) for name, one in vars(value).items()} if hasattr(value, "__dict__") else value
