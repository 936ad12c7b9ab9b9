"""CVAT's XML (CVAT for images 1.1): reading what people exported.

A mask there is a box (left, top, width, height) and the lengths of its runs row by row, the first of zeros.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from wsis_steps.core.errors import InputError
from wsis_steps.core.masks import encode
from wsis_steps.core.problems import Problems
from wsis_steps.data.drawings import Drawing, not_a, polygon_mask
from wsis_steps.data.records import SPLITS


def from_row_runs(runs: list[int], height: int, width: int) -> np.ndarray:
    """The mask uint8 (height, width) of such runs; ValueError where they do not fill it."""
    values = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    if len(values) != height * width:
        raise ValueError(f"its runs hold {len(values)} pixels, its box {height * width}")
    return values.reshape(height, width)


def read_cvat(path: Path, problems: Problems) -> list[Drawing]:
    """The images of an export in the format `CVAT for images 1.1`; what cannot be read is noted.

    An image's subset, where it is train or val (or Train, Validation), is its split. Raises InputError where the file
    is none.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except (ElementTree.ParseError, OSError, ValueError) as error:
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
    marks: dict[str, list] = {"tags": [], "points": [], "boxes": [], "masks": []}
    try:
        height, width = int(element.attrib["height"]), int(element.attrib["width"])
        for shape in element:
            kind = shape.tag
            for place, mark in _marks(shape, height, width):
                marks[place].append(mark)
    except KeyError as error:
        raise InputError(f"{where}: <{kind}> has no {error}.") from None
    except ValueError as error:
        raise InputError(f"{where}, <{kind}>: {error}.") from None
    subset = element.get("subset", "").lower().replace("validation", "val")
    split = subset if subset in SPLITS else ""
    return Drawing(where, name, height, width, **{place: tuple(rows) for place, rows in marks.items()}, split=split)


def _marks(shape: ElementTree.Element, height: int, width: int) -> Iterator[tuple[str, object]]:
    """Kind and mark of one shape; several for <points>."""
    name = shape.attrib["label"]
    if shape.tag == "tag":
        yield "tags", name
    elif shape.tag == "box":
        if float(shape.get("rotation", 0)):
            raise ValueError("a rotated rectangle is no box")
        yield "boxes", (*(float(shape.attrib[side]) for side in ("xtl", "ytl", "xbr", "ybr")), name)
    elif shape.tag == "points":
        yield from (("points", (x - 0.5, y - 0.5, name)) for x, y in _corners(shape).tolist())
    elif shape.tag == "polygon":
        yield "masks", (polygon_mask(_corners(shape), height, width), name, False)
    elif shape.tag == "mask":
        yield "masks", (encode(_mask(shape, height, width)[None])[0], name, False)
    else:
        raise ValueError("such a shape is not read; valid: tag, points, box, polygon, mask")


def _corners(shape: ElementTree.Element) -> np.ndarray:
    return np.array([pair.split(",") for pair in shape.attrib["points"].split(";")], float)


def _mask(shape: ElementTree.Element, height: int, width: int) -> np.ndarray:
    left, top, across, down = (round(float(shape.attrib[key])) for key in ("left", "top", "width", "height"))
    if left < 0 or top < 0 or left + across > width or top + down > height:
        raise ValueError(f"its box leaves the picture of {width}x{height}")
    mask = np.zeros((height, width), np.uint8)
    runs = [int(run) for run in shape.attrib["rle"].split(",")]
    mask[top : top + down, left : left + across] = from_row_runs(runs, down, across)
    return mask
