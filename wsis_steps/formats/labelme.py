"""Reads LabelMe's JSON files, one per image: LabelMe 3 and later, and AnyLabeling, which writes the same format.

Polygons, rotated rectangles, circles and masks become masks; rectangles become boxes; `points` become one point each.
Image flags that are set become tags; flags of shapes are ignored. Shapes with the same label and `group_id` are one
instance. Files with neither `shapes` nor `imagePath` are not LabelMe's and are skipped.

Folders named train, val and the like are subsets.

The image is found by `imagePath`, relative to the JSON file; else by that name, or the JSON file's, beside the JSON
file; else by its name in the whole data set.
"""

import base64
import io
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.drawing import Drawing, Reading, Shape, Source, foreign_kind
from wsis_steps.formats.files import head_of, read_json, walk
from wsis_steps.formats.notes import Notes, usable
from wsis_steps.formats.picture_names import bare, kind_of
from wsis_steps.formats.pictures import BROKEN, SUFFIXES, open_picture, picture_size
from wsis_steps.formats.regions import paste_mask, read_png
from wsis_steps.formats.rings import numbers, shown
from wsis_steps.formats.subsets import folder_splits

_POLYGONS = ("polygon", "oriented_rectangle", "rotation")  # the last is AnyLabeling's rotated rectangle
_SIGNS = (b'"shapes"', b'"imagePath"', b'"imageData"')
_LOOKED_AT = 50  # files per folder, until one is found
_MOST = 10**9  # pixels of a side


@dataclass(frozen=True)
class _File:
    """A JSON file without its shapes. path: the image, None if only its name is known. height, width: 0 if not
    stated."""

    name: str
    path: Path | None
    height: int
    width: int


def looks_like(path: Path) -> bool:
    """Whether a file is LabelMe's, or a folder contains such files, judged by their first bytes."""
    try:
        files = walk(path, (".json",)) if path.is_dir() else [path]
        return any(map(_has_signs, islice(files, _LOOKED_AT)))
    except OSError:
        return False


def _has_signs(file: Path) -> bool:
    head = head_of(file) if file.suffix.lower() == ".json" else b""
    return head.startswith(b"{") and any(sign in head for sign in _SIGNS)


def read(source: Source, notes: Notes) -> Reading:
    """The images of one JSON file, or of all below a folder. Raises InputError if there are none."""
    path = source.annotations
    files = walk(path, (".json",)) if path.is_dir() else [path]
    found, noted = [], len(notes.sentences)
    for file, (drawing, sentences) in zip(files, source.mapper(partial(_read_file, source.root), files), strict=True):
        notes.sentences += sentences
        found += [(drawing, file)] if drawing else []
    if not found and len(notes.sentences) == noted:
        raise InputError(f"{path} holds no JSON file of LabelMe.")
    splits = folder_splits([file for _, file in found], path if path.is_dir() else path.parent)
    drawings, left_out = [], set()
    for (drawing, file), split in zip(found, splits, strict=True):
        if split is None:
            notes.leave_out("pictures_of_other_subsets", str(file))
            notes.leave_out("shapes_of_pictures_left_out", str(file), len(drawing.shapes))
            left_out.add(drawing.path)
        else:
            drawing.split = split
            drawings.append(drawing)
    others = [path for path in walk(source.root, SUFFIXES) if path not in left_out] if left_out else []
    return Reading(drawings, folders=others)


def _read_file(root: Path, file: Path) -> tuple[Drawing | None, list[str]]:
    """The drawing of a file, None if it is not LabelMe's; and a sentence per error."""
    notes, drawing = Notes(), None
    with notes.catch():
        content = read_json(file)
        if isinstance(content, dict) and ("shapes" in content or "imagePath" in content):
            drawing = _drawing(content, file, root, notes)
    return drawing, notes.sentences


def _drawing(content: dict, file: Path, root: Path, notes: Notes) -> Drawing:
    name, shapes, flags = content.get("imagePath"), content.get("shapes"), content.get("flags")
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{file}: its 'imagePath' is {shown(name)}, not the name of a picture.")
    if not isinstance(shapes, list):
        raise InputError(f"{file}: its 'shapes' are {shown(shapes)}, not a list.")
    if not isinstance(flags, dict | None):
        raise InputError(f"{file}: its 'flags' are {shown(flags)}, not flags with their values.")
    try:
        height, width = _size(content)
    except ValueError as error:
        raise InputError(f"{file}: {error}.") from None
    name = name.replace("\\", "/")
    path = _picture(name, file, root)
    about = _File(name if path is None else path.relative_to(root).as_posix(), path, height, width)
    drawing = Drawing(str(file), about.name, height, width, path=path)
    for flag, value in (flags or {}).items():
        if value is True:
            drawing.shapes.append(Shape(f"flag {shown(flag)}", "tag", flag))
        elif value is not None and value is not False:
            notes.add(f"{file}: flag {shown(flag)}: it is {shown(value)}, neither true nor false.")
    for place, shape in enumerate(shapes, 1):
        try:
            drawing.shapes += _shapes(shape, f"shape {place}", about)
        except ValueError as error:
            notes.add(f"{file}: shape {place}: {error}.")
    return drawing


