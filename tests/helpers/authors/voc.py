"""A PASCAL VOC devkit tree with boxes: 1-based corners, the last pixels included; masks have tests of their own.

Its lists may not be empty, so where no picture is in val, the last one is.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from authors import Mark, Picture, write_picture

CARRIES = {"box", "size", "empty"}
LISTS = "ImageSets/Segmentation"


def write(folder: Path, pictures: list[Picture]) -> Path | None:
    """Writes the pictures, their XML files and the lists."""
    if not any(picture.split == "val" for picture in pictures):
        pictures = [*pictures[:-1], replace(pictures[-1], split="val")]
    for name in ("Annotations", LISTS):
        (folder / name).mkdir(parents=True)
    for seed, picture in enumerate(pictures):
        write_picture(folder / "JPEGImages" / picture.name, *picture.size, seed)
        text = "".join(lines(picture))
        (folder / "Annotations" / f"{Path(picture.name).stem}.xml").write_text(text)
    for split in {picture.split for picture in pictures}:
        names = [Path(picture.name).stem for picture in pictures if picture.split == split]
        (folder / LISTS / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
    return None


def lines(picture: Picture) -> Iterator[str]:
    """The lines of an XML file."""
    height, width = picture.told
    yield f"<annotation>\n\t<folder>VOC2012</folder>\n\t<filename>{escape(picture.name)}</filename>\n"
    yield "\t<source>\n\t\t<database>The VOC2008 Database</database>\n\t</source>\n"
    yield f"\t<size>\n\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
    yield "\t<segmented>1</segmented>\n"
    for mark in picture.marks:
        yield from _object(mark)
    yield "</annotation>\n"


def _object(mark: Mark) -> Iterator[str]:
    x1, y1, x2, y2 = mark.geometry
    yield f"\t<object>\n\t\t<name>{escape(str(mark.label))}</name>\n\t\t<difficult>0</difficult>\n\t\t<bndbox>\n"
    for tag, corner in {"xmin": x1 + 1, "ymin": y1 + 1, "xmax": x2, "ymax": y2}.items():
        yield f"\t\t\t<{tag}>{corner:g}</{tag}>\n"
    yield "\t\t</bndbox>\n\t</object>\n"


def count(folder: Path, annotations: Path | None) -> int:
    """The objects of the XML files of all listed images; -1 where a file or a line is none."""
    total = 0
    for split in ("train", "val"):
        try:
            names = (folder / LISTS / f"{split}.txt").read_text().split()
            files = [folder / f"Annotations/{name}.xml" for name in names]
            total += sum(len(ElementTree.parse(file).getroot().findall("object")) for file in files)
        except (OSError, ElementTree.ParseError, ValueError, LookupError):
            return -1
    return total
