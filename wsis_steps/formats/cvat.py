"""CVAT's XML (CVAT for images 1.1): reads exports, and writes instances as masks.

A mask is a box (left, top, width, height) and the lengths of its runs, row by row, starting with zeros. Boxes and
ellipses may be rotated about their centers; a rotated box becomes a polygon. Each point of <points> is a separate mark.
Shapes with the same label and group are one instance. The subsets train and val (Train, Validation) are splits; others
are left out. The images of a subset may be in images/<subset>/ or <subset>/. A shape marked as `outside` is not in the
image: CVAT keeps it for neighboring frames.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from wsis_steps.drawing.colors import class_colors
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.writers import write_whole
from wsis_steps.formats.drawing import Drawing, Reading, Shape, Source, foreign_kind, tell_apart
from wsis_steps.formats.files import few_files, head_of, read_xml
from wsis_steps.formats.labelled import LabelledImage, Labels, write_data
from wsis_steps.formats.notes import Notes, usable
from wsis_steps.formats.picture_names import Pictures
from wsis_steps.formats.places import slack
from wsis_steps.formats.regions import paste_mask, turned_rectangle
from wsis_steps.formats.rings import numbers, shown
from wsis_steps.formats.subsets import split_of
from wsis_steps.vision.masks import decode

_NAME = "annotations.xml"  # CVAT's own file name
_MOST = 10**9  # pixels of a side
_MOST_PIXELS = 1 << 28  # of the box of a mask; larger images are not read
_NEEDED = "choose the format 'CVAT for images 1.1'"


def looks_like(path: Path) -> bool:
    """Whether a file is CVAT's XML, or a folder contains such a file."""
    try:
        return bool(_files(path))
    except OSError:
        return False


def _files(path: Path) -> list[Path]:
    """The CVAT files at a path, a file or a folder; annotations.xml alone if the folder has it."""
    if not path.is_dir():
        return [path] if _is_cvat(path) else []
    if _is_cvat(path / _NAME):
        return [path / _NAME]
    return list(filter(_is_cvat, few_files(path, ".xml")))


def _is_cvat(file: Path) -> bool:
    return file.suffix.lower() == ".xml" and b"<annotations" in head_of(file)


def read(source: Source, notes: Notes) -> Reading:
    """The images of an export. Raises InputError if there is no export."""
    path = source.annotations
    if path.is_dir():
        files = _files(path)
        if len(files) != 1:
            found = f"{len(files)} XML files of CVAT" if files else "no XML file of CVAT"
            raise InputError(f"{path} holds {found}; set `annotations` to one.")
        [path] = files
    root = read_xml(path)
    if root.tag == "annotations" and root.find("track") is not None:
        raise InputError(f"{path} is an export of CVAT for video, whose tracks are not read; {_NEEDED}.")
    if root.tag != "annotations" or root.find("image") is None:
        raise InputError(f"{path} is not an export of CVAT: it has no <image>; {_NEEDED}.")
    drawings, subsets = [], _Subsets(source.root)
    for place, element in enumerate(root, 1):
        if element.tag == "image":
            name = element.get("name")
            where = f"{path}: image {shown(name) if name else place}"
            with notes.catch():
                drawings += _read_image(element, where, subsets, notes)
        elif element.tag not in ("version", "meta"):
            notes.add(f"{path}: <{element.tag}> stands outside of an <image>.")
    tell_apart(drawings, source.root)
    return Reading(drawings, folders=subsets.folders if all(drawing.path for drawing in drawings) else [])


class _Subsets:
    """The folders that hold the images of subsets, if they exist."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pictures: dict[Path, Pictures | None] = {}

    @property
    def folders(self) -> list[Path]:
        """The existing ones among those searched."""
        return [folder for folder, pictures in self.pictures.items() if pictures]

    def place(self, drawing: Drawing, subset: str) -> None:
        """Sets a drawing's path and name, if its image is in the folder of the subset."""
        for folder in [self.root / "images" / subset, self.root / subset] if subset else []:
            if folder not in self.pictures:
                self.pictures[folder] = Pictures(folder) if folder.is_dir() else None
            if (pictures := self.pictures[folder]) and drawing.path is None:
                with suppress(InputError):
                    drawing.path = pictures.find(drawing.name)
                    drawing.name = pictures.name(drawing.path)


def _read_image(element: ElementTree.Element, where: str, subsets: _Subsets, notes: Notes) -> Iterator[Drawing]:
    """The drawing of an image; nothing if the image is left out."""
    name, subset = element.get("name"), element.get("subset") or ""
    split = split_of(subset) if subset else ""
    if split is None:
        notes.leave_out("pictures_of_other_subsets", where)
        notes.leave_out("shapes_of_pictures_left_out", where, sum(map(_marks, element)))
        return
    if not name:
        raise InputError(f"{where} has no name.")
    try:
        height, width = _side(element, "height"), _side(element, "width")
    except ValueError as error:
        raise InputError(f"{where}: {error}.") from None
    drawing = Drawing(where, name, height, width, split=split)
    subsets.place(drawing, subset)
    for place, shape in enumerate(element, 1):
        if shape.get("outside") == "1":
            notes.leave_out("shapes_outside_of_their_pictures", f"{where}: <{shape.tag}> {place}", _marks(shape))
            continue
        try:
            drawing.shapes += _shapes(shape, f"<{shape.tag}> {place}", drawing)
        except ValueError as error:
            notes.add(f"{where}: <{shape.tag}> {place}: {error}.")
    yield drawing


