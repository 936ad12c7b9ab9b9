"""LabelMe's JSON files, one beside each picture: reading what people drew."""

import base64
import json
from pathlib import Path

import cv2
import numpy as np

from wsis_steps.data.drawings import Drawing, join_masks, not_a, polygon_mask, what_is_wrong
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.problems import Problems
from wsis_steps.vision.masks import encode

SHAPES = ("polygon", "rectangle", "circle", "point", "mask")


def read_labelme(folder: Path, problems: Problems) -> list[Drawing]:
    """The JSON files of a folder and of its subfolders, in order; what cannot be read is noted.

    Shapes of one class with the same group number are one instance; flags that are set are tags. Raises InputError
    where there is no such file.
    """
    paths = sorted(folder.rglob("*.json"))
    if not paths:
        raise InputError(f"{folder} holds no JSON file of LabelMe.")
    drawings = []
    for path in paths:
        with problems.catch():
            drawings.append(_read(path, folder))
    return drawings


def _read(path: Path, folder: Path) -> Drawing:
    try:
        content = json.loads(path.read_bytes())
        height, width = int(content["imageHeight"]), int(content["imageWidth"])
        name = str(content["imagePath"]).replace("\\", "/").rsplit("/", 1)[-1]
        shapes, flags = list(content["shapes"]), dict(content.get("flags") or {})
        image = (path.relative_to(folder).parent / name).as_posix()
    except (AttributeError, OSError, ValueError, KeyError, TypeError) as error:
        raise not_a(path, "a file of LabelMe", what_is_wrong(error)) from None
    points, boxes, masks = [], [], {}
    for number, shape in enumerate(shapes, 1):
        try:
            label, kind, corners = shape["label"], shape.get("shape_type", "polygon"), _corners(shape)
            if kind == "point":
                points.append((*(corners[0] - 0.5).tolist(), label))
            elif kind == "rectangle":
                boxes.append((*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist(), label))
            else:
                group = shape.get("group_id")
                key = (label, f"shape {number}" if group is None else group)
                masks.setdefault(key, []).append(_mask(kind, shape, corners, height, width))
        except (AttributeError, KeyError, TypeError, ValueError, IndexError, cv2.error) as error:
            raise InputError(f"{path}: shape {number}: {what_is_wrong(error)}.") from None
    joined = tuple((join_masks(parts), label, False) for (label, _), parts in masks.items())
    tags = tuple(flag for flag, value in flags.items() if value is True)
    return Drawing(str(path), image, height, width, tags, tuple(points), tuple(boxes), joined)


def _corners(shape: dict) -> np.ndarray:
    """float64 (n, 2): x, y."""
    corners = np.array(shape["points"], float)
    if corners.ndim != 2 or corners.shape[1] != 2 or not np.isfinite(corners).all():
        raise ValueError("its points are not pairs of numbers")
    return corners


def _mask(kind: str, shape: dict, corners: np.ndarray, height: int, width: int) -> dict:
    """RLE of one shape that covers pixels."""
    if kind == "polygon":
        return polygon_mask(corners, height, width)
    if kind == "circle":
        middle, edge = corners
        ys, xs = np.mgrid[:height, :width] + 0.5
        inside = np.hypot(xs - middle[0], ys - middle[1]) <= np.hypot(*(edge - middle))
        return encode(inside[None])[0]
    if kind == "mask":
        found = cv2.imdecode(np.frombuffer(base64.b64decode(shape["mask"]), np.uint8), cv2.IMREAD_GRAYSCALE)
        if found is None:
            raise ValueError("its mask is no picture")
        left, top = np.rint(corners[0]).astype(int)
        full = np.zeros((height, width), np.uint8)
        place = full[top : top + found.shape[0], left : left + found.shape[1]]
        if min(left, top) < 0 or place.shape != found.shape:
            raise ValueError(f"its mask leaves the picture of {width}x{height}")
        place[:] = found > 0
        return encode(full[None])[0]
    raise ValueError(f"a {kind} is not read; valid: {', '.join(SHAPES)}")
