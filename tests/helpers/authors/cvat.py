"""CVAT's XML, "CVAT for images 1.1", as a project is exported with its pictures: in images/<subset>/."""

from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np

from authors import Mark, Picture, write_picture

CARRIES = {"tag", "point", "box", "polygon", "mask", "ellipse", "line", "group", "size", "split", "empty"}
SUBSETS = {"train": "Train", "val": "Validation", "test": "Test"}


def write(folder: Path, pictures: list[Picture]) -> Path | None:
    """Writes the pictures and annotations.xml."""
    rows = []
    for number, picture in enumerate(pictures):
        subset = SUBSETS.get(picture.split, "")
        write_picture(folder / "images" / subset / picture.name, *picture.size, number)
        height, width = picture.told
        about = {"id": number, "name": picture.name, **({"subset": subset, "task_id": 1} if subset else {})}
        rows.append(f"  <image {attributes({**about, 'width': width, 'height': height})}>")
        rows += [f"    {element(mark)}" for mark in picture.marks]
        rows.append("  </image>")
    labels = sorted({str(mark.label) for picture in pictures for mark in picture.marks})
    names = "".join(f"<label><name>{name}</name><type>any</type></label>" for name in labels)
    head = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "  <version>1.1</version>"]
    head.append(f"  <meta><task><name>task</name><labels>{names}</labels></task></meta>")
    (folder / "annotations.xml").write_text("\n".join([*head, *rows, "</annotations>", ""]), encoding="utf-8")
    return folder / "annotations.xml"


def attributes(values: dict) -> str:
    """The attributes of an element."""
    return " ".join(f"{name}={quoteattr(str(value))}" for name, value in values.items())


def element(mark: Mark) -> str:
    """The element of a mark."""
    tag = {"point": "points", "line": "polyline"}.get(mark.kind, mark.kind)
    place = _place(mark)
    about = {"label": mark.label, "source": "manual", **({} if tag == "tag" else {"occluded": 0}), **place}
    about |= {} if tag == "tag" else {"z_order": 0}
    about |= {} if mark.group is None else {"group_id": mark.group}
    return f"<{tag} {attributes(about)}>\n    </{tag}>"


def _place(mark: Mark) -> dict:
    if mark.kind == "tag":
        return {}
    if mark.kind == "box":
        return {name: f"{value:.2f}" for name, value in zip(("xtl", "ytl", "xbr", "ybr"), mark.geometry, strict=True)}
    if mark.kind == "ellipse":
        return {name: f"{value:.2f}" for name, value in zip(("cx", "cy", "rx", "ry"), mark.geometry, strict=True)}
    if mark.kind == "mask":
        ys, xs = np.nonzero(mark.geometry)
        piece = mark.geometry[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        height, width = piece.shape
        return {"rle": _runs(piece), "left": xs.min(), "top": ys.min(), "width": width, "height": height}
    corners = np.asarray(mark.geometry, float).reshape(-1, 2)
    return {"points": ";".join(f"{x:.2f},{y:.2f}" for x, y in corners)}


def _runs(mask: np.ndarray) -> str:
    """The lengths of the runs of a mask, row by row, the first of zeros."""
    runs, value = [0], 0
    for pixel in (mask > 0).ravel().tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return ", ".join(map(str, runs))


def count(folder: Path, annotations: Path | None) -> int:
    """The elements of all images, the points of <points> one by one; -1 where there is no image."""
    try:
        root = ElementTree.parse(annotations or folder / "annotations.xml").getroot()
    except (OSError, ElementTree.ParseError, ValueError, LookupError):
        return -1
    marks = [mark for image in root.findall("image") for mark in image]
    several = sum(mark.attrib.get("points", "").count(";") for mark in marks if mark.tag == "points")
    return len(marks) + several if root.find("image") is not None else -1
