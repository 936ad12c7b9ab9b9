"""CVAT's XML (CVAT for images 1.1): writing instances as masks, and reading what people exported.

A mask there is a box (left, top, width, height) and the lengths of its runs row by row, the first of zeros.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from wsis_steps.core.errors import InputError
from wsis_steps.core.masks import decode, encode
from wsis_steps.core.problems import Problems
from wsis_steps.data.records import SPLITS
from wsis_steps.exchange.drawings import Drawing, not_a, polygon_mask
from wsis_steps.exchange.labelled import LabelledImage, Labels, write_data
from wsis_steps.report.pictures import class_colors


def row_runs(mask: np.ndarray) -> list[int]:
    """Lengths of the runs of a binary mask (h, w) in reading order, the first of zeros (and 0 where there is none)."""
    flat = mask.reshape(-1) > 0
    starts = np.flatnonzero(np.diff(flat, prepend=~flat[:1]))
    return [0] * int(flat[0]) + np.diff(starts, append=len(flat)).tolist()


def from_row_runs(runs: list[int], height: int, width: int) -> np.ndarray:
    """The mask uint8 (height, width) of such runs; ValueError where they do not fill it."""
    values = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    if len(values) != height * width:
        raise ValueError(f"its runs hold {len(values)} pixels, its box {height * width}")
    return values.reshape(height, width)


# ---- writing ----


def write_cvat(out: Path, labels: Labels) -> Path:
    """Writes `cvat_<split>.xml` and the pictures; returns the file."""
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    task = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    known = ElementTree.SubElement(task, "labels")
    for name, color in zip(labels.class_names, class_colors(len(labels.class_names)), strict=True):
        label = ElementTree.SubElement(known, "label")
        for tag, text in (("name", name), ("color", color), ("type", "any")):
            ElementTree.SubElement(label, tag).text = text
    for number, image in enumerate(labels.images):
        write_data(out / "images", image)
        _add_image(root, number, image, labels)
    ElementTree.indent(root, space=" ")
    path = out / f"cvat_{labels.split}.xml"
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    return path


def _add_image(root: ElementTree.Element, number: int, image: LabelledImage, labels: Labels) -> None:
    size = {"width": str(image.width), "height": str(image.height)}
    element = ElementTree.SubElement(root, "image", id=str(number), name=image.file, subset=labels.split, **size)
    boxes = image.instances.boxes.astype(int).tolist()
    masks = decode(image.instances.rles, image.height, image.width)
    for mask, (x1, y1, x2, y2), category in zip(masks, boxes, image.instances.categories.tolist(), strict=True):
        place = {"left": x1, "top": y1, "width": x2 - x1, "height": y2 - y1, "occluded": 0, "z_order": 0}
        runs = ", ".join(map(str, row_runs(mask[y1:y2, x1:x2])))
        attributes = {name: str(value) for name, value in place.items()}
        ElementTree.SubElement(
            element, "mask", label=labels.class_names[category], source="auto", rle=runs, **attributes
        )


# ---- reading ----


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
