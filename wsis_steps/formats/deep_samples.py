"""Images of more than 8 bits per channel: reads their samples and maps a range of them to 0..255.

Pillow keeps the 16 bits of gray images but reduces color to bytes. Color samples are therefore read with OpenCV, and
their high bytes must equal Pillow's.
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from wsis_steps.engine.errors import InputError

Range = tuple[int, int]
FULL: Range = (0, 65535)
_BITS, _PLANES = 258, 284  # TIFF tags: bits of each channel; 2 if channels are stored separately
_COLOR = ("RGB", "RGBA")


def is_gray(picture: Image.Image) -> bool:
    """Whether a deep picture has one channel."""
    return picture.mode in ("F", "I") or picture.mode.startswith("I;16")


def is_deep(picture: Image.Image) -> bool:
    """Whether an opened, not yet decoded image has more than 8 bits per channel."""
    if is_gray(picture):
        return True
    if picture.format == "TIFF":
        return max(picture.tag_v2.get(_BITS, (1,))) > 8
    return picture.format == "PNG" and any(";16" in str(tile.args) for tile in picture.tile)


def refuse_planes(picture: Image.Image, path: Path) -> None:
    """Raises InputError if the channels of a deep image are stored separately, which decoders misread."""
    if picture.format == "TIFF" and picture.tag_v2.get(_PLANES) == 2 and len(picture.tag_v2.get(_BITS, ())) > 1:
        raise InputError(f"{path} keeps its channels of more than 8 bits apart (planar); save it with them together.")


def gray_samples(picture: Image.Image, path: Path) -> np.ndarray:
    """uint16 (h, w) of a decoded image of one channel. Raises InputError if its samples are outside 0..65535."""
    samples = np.asarray(picture)
    if samples.dtype.kind == "f" or samples.min() < 0 or samples.max() > FULL[1]:
        raise InputError(f"{path} has {picture.mode} samples outside 0..65535; save it with 8 or 16 bits a channel.")
    return samples.astype(np.uint16)


def color_samples(picture: Image.Image, content: bytes, path: Path) -> np.ndarray:
    """uint16 RGB or RGBA (h, w, 3 or 4) from the bytes of a file, in the orientation of the decoded image.

    Raises InputError if the two decoders disagree, for example for CMYK or colors premultiplied by alpha.
    """
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if picture.mode in _COLOR else None
    high = np.asarray(picture)
    if found is not None and found.dtype == np.uint16 and found.ndim == 3 and found.shape[2] >= high.shape[2]:
        samples = found[..., [2, 1, 0, 3][: high.shape[2]]]
        if samples.shape == high.shape and np.array_equal(samples >> 8, high):
            return samples
    raise InputError(
        f"{path} has {picture.mode} samples of more than 8 bits of a kind that cannot be stretched; save it as RGB or "
        "gray with 16 bits, or set data_import_dataset.range: full."
    )


def to_bytes(samples: np.ndarray, ends: Range) -> np.ndarray:
    """uint8 of uint16 samples: the lowest and highest of `ends` become 0 and 255, samples beyond are clipped. For the
    full range this is the high byte."""
    low, high = ends
    steps = np.arange(FULL[1] + 1).clip(low, high) - low
    return (steps * 256 // (high - low + 1)).astype(np.uint8)[samples]
