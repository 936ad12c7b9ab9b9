"""Checks that the inputs of a step belong together: same classes, same images."""

from pathlib import Path
from typing import Protocol

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.contracts.artifact import Artifact


class Classed(Protocol):
    """An artifact or a trained model."""

    path: Path
    class_names: tuple[str, ...]


def check_same_classes(first: Classed, *others: Classed) -> None:
    """Raises InputError if one of the others has other classes than the first, or the same in another order."""
    for other in others:
        if other.class_names != first.class_names:
            raise InputError(
                f"{other.path} has the classes {', '.join(other.class_names)}, but {first.path} has "
                f"{', '.join(first.class_names)}; one of the two belongs to another data set."
            )


def places(images: Artifact, other: Artifact) -> np.ndarray:
    """Index of each image of `other` in `images`, int64 (n,).

    Raises InputError that names the first image that `images` lacks or has in another size.
    """
    missing = next((identity for identity in other.ids if identity not in images.index), None)
    if missing is not None:
        raise InputError(f"{other.path} holds image '{missing}', which {images.path} does not; one is of other data.")
    found = np.array([images.index[identity] for identity in other.ids], dtype=np.int64)
    differing = np.flatnonzero((images.heights[found] != other.heights) | (images.widths[found] != other.widths))
    if len(differing):
        i, own = differing[0], found[differing[0]]
        raise InputError(
            f"{other.path} holds image '{other.ids[i]}' as {other.widths[i]}x{other.heights[i]} pixels, "
            f"{images.path} as {images.widths[own]}x{images.heights[own]}; one of the two belongs to another data set."
        )
    return found