def _side(element: ElementTree.Element, key: str) -> int:
    """The stated height or width of an image, 0 if missing. Raises ValueError if it is invalid."""
    text = element.get(key)
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= _MOST):
        raise ValueError(f"its '{key}' is {shown(text)}, not a whole number of pixels")
    return int(text)


def _marks(shape: ElementTree.Element) -> int:
    """The number of marks in an element."""
    return shape.get("points", "").count(";") + 1 if shape.tag == "points" else 1


def _shapes(shape: ElementTree.Element, where: str, drawing: Drawing) -> Iterator[Shape]:
    """The shapes of an element. Raises ValueError if it is invalid."""
    label, group, kind = shape.get("label"), _group(shape), shape.tag
    if label is None:
        raise ValueError("it has no 'label'")
    if kind != "skeleton" and any(child.tag != "attribute" for child in shape):
        raise ValueError("it holds other shapes")
    if kind == "tag":
        yield Shape(where, "tag", label, None, group)
    elif kind == "points":
        flat = _places(shape)
        for x, y in zip(flat[::2], flat[1::2], strict=True):
            yield Shape(where, "point", label, (x - 0.5, y - 0.5), group)
    elif kind == "polygon":
        yield Shape(where, "rings", label, [_places(shape)], group)
    elif kind == "box":
        yield _box(shape, where, label, group)
    elif kind == "ellipse":
        values = tuple(_numbers(shape, "cx", "cy", "rx", "ry"))
        yield Shape(where, "ellipse", label, (*values, _rotation(shape)), group)
    elif kind == "mask":
        yield Shape(where, "mask", label, usable(_mask, shape, drawing), group)
    else:
        yield Shape(where, foreign_kind(kind), label, None, group)


def _group(shape: ElementTree.Element) -> int | None:
    text = shape.get("group_id") or "0"
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"its 'group_id' is {shown(text)}, not a number")
    return int(text.lstrip("0")[:20] or 0) or None  # 0: no group


def _numbers(element: ElementTree.Element, *keys: str) -> list[float]:
    for key in keys:
        if element.get(key) is None:
            raise ValueError(f"it has no '{key}'")
    try:
        return numbers([element.get(key) for key in keys], len(keys))
    except ValueError:
        told = ", ".join(f"'{key}' {shown(element.get(key))}" for key in keys)
        raise ValueError(f"its place is {told}, which are not all numbers") from None


def _rotation(shape: ElementTree.Element) -> float:
    """In degrees, clockwise."""
    return _numbers(shape, "rotation")[0] % 360 if shape.get("rotation") else 0.0


def _places(shape: ElementTree.Element) -> list[float]:
    """x, y, x, y, ... of 'x,y;x,y;...'."""
    text = shape.get("points", "")
    pairs = text.split(";")
    try:
        if any(pair.count(",") != 1 for pair in pairs):
            raise ValueError
        return list(map(float, text.replace(";", ",").split(",")))
    except ValueError:
        raise ValueError(f"its points are {shown(text)}, not x,y;x,y;... in numbers") from None


def _box(shape: ElementTree.Element, where: str, label: str, group: int | None) -> Shape:
    x1, y1, x2, y2 = _numbers(shape, "xtl", "ytl", "xbr", "ybr")
    if turn := _rotation(shape):
        corners = turned_rectangle(x1, y1, x2 - x1, y2 - y1, turn, "middle")
        return Shape(where, "rings", label, [corners.ravel().tolist()], group)
    return Shape(where, "box", label, (x1, y1, x2, y2), group)


def _mask(shape: ElementTree.Element, drawing: Drawing) -> dict:
    """The code of a mask. Raises ValueError if its runs do not fill its box, `Unusable` if the box leaves the image."""
    left, top, across, down = map(round, _numbers(shape, "left", "top", "width", "height"))
    if not (drawing.height and drawing.width):
        raise ValueError("its mask needs the width and height of its <image>")
    try:
        runs = [int(run) for run in shape.get("rle", "").split(",")]
    except ValueError:
        raise ValueError(f"its 'rle' is {shown(shape.get('rle'))}, not lengths of runs") from None
    most_across, most_down = (side + 2 * slack(side) for side in (drawing.width, drawing.height))
    if not (0 < across <= most_across and 0 < down <= most_down and across * down <= _MOST_PIXELS):
        raise ValueError(f"its box is {across}x{down}, the picture {drawing.width}x{drawing.height}")
    return paste_mask(from_row_runs(runs, down, across), left, top, drawing.height, drawing.width)


def from_row_runs(runs: list[int], height: int, width: int) -> np.ndarray:
    """The mask uint8 (height, width) of row-by-row runs. Raises ValueError if they do not fill it."""
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise ValueError(f"its runs hold {sum(runs)} pixels, its box {height * width}")
    values = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    return values.reshape(height, width)


def row_runs(mask: np.ndarray) -> list[int]:
    """Lengths of the runs of a binary mask (h, w), row by row, starting with zeros (0 if the first pixel is set)."""
    flat = mask.reshape(-1) > 0
    starts = np.flatnonzero(np.diff(flat, prepend=~flat[:1]))
    return [0] * int(flat[0]) + np.diff(starts, append=len(flat)).tolist()


def write_cvat(out: Path, labels: Labels) -> Path:
    """Writes `<split>.xml` and the images; returns the file. Datumaro reads the subset that the file is named after."""
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
    path = out / f"{labels.split}.xml"
    write_whole(path, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
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
