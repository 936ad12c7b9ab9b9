"""What people draw on images in other tools, whatever the tool: the contract of the readers of their formats."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from pycocotools import mask as coco

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.masks import encode_segmentation


@dataclass(frozen=True)
class Drawing:
    """One image as a file of another tool has it.

    where: file and place in it, for messages; image: its name there; height and width in pixels; tags: class names;
    points: x, y (the middle of the first pixel is 0, 0) and class; boxes: x1, y1, x2, y2 (x2 and y2 one past the last
    pixel) and class; masks: COCO RLE, class and whether it is a crowd; split: train, val or nothing. Raises InputError
    where the name of a class is no text.
    """

    where: str
    image: str
    height: int
    width: int
    tags: tuple[str, ...] = ()
    points: tuple[tuple[float, float, str], ...] = ()
    boxes: tuple[tuple[float, float, float, float, str], ...] = ()
    masks: tuple[tuple[dict, str, bool], ...] = ()
    split: str = ""

    def __post_init__(self) -> None:
        names = [*self.tags, *(row[-1] for row in (*self.points, *self.boxes)), *(name for _, name, _ in self.masks)]
        if wrong := [name for name in names if not isinstance(name, str)]:
            raise InputError(f"{self.where}: {wrong[0]!r} is no name of a class.")

    @property
    def classes(self) -> set[str]:
        """All classes that occur on the image."""
        return {*self.tags, *(row[-1] for row in (*self.points, *self.boxes)), *(name for _, name, _ in self.masks)}


def identity(name: str) -> str:
    """The id of an image by the path of its picture: a/0001.jpg has the id a_0001. Accents are part of their letters,
    though the names of files that come from a Mac have them apart."""
    name = unicodedata.normalize("NFC", name)
    return PurePosixPath(name).with_suffix("").as_posix().replace("/", "_") if name else ""


def candidates(name: str) -> list[str]:
    """Ids that the name of an image in another tool may mean: of its path, then of shorter ends of it, then without
    the eight signs and the hyphen that Label Studio puts before the name of an upload."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    ends = [identity("/".join(parts[k:])) for k in range(len(parts)) if parts[k] != "/"]
    upload = re.fullmatch("[0-9a-f]{8}-(.+)", ends[-1]) if ends else None
    return ends + ([upload.group(1)] if upload else [])


def polygon_mask(corners: np.ndarray, height: int, width: int) -> dict:
    """RLE of a polygon (n, 2) of x, y from the top left corner of the picture, as COCO fills it.

    Raises ValueError where it has fewer than three corners.
    """
    if len(corners) < 3:
        raise ValueError(f"a polygon has {len(corners)} corners")
    return encode_segmentation([np.asarray(corners, np.float64).reshape(-1).tolist()], height, width)


def join_masks(parts: list[dict]) -> dict:
    """RLE of all pixels that one of the parts covers."""
    return parts[0] if len(parts) == 1 else coco.merge(parts)


def box_corners(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    """x1, y1, x2, y2 of a box given by its top left corner and its size."""
    return x, y, x + width, y + height


def what_is_wrong(error: Exception) -> str:
    """What an error while reading a mark says, in words."""
    return f"there is no {error}" if isinstance(error, KeyError) else str(error)


def not_a(path: Path, kind: str, error: object) -> InputError:
    """The error for a file that is not of its kind."""
    return InputError(f"{path} is not {kind}: {error}.")