def _size(content: dict) -> tuple[int, int]:
    """The stated height and width; else those of the embedded image, else 0."""
    height, width = (_side(content, key) for key in ("imageHeight", "imageWidth"))
    return (height, width) if height and width else _size_within(content.get("imageData"))


def _side(content: dict, key: str) -> int:
    value = content.get(key)
    if value is None:
        return 0
    try:
        [found] = numbers([value], 1)
    except ValueError:
        found = math.inf
    if not (abs(found) <= _MOST and found.is_integer()):
        raise ValueError(f"its '{key}' is {shown(value)}, not a whole number of pixels")
    return int(found)


def _size_within(data: object) -> tuple[int, int]:
    """The height and width of a base64 image, from its header; 0 if there is none."""
    if not isinstance(data, str) or not data:
        return 0, 0
    try:
        with open_picture(io.BytesIO(base64.b64decode(data))) as picture:
            return picture.height, picture.width
    except BROKEN:
        return 0, 0


def _picture(name: str, file: Path, root: Path) -> Path | None:
    """The image that `name` means, relative to the JSON file; None if there is none below `root`."""
    beside = file.parent / PurePosixPath(name).name
    # Images of another kind may be masks; that is decided later, from all images.
    kinds = [suffix for suffix in sorted(SUFFIXES) if kind_of(suffix) == kind_of(beside.suffix)]
    of_that_name, of_own_name = (
        [beside.with_name(stem + suffix) for suffix in kinds] for stem in (bare(beside.name), file.stem)
    )
    for candidates in ([file.parent / name], [beside], of_that_name, of_own_name):
        found = [path for path in map(partial(_below, root), candidates) if path]
        if len(found) == 1:
            return found[0]
    return None


def _below(root: Path, path: Path) -> Path | None:
    """The path of a file, starting with `root`; None if it is not a file below it."""
    try:
        place = os.path.relpath(path, root)
        found = root / place
        return found if not place.startswith("..") and found.is_file() else None
    except (OSError, ValueError):  # not a valid file name
        return None


def _shapes(shape: object, where: str, file: _File) -> Iterator[Shape]:
    """A shape, or one shape per point. Raises ValueError if it is invalid."""
    if not isinstance(shape, dict):
        raise ValueError(f"it is {shown(shape)}, not an object with its properties")
    label, kind, group, points = (shape.get(key) for key in ("label", "shape_type", "group_id", "points"))
    if not isinstance(group, int | float | str | None):
        raise ValueError(f"its 'group_id' is {shown(group)}, not a number")
    kind = "polygon" if kind is None or kind == "" else kind
    if kind in _POLYGONS:
        yield Shape(where, "rings", label, points, group)
    elif kind in ("point", "points"):
        for x, y in _corners(points):
            yield Shape(where, "point", label, (x - 0.5, y - 0.5), group)
    elif kind == "rectangle":
        yield _rectangle(_corners(points), where, label, group)
    elif kind == "circle":
        (x, y), edge = _corners(points, 2)
        radius = math.hypot(edge[0] - x, edge[1] - y)
        yield Shape(where, "ellipse", label, (x, y, radius, radius, 0.0), group)
    elif kind == "mask":
        yield Shape(where, "mask", label, usable(_mask, shape.get("mask"), _corners(points)[0], file), group)
    else:
        yield Shape(where, foreign_kind(kind), label, None, group)


def _corners(points: object, count: int = 0) -> list[tuple[float, float]]:
    """Pairs of x, y: exactly `count` if given. Raises ValueError if they are invalid."""
    if not isinstance(points, list) or not points:
        raise ValueError(f"its points are {shown(points)}, not a list of x, y")
    if count and len(points) != count:
        raise ValueError(f"it has {len(points)} points in place of {count}")
    return [tuple(numbers(point, 2)) for point in points]


def _rectangle(corners: list[tuple[float, float]], where: str, label: object, group: object) -> Shape:
    """The box of two corners, or of four, as AnyLabeling writes it; a polygon if the four are rotated."""
    if len(corners) not in (2, 4):
        raise ValueError(f"a rectangle has two corners or four, not {len(corners)}")
    xs, ys = zip(*corners, strict=True)
    if len(corners) == 4 and (len(set(xs)), len(set(ys))) != (2, 2):
        return Shape(where, "rings", label, [list(corner) for corner in corners], group)
    return Shape(where, "box", label, (min(xs), min(ys), max(xs), max(ys)), group)


def _mask(data: object, corner: tuple[float, float], file: _File) -> dict:
    """The code of a mask given as a base64 PNG and its top left corner."""
    height, width = file.height, file.width
    if not height and file.path:
        height, width = picture_size(file.path)
    if not height:
        raise ValueError("its mask needs 'imageHeight' and 'imageWidth'")
    piece = np.asarray(read_png(data).convert("L"))
    if max(map(abs, corner)) > _MOST:
        raise ValueError(f"its mask begins at {corner[0]:g}, {corner[1]:g}, far outside the picture")
    return paste_mask(piece, round(corner[0]), round(corner[1]), height, width)
