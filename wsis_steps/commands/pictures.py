"""Finding the pictures of a result, and writing pictures to files."""

from pathlib import Path

import cv2
import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.writers import write_whole


def find_images(result: Path) -> Path:
    """The images.h5 of the data set that a file of results/ belongs to; InputError where it is not found."""
    for folder in result.resolve().parents:
        for candidate in (folder / "images.h5", folder / "shared/data/images.h5"):
            if candidate.is_file():
                return candidate
    raise InputError(f"The images.h5 that {result} belongs to is not above it; name it with --images.")


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Writes a gray (h, w) or RGB (h, w, 3) picture and makes its folder; InputError where that cannot be done."""
    try:
        written, data = cv2.imencode(path.suffix, picture if picture.ndim == 2 else picture[..., ::-1])
    except cv2.error:
        raise InputError(f"{path} has no suffix of a picture; take .png or .jpg.") from None
    if not written:
        raise InputError(f"{path} cannot be written as {path.suffix}.")
    write_whole(path, data.tobytes())
