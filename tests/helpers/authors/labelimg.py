"""LabelImg's XML files beside the pictures, as it writes them: corners of pixels counted from 0; with polygons as
Roboflow writes them."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import numpy as np

from authors import Mark, Picture, write_picture

CARRIES = {"box", "polygon", "size", "empty"}


def write(folder: Path, pictures: list[Picture]) -> Path | None:
    """Writes the pictures and an XML file for each, those without a box too."""
    for seed, picture in enumerate(pictures):
        path = folder / picture.name
        write_picture(path, *picture.size, seed)
        path.with_name(f"{path.stem}.xml").write_text("".join(lines(picture, folder)))
    return None


def lines(picture: Picture, folder: Path) -> Iterator[str]:
    """The lines of an XML file."""
    height, width = picture.told
    name = escape(Path(picture.name).name)
    yield f"<annotation>\n\t<folder>{folder.name}</folder>\n\t<filename>{name}</filename>\n"
    yield f"\t<path>C:\\photos\\{name}</path>\n"
    yield "\t<source>\n\t\t<database>Unknown</database>\n\t</source>\n"
    yield f"\t<size>\n\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
    yield "\t<segmented>0</segmented>\n"
    for mark in picture.marks:
        yield from _object(mark)
    yield "</annotation>\n"


def _object(mark: Mark) -> Iterator[str]:
    yield f"\t<object>\n\t\t<name>{escape(str(mark.label))}</name>\n\t\t<pose>Unspecified</pose>\n"
    yield "\t\t<truncated>0</truncated>\n\t\t<difficult>0</difficult>\n\t\t<bndbox>\n"
    corners = np.reshape(mark.geometry, (-1, 2))
    box = (*corners.min(axis=0), *corners.max(axis=0))
    for tag, corner in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True):
        yield f"\t\t\t<{tag}>{int(corner)}</{tag}>\n"
    yield "\t\t</bndbox>\n"
    if mark.kind == "polygon":
        places = "".join(f"<x{k}>{x:.2f}</x{k}><y{k}>{y:.2f}</y{k}>" for k, (x, y) in enumerate(corners, 1))
        yield f"\t\t<polygon>{places}</polygon>\n"
    yield "\t</object>\n"


def count(folder: Path, annotations: Path | None) -> int:
    """The objects of all XML files; -1 where one is none."""
    total = 0
    for file in sorted(folder.rglob("*.xml")):
        try:
            total += len(ElementTree.parse(file).getroot().findall("object"))
        except (ElementTree.ParseError, ValueError, LookupError):
            return -1
    return total
