"""VOC's XML files of objects and boxes, as the development kit, LabelImg and others write them."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.writers import write_whole
from wsis_steps.formats.drawing import Shape
from wsis_steps.formats.files import read_xml
from wsis_steps.formats.regions import turned_rectangle
from wsis_steps.formats.rings import number, numbers, shown
from wsis_steps.formats.voc_masks import VOID

_BOX = ("xmin", "ymin", "xmax", "ymax")
_TURNED_BOX = ("cx", "cy", "w", "h", "angle")  # roLabelImg's; the angle in radians, clockwise
_CORNER = re.compile(r"[xy][1-9]\d*", re.ASCII)
_MOST = 10**9  # pixels of a side


@dataclass(frozen=True, slots=True)
class MarkedObject:
    """An object of an XML file. where: 'object 1 (dog)'. box: xmin, ymin, xmax, ymax as written, or None. rings: x, y,
    x, y, ... of its polygons or its rotated rectangle. At least one of the two is given."""

    where: str
    name: str
    difficult: bool
    box: tuple[float, float, float, float] | None = None
    rings: tuple[list[float], ...] = ()

    def shape(self, file: str = "") -> Shape:
        """The object's polygons, else its box, for tools that count pixels from 0. file: its file, if that is not the
        image's main file."""
        where = f"{file}: {self.where}" if file else self.where
        if self.rings:
            return Shape(where, "rings", self.name, list(self.rings), box=self.box)
        return Shape(where, "box", self.name, self.box)


@dataclass(slots=True)
class Annotation:
    """The content of an XML file. height, width: in pixels, 0 if not stated; file: its name for the image; deleted: the
    number of objects marked as deleted, as by LabelMe's web tool; wrong: one sentence per unreadable object or size."""

    height: int = 0
    width: int = 0
    file: str = ""
    objects: list[MarkedObject] = field(default_factory=list)
    deleted: int = 0
    wrong: list[str] = field(default_factory=list)


def read_annotation(path: Path) -> Annotation:
    """The content of an XML file. Raises InputError if it is not XML or not VOC's format."""
    root = read_xml(path)
    if root.tag != "annotation":
        raise InputError(f"{path} is not an image annotation: it begins with <{root.tag}>, not with <annotation>.")
    found = Annotation(file=(root.findtext("filename") or "").strip())
    try:
        found.height, found.width = _size(root)
    except ValueError as error:
        found.wrong.append(f"{path}: {error}.")
    for place, item in enumerate(root.findall("object"), 1):
        if (item.findtext("deleted") or "").strip() == "1":
            found.deleted += 1
            continue
        try:
            found.objects.append(_object(item, place))
        except ValueError as error:
            found.wrong.append(f"{path}: {error}.")
    return found


def _size(root: ElementTree.Element) -> tuple[int, int]:
    """Height and width, both 0 if either is missing. Raises ValueError if they are invalid."""
    sides = [(root.findtext(f"size/{tag}") or "").strip() or "0" for tag in ("height", "width")]
    try:
        height, width = numbers(sides, 2)
    except ValueError:
        height = width = -1.0
    if not (0 <= min(height, width) <= max(height, width) <= _MOST and height.is_integer() and width.is_integer()):
        raise ValueError(f"its <size> is {shown(sides[1])} by {shown(sides[0])}, which are not whole numbers of pixels")
    return (int(height), int(width)) if height and width else (0, 0)


def _object(item: ElementTree.Element, place: int) -> MarkedObject:
    """An object. Raises ValueError if its name or its box is missing."""
    name = item.findtext("name")
    if name is None:
        raise ValueError(f"object {place} has no <name>")
    name = name.strip()
    where = f"object {place} ({shown(name)[1:-1]})" if name else f"object {place}, which has no name"
    difficult = (item.findtext("difficult") or "").strip().casefold() in ("1", "true")
    rings = _polygons(item, where)
    if item.find("bndbox") is None and (rings or item.find("robndbox") is not None):
        return MarkedObject(where, name, difficult, rings=rings or (_turned(item, where),))
    box = [item.findtext(f"bndbox/{tag}") for tag in _BOX]
    try:
        return MarkedObject(where, name, difficult, tuple(map(number, box)), rings)
    except ValueError:
        raise ValueError(f"the <bndbox> of {where} is not four numbers") from None


def _polygons(item: ElementTree.Element, where: str) -> tuple[list[float], ...]:
    """x, y, x, y, ... of each <polygon>: of Roboflow's <x1>, <y1>, <x2>, ..., or of the <pt> of LabelMe's web tool."""
    rings = []
    for polygon in item.findall("polygon"):
        texts = [pt.findtext(tag) for pt in polygon.findall("pt") for tag in ("x", "y")]
        if not texts:
            values = {child.tag: child.text for child in polygon}
            count = sum(_CORNER.fullmatch(tag) is not None for tag in values)
            texts = [values.get(f"{tag}{k}") for k in range(1, count // 2 + count % 2 + 1) for tag in ("x", "y")]
        try:
            rings += [numbers(texts, len(texts))] if texts else []
        except ValueError:
            raise ValueError(f"the <polygon> of {where} is not x and y of each corner in numbers") from None
    return tuple(rings)


def _turned(item: ElementTree.Element, where: str) -> list[float]:
    """x, y, x, y, ... of a rectangle rotated about its center."""
    try:
        x, y, width, height, turn = numbers([item.findtext(f"robndbox/{tag}") for tag in _TURNED_BOX], 5)
    except ValueError:
        raise ValueError(f"the <robndbox> of {where} is not five numbers") from None
    return turned_rectangle(x - width / 2, y - height / 2, width, height, math.degrees(turn), "middle").ravel().tolist()


def write_annotation(
    path: Path, file: str, objects: np.ndarray, classes: np.ndarray, class_names: Sequence[str]
) -> None:
    """Writes VOC's XML of the image `file`: the objects, sorted by number, with 1-based inclusive boxes.

    objects and classes: uint8 (h, w), as in SegmentationObject and SegmentationClass: 0 background, 255 void, else the
    number of the object and 1 + its category.
    """
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = file
    size = ElementTree.SubElement(root, "size")
    for tag, side in zip(("width", "height", "depth"), (*objects.shape[::-1], 3), strict=True):
        ElementTree.SubElement(size, tag).text = str(side)
    ElementTree.SubElement(root, "segmented").text = "1"
    for value in np.setdiff1d(np.unique(objects), [0, VOID]):
        ys, xs = np.nonzero(objects == value)
        item = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(item, "name").text = class_names[classes[ys[0], xs[0]] - 1]
        ElementTree.SubElement(item, "difficult").text = "0"
        box = ElementTree.SubElement(item, "bndbox")
        for tag, corner in zip(_BOX, (xs.min() + 1, ys.min() + 1, xs.max() + 1, ys.max() + 1), strict=True):
            ElementTree.SubElement(box, tag).text = str(corner)
    ElementTree.indent(root)
    write_whole(path, ElementTree.tostring(root, encoding="utf-8"))
