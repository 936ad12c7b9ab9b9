"""BSDS500 in its published layout: photographs, and the segments that several people drew.

    images/<split>/<id>.jpg
    groundTruth/<split>/<id>.mat   a cell of annotators, each with a label map Segmentation and a map Boundaries

Arbelaez et al., Contour Detection and Hierarchical Image Segmentation (PAMI 2011).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import loadmat

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.ordinary import check_ordinary
from wsis_steps.engine.problems import Problems
from wsis_steps.proposals.importers.mat_files import DAMAGE

MOST_SIDES = 1  # image sides that an object may touch; segments that touch more are ground, sky or wall
_NO_PICTURE = (OSError, SyntaxError, ValueError, TypeError)


@dataclass(frozen=True)
class AnnotatedImage:
    """A photograph and its annotators' drawings.

    picture: uint8 RGB (h, w, 3); segmentations: uint16 (annotators, h, w), labels from 1;
    boundaries: uint8 (annotators, h, w), 1 on the thin lines between segments.
    """

    id: str
    picture: np.ndarray
    segmentations: np.ndarray
    boundaries: np.ndarray


def list_images(root: Path, split: str) -> list[str]:
    """Ids of a split (`train`, `val` or `test`) in alphabetical order; InputError if there are none."""
    folder = root / "images" / split
    ids = sorted(path.stem for path in folder.glob("*.jpg"))
    if not ids:
        raise InputError(
            f"{folder} holds no .jpg files; the folder of BSDS500 has images/{split} and groundTruth/{split} "
            "(BSDS500/data in its archive)."
        )
    return ids


def read_image(root: Path, split: str, identity: str) -> AnnotatedImage:
    """Reads a photograph and its drawings; InputError if a file is missing, damaged or of another size."""
    picture = _read_picture(root / "images" / split / f"{identity}.jpg")
    path = root / "groundTruth" / split / f"{identity}.mat"
    segmentations, boundaries = _read_drawings(path)
    if segmentations.shape[1:] != picture.shape[:2]:
        raise InputError(f"{path} is {_size(segmentations[0])}, but the picture is {_size(picture)}.")
    return AnnotatedImage(identity, picture, segmentations, boundaries)


def read_split(root: Path, split: str) -> list[AnnotatedImage]:
    """All images of a split, about 3 MB each; a single InputError lists all unreadable files."""
    images, problems = [], Problems()
    for identity in list_images(root, split):
        with problems.catch():
            images.append(read_image(root, split, identity))
    problems.raise_any(str(root))
    return images


def object_segments(segmentations: np.ndarray, smallest: float) -> np.ndarray:
    """The segments of all annotators that may be objects: uint8 masks (m, h, w).

    Such a segment covers at least the share `smallest` of the image and touches at most one of its four sides. Segments
    that several annotators drew alike are repeated. segmentations: uint16 (annotators, h, w).
    """
    found = [np.zeros((0, *segmentations.shape[1:]), np.uint8)]
    for labels in segmentations:
        areas = np.bincount(labels.ravel())
        borders = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
        sides = sum(np.bincount(np.unique(border), minlength=len(areas)) for border in borders)
        wanted = np.flatnonzero((areas >= smallest * labels.size) & (sides <= MOST_SIDES))
        found.append((labels == wanted[:, None, None]).astype(np.uint8))
    return np.concatenate(found)


def _read_picture(path: Path) -> np.ndarray:
    check_ordinary(path)
    try:
        with Image.open(path) as picture:
            return np.array(picture.convert("RGB"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except _NO_PICTURE as error:
        raise InputError(f"{path} is damaged or not an image: {error}.") from None


def _read_drawings(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Segmentations uint16 and boundaries uint8 of all annotators, each (annotators, h, w)."""
    if not path.is_file():
        raise InputError(f"{path} does not exist.")
    try:
        cell = loadmat(path, struct_as_record=False)["groundTruth"]
        drawn = [one[0, 0] for one in cell.ravel()]
        segmentations = np.stack([np.asarray(one.Segmentation, dtype=np.uint16) for one in drawn])
        boundaries = np.stack([np.asarray(one.Boundaries) > 0 for one in drawn]).astype(np.uint8)
    except DAMAGE as error:
        raise InputError(f"{path} is damaged or not a ground-truth file of BSDS500: {error}.") from None
    if segmentations.ndim != 3 or segmentations.shape != boundaries.shape:
        raise InputError(f"{path}: Segmentation and Boundaries are not maps of equal size.")
    return segmentations, boundaries


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
