"""Whether the inputs of a step belong together: of the same classes, of the same images."""

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
    """Raises InputError where one of the others has other classes, or another order of them, than the first."""
    for other in others:
        if other.class_names != first.class_names:
            raise InputError(
                f"{other.path} has the classes {', '.join(other.class_names)}, but {first.path} has "
                f"{', '.join(first.class_names)}; one of the two belongs to other data."
            )


def places(images: Artifact, other: Artifact) -> np.ndarray:
    """Where each image of `other` lies in `images`, int64 (n,).

    Raises InputError that names the first image that is not there or is of another size there.
    """
    missing = next((identity for identity in other.ids if identity not in images.index), None)
    if missing is not None:
        raise InputError(f"{other.path} holds image '{missing}', which {images.path} does not; they are of other data.")
    found = np.array([images.index[identity] for identity in other.ids], dtype=np.int64)
    differing = np.flatnonzero((images.heights[found] != other.heights) | (images.widths[found] != other.widths))
    if len(differing):
        i, own = differing[0], found[differing[0]]
        raise InputError(
            f"{other.path} holds image '{other.ids[i]}' as {other.widths[i]}x{other.heights[i]} pixels, "
            f"{images.path} as {images.widths[own]}x{images.heights[own]}; they are of other data."
        )
    return found
