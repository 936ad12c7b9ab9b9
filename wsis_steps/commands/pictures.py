"""Finds the images.h5 of a result, and writes images to files."""

from pathlib import Path

import cv2
import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.writers import write_whole


def find_images(result: Path) -> Path:
    """The images.h5 of the data set that a file of results/ belongs to. Raises InputError if it is not found."""
    for folder in result.resolve().parents:
        for candidate in (folder / "images.h5", folder / "shared/data/images.h5"):
            if candidate.is_file():
                return candidate
    raise InputError(f"No images.h5 was found in the folders above {result}; give its path with --images.")


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Writes a gray (h, w) or RGB (h, w, 3) image and creates its folder. Raises InputError if that fails."""
    try:
        written, data = cv2.imencode(path.suffix, picture if picture.ndim == 2 else picture[..., ::-1])
    except cv2.error:
        raise InputError(f"{path} does not have an image suffix; use .png or .jpg.") from None
    if not written:
        raise InputError(f"{path} cannot be written as {path.suffix}.")
    write_whole(path, data.tobytes())
