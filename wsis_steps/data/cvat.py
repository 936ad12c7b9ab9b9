"""CVAT's XML (CVAT for images 1.1): reading what people exported.

A mask there is a box (left, top, width, height) and the lengths of its runs row by row, the first of zeros.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from wsis_steps.data.drawings import Drawing, join_masks, not_a, polygon_mask, what_is_wrong
from wsis_steps.data.files import read_bytes
from wsis_steps.data.records import SPLITS
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.problems import Problems
from wsis_steps.vision.masks import encode


def from_row_runs(runs: list[int], height: int, width: int) -> np.ndarray:
    """The mask uint8 (height, width) of such runs; ValueError where they do not fill it."""
    if min(runs) < 0 or sum(runs) != height * width:
        raise ValueError(f"its runs hold {sum(runs)} pixels, its box {height * width}")
    values = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    return values.reshape(height, width)


def read_cvat(path: Path, problems: Problems) -> list[Drawing]:
    """The images of an export in the format `CVAT for images 1.1`; what cannot be read is noted.

    An image's subset, where it is train or val (or Train, Validation), is its split. Polygons and masks of one class in
    one group are one instance. Raises InputError where the file is none.
    """
    try:
        root = ElementTree.fromstring(read_bytes(path))
    except (ElementTree.ParseError, ValueError) as error:
        raise not_a(path, "an XML file", error) from None
    images = root.findall("image")
    if root.tag != "annotations" or not images:
        raise not_a(path, "an export of CVAT", "it has no <image>; choose the format 'CVAT for images 1.1'")
    drawings = []
    for element in images:
        with problems.catch():
            drawings.append(_drawing(path, element))
    return drawings


def _drawing(path: Path, element: ElementTree.Element) -> Drawing:
    name = element.get("name", "")
    where, kind = f"{path}: image '{name}'", "image"
    marks: dict[str, list] = {"tags": [], "points": [], "boxes": []}
    masks: dict[tuple, list[dict]] = {}
    try:
        height, width = int(element.attrib["height"]), int(element.attrib["width"])
        for number, shape in enumerate(element):
            kind = shape.tag
            if kind in ("polygon", "mask"):
                rle = (_polygon if kind == "polygon" else _mask)(shape, height, width)
                group = int(shape.get("group_id") or 0)  # 0: in none
                masks.setdefault((shape.attrib["label"], group or f"shape {number}"), []).append(rle)
                continue
            for place, mark in _marks(shape):
                marks[place].append(mark)
    except (KeyError, ValueError, OverflowError) as error:
        raise InputError(f"{where}, <{kind}>: {what_is_wrong(error)}.") from None
    joined = tuple((join_masks(parts), label, False) for (label, _), parts in masks.items())
    subset = element.get("subset", "").lower().replace("validation", "val")
    split = subset if subset in SPLITS else ""
    weak = {place: tuple(rows) for place, rows in marks.items()}
    return Drawing(where, name, height, width, **weak, masks=joined, split=split)


def _marks(shape: ElementTree.Element) -> Iterator[tuple[str, object]]:
    """Kind and mark of one shape that is no mask; several for <points>."""
    name = shape.attrib["label"]
    if shape.tag == "tag":
        yield "tags", name
    elif shape.tag == "box":
        if float(shape.get("rotation", 0)):
            raise ValueError("a rotated rectangle is no box")
        yield "boxes", (*(float(shape.attrib[side]) for side in ("xtl", "ytl", "xbr", "ybr")), name)
    elif shape.tag == "points":
        yield from (("points", (x - 0.5, y - 0.5, name)) for x, y in _corners(shape).tolist())
    else:
        raise ValueError("such a shape is not read; valid: tag, points, box, polygon, mask")


def _corners(shape: ElementTree.Element) -> np.ndarray:
    return np.array([pair.split(",") for pair in shape.attrib["points"].split(";")], float)


def _polygon(shape: ElementTree.Element, height: int, width: int) -> dict:
    return polygon_mask(_corners(shape), height, width)


def _mask(shape: ElementTree.Element, height: int, width: int) -> dict:
    left, top, across, down = (round(float(shape.attrib[key])) for key in ("left", "top", "width", "height"))
    if left < 0 or top < 0 or left + across > width or top + down > height:
        raise ValueError(f"its box leaves the picture of {width}x{height}")
    mask = np.zeros((height, width), np.uint8)
    runs = [int(run) for run in shape.attrib["rle"].split(",")]
    mask[top : top + down, left : left + across] = from_row_runs(runs, down, across)
    return encode(mask[None])[0]
