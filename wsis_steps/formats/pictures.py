"""Loads images of any kind as uint8 RGB, the way a person would see them.

EXIF rotation is applied; transparency is composited on white; 16-bit samples keep their high byte, or are stretched
from a range; palettes, gray, 1-bit, CMYK and Adobe's inverted CMYK become RGB. A file that does not decode to its end
raises `InputError` naming the file, because half an image would be trained on silently.
"""

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.deep_samples import (
    FULL,
    Range,
    color_samples,
    gray_samples,
    is_deep,
    is_gray,
    refuse_planes,
    to_bytes,
)
from wsis_steps.formats.files import read_bytes
from wsis_steps.vision.contracts.artifact import MOST_PIXELS

SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp"})
_PIXEL = 14  # bytes of memory per pixel during decoding, measured with RGB
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit, whose message does not give the size
_ORIENTATION = 0x0112  # the EXIF tag
_STRIP = 256  # rows
# The transform that makes the image upright, for each EXIF orientation; 1 is upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow's decoders raise for broken files, found by cutting and flipping bytes of every format above.
BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)


class TooLarge(ValueError):
    """An image of more than MOST_PIXELS."""


def open_picture(source: Path | io.BytesIO) -> Image.Image:
    """`Image.open`, which reads only the header; TooLarge if decoding would take too much memory."""
    picture = Image.open(source)
    width, height = picture.size
    if width * height > MOST_PIXELS:
        picture.close()
        raise TooLarge(
            f"is {width}x{height} pixels; decoding them takes about {width * height * _PIXEL / 1e9:.1f} GB of memory, "
            f"and at most {MOST_PIXELS / 1e6:.0f} million pixels are read: shrink it, or cut it into pieces"
        )
    return picture


def _open(source: Path | io.BytesIO, path: Path) -> Image.Image:
    try:
        return open_picture(source)
    except TooLarge as error:
        raise InputError(f"{path} {error}.") from None
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except UnidentifiedImageError:
        raise InputError(f"{path} is not a picture in a known format (jpg, png, bmp, tif, webp).") from None
    except BROKEN as error:
        raise InputError(f"{path} cannot be read as a picture: {error}.") from None


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation 1..8; 1 if there is none or the EXIF block is broken, which viewers ignore too."""
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except BROKEN:
        return 1
    return value if value in _TURNS else 1


def _load(picture: Image.Image, path: Path) -> bool:
    """Decodes the image and returns whether it has more than 8 bits."""
    deep = is_deep(picture)
    if deep:
        refuse_planes(picture, path)
    picture.load()
    return deep


def _deep_to_eight(picture: Image.Image, content: bytes, path: Path, ends: Range) -> Image.Image:
    """A decoded image of more than 8 bits, converted to 8 bits."""
    if is_gray(picture):
        return Image.fromarray(to_bytes(gray_samples(picture, path), ends))
    if ends == FULL:  # Pillow already took the high bytes
        return picture
    samples = color_samples(picture, content, path)
    color, alpha = to_bytes(samples[..., :3], ends), to_bytes(samples[..., 3:], FULL)
    return Image.fromarray(np.concatenate([color, alpha], axis=2))


def _to_rgb(picture: Image.Image) -> Image.Image:
    """The decoded image in mode RGB."""
    if picture.has_transparency_data:
        # Alpha on white, rounded to the nearest level; in strips, since layers of the whole size take much memory.
        canvas, (width, height) = Image.new("RGB", picture.size), picture.size
        for top in range(0, height, _STRIP):
            layer = picture.crop((0, top, width, min(top + _STRIP, height))).convert("RGBA")
            white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
            canvas.paste(Image.alpha_composite(white, layer).convert("RGB"), (0, top))
        return canvas
    return picture.convert("RGB")


def _decode(picture: Image.Image, content: bytes, path: Path, ends: Range) -> np.ndarray:
    try:
        deep = _load(picture, path)
        turn = _TURNS.get(_orientation(picture))
        rgb = _to_rgb(_deep_to_eight(picture, content, path, ends) if deep else picture)
        rgb = rgb if turn is None else rgb.transpose(turn)
    except BROKEN as error:
        raise InputError(f"{path} is cut short or damaged: {error}.") from None
    return np.array(rgb)


def read_deep(path: Path) -> np.ndarray | None:
    """uint16 (h, w) or RGB (h, w, 3) of an image of more than 8 bits, possibly not upright; None for other images.
    Raises as `load_image`."""
    content = read_bytes(path)
    with _open(io.BytesIO(content), path) as picture:
        try:
            if not _load(picture, path):
                return None
            return gray_samples(picture, path) if is_gray(picture) else color_samples(picture, content, path)[..., :3]
        except BROKEN as error:
            raise InputError(f"{path} is cut short or damaged: {error}.") from None


def load_image(path: Path | str, ends: Range = FULL) -> np.ndarray:
    """The upright image, uint8 RGB (h, w, 3).

    ends: samples of images of more than 8 bits that become black and white.

    Raises `InputError` for a missing, unknown, truncated or damaged file and for float or 32-bit samples.
    """
    path = Path(path)
    content = read_bytes(path)  # opened by name, gray TIFFs with a rotation are memory-mapped wrongly by Pillow
    with _open(io.BytesIO(content), path) as picture:
        return _decode(picture, content, path, ends)


@dataclass(frozen=True)
class Header:
    """An image's header: height and width of the upright image in pixels, and the EXIF orientation (1: upright)."""

    height: int
    width: int
    orientation: int


def picture_header(path: Path | str) -> Header:
    """The header of an image, read without decoding (about 0.1 ms)."""
    path = Path(path)
    with _open(path, path) as picture:
        (width, height), orientation = picture.size, _orientation(picture)
        turned = orientation >= 5 and picture.format != "TIFF"  # for TIFF, Pillow's size is upright
        return Header(width, height, orientation) if turned else Header(height, width, orientation)


def picture_size(path: Path | str) -> tuple[int, int]:
    """Height and width of the upright image in pixels."""
    header = picture_header(path)
    return header.height, header.width


def encoded(path: Path | str, ends: Range = FULL) -> tuple[bytes, int, int]:
    """The bytes of an image file that every decoder reads the same way, and its height and width in pixels.

    For an upright 8-bit RGB or gray JPEG, the original bytes (readers decode gray to RGB); else a lossless PNG of
    `load_image`, which takes `ends`. The image is decoded to its end in both cases, so a truncated file raises
    `InputError` here and not during training.
    """
    path = Path(path)
    content = read_bytes(path)
    with _open(io.BytesIO(content), path) as picture:
        plain = picture.format in ("JPEG", "MPO") and picture.mode in ("RGB", "L") and _orientation(picture) == 1
        rgb = _decode(picture, content, path, ends)
    if not plain:
        content = cv2.imencode(".png", rgb[..., ::-1])[1].tobytes()
    return content, rgb.shape[0], rgb.shape[1]
