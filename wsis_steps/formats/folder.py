"""Reads a user's own images: a folder with a tags.csv, optionally a points.csv or a boxes.csv, and no masks.

tags.csv:    image,tags[,split]   `image` is a path inside the folder; `tags` are zero or more class names, separated
                                  by spaces or, in the whole table, by semicolons or (in quotes) commas; `split` is
                                  train or val; other subsets, such as test, are left out
points.csv:  image,x,y,class      a pixel inside one instance; (0, 0) is the center of the first pixel
boxes.csv:   image,x1,y1,x2,y2,class  the box around an instance, in pixels from the top left corner; x2 and y2 are the
                                  first column and row outside it, so a box of the whole image ends on its size

The header line names the columns in any order; without it, the columns have the order above. Columns are separated by
commas.
"""

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path, PurePosixPath

from wsis_steps.engine.errors import Hints, InputError, nearest
from wsis_steps.formats.drawing import Drawing, Reading, Shape, Source
from wsis_steps.formats.labels import is_ignored, is_no_class
from wsis_steps.formats.notes import Notes
from wsis_steps.formats.picture_names import Pictures
from wsis_steps.formats.records import SPLITS
from wsis_steps.formats.subsets import is_subset, split_of
from wsis_steps.formats.tables import read_table

TAGS = "tags.csv"
_MOST_TOLD = 20  # unknown images for which the nearest known one is looked up, which is slow
MARKS = {"point": ("x", "y"), "box": ("x1", "y1", "x2", "y2")}  # kinds of marks and their columns


@dataclass
class _Tables:
    """The state while the tables are read. rows: the rows of tags.csv by the name of their image; respelled: those that
    write it in another way, by what they write. refused: images whose rows in tags.csv have an error. others: names of
    images of subsets other than train and val. valid: classes that marks may have. hints: nearest names of unknown
    classes. far: number of images not found in the rows."""

    pictures: Pictures
    notes: Notes
    chosen: tuple[str, ...]
    rows: dict[str, Drawing] = field(default_factory=dict)
    respelled: dict[str, Drawing] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    valid: set[str] = field(default_factory=set)
    hints: Hints = field(default_factory=Hints)
    far: int = 0


def looks_like(path: Path) -> bool:
    """Whether a file is a tags.csv, or a folder contains one."""
    try:
        return (path / TAGS).is_file() or (path.name == TAGS and path.is_file())
    except OSError:
        return False


def read(source: Source, notes: Notes) -> Reading:
    """The images of tags.csv, with the points.csv and boxes.csv beside it, if any. Raises InputError if a table is
    invalid."""
    root = source.root
    path = source.annotations / TAGS if source.annotations.is_dir() else source.annotations
    tables = _Tables(Pictures(source.root), notes, source.settings.class_names or ())
    _read_rows(path, tables)
    tables.valid = set(tables.chosen) or {shape.label for row in tables.rows.values() for shape in row.shapes}
    if tables.rows and not tables.valid:
        notes.add(f"{path} gives no image a tag.")
    counts = {}
    for kind in MARKS:
        marks = path.with_name("points.csv" if kind == "point" else "boxes.csv")
        if marks.exists():
            _read_marks(marks, kind, tables)
            counts[f"tags_without_a_{kind}"] = sum(_unmarked(row, kind) for row in tables.rows.values())
    folders = [root / name for name in tables.pictures.names if name not in tables.others] if tables.others else ()
    pictures = None if tables.others else tables.pictures
    return Reading(list(tables.rows.values()), folders=folders, counts=counts, pictures=pictures)


def _unmarked(row: Drawing, kind: str) -> int:
    """The number of tags of an image without a mark of this kind."""
    labels = {of: {shape.label for shape in row.shapes if shape.kind == of} for of in ("tag", kind)}
    return len(labels["tag"] - labels[kind])


def _image_path(cells: dict[str, str]) -> str:
    """The image of a row as a path with slashes, without './'; empty if the cell is."""
    return str(PurePosixPath(cells["image"].replace("\\", "/"))) if cells["image"] else ""


def _split_tags(text: str, by_spaces: bool) -> list[str]:
    return text.split() if by_spaces else [tag.strip() for tag in re.split("[;,]", text) if tag.strip()]


@cache  # one object for all images with the tag: there may be millions
def _tag(label: str) -> Shape:
    return Shape(f"tag '{label}'", "tag", label)


def _read_rows(path: Path, tables: _Tables) -> None:
    """Reads the rows of tags.csv; notes missing images, repeated images and unknown splits."""
    notes = tables.notes
    table = read_table(path, ("image", "tags", "split"), 2, notes)
    by_spaces = not any(mark in cells["tags"] for _, cells in table for mark in ";,")
    table.reverse()
    while table:  # each row is released before the next
        where, cells = table.pop()
        image, split = _image_path(cells), cells.get("split", "")
        if not image:
            notes.add(f"{where} names no image.")
            continue
        if split and not is_subset(split):
            notes.add(f"{where}: split '{split}' is not train or val; {nearest(split, SPLITS)}.")
            tables.refused.add(image)
            continue
        try:
            name = tables.pictures.find_name(image)
        except InputError as error:
            notes.add(f"{where}: {error}.")
            tables.refused.add(image)
            continue
        shapes = [_tag(tag) for tag in _split_tags(cells["tags"], by_spaces)]
        part = split_of(split) if split else ""
        row = Drawing(where, name, shapes=shapes, split=part or "")
        if part is None and name not in tables.rows:
            notes.leave_out("pictures_of_other_subsets", where)
            notes.leave_out("shapes_of_pictures_left_out", where, len(shapes))
            tables.others.add(name)
        elif name in tables.rows or name in tables.others:
            also = tables.rows[name].where if name in tables.rows else "a row of another subset"
            notes.add(f"{where}: image '{image}' is also in {also}.")
        else:
            tables.rows[name] = row
            if image != name:
                tables.respelled[image] = row
    if not tables.rows and not notes.sentences:
        notes.add(f"{path} lists no image{' of train or val' if tables.others else ''}.")


def _read_marks(path: Path, kind: str, tables: _Tables) -> None:
    """Adds the points or boxes of a table to the rows; notes invalid numbers, unknown images or classes, marks that
    contradict the tags, and an empty table."""
    columns, notes = MARKS[kind], tables.notes
    table = read_table(path, ("image", *columns, "class"), len(columns) + 2, notes)
    for where, cells in table:
        image, label = _image_path(cells), cells["class"]
        if image in tables.refused:
            continue  # one sentence is enough
        try:
            values = tuple(float(cells[column]) for column in columns)
        except ValueError:
            notes.add(f"{where}: {_not_numbers(cells, columns)}, not numbers; decimals have a point.")
            continue
        row = _row_of(image, tables)
        if row is None and _find(image, tables) in tables.others:
            notes.leave_out("shapes_of_pictures_left_out", where)
        elif row is None:
            notes.add(f"{where}: image '{image}' is not in the tag file; {_near(image, tables)}")
        elif fault := _against_the_tags(row, kind, label, tables):
            notes.add(f"{where}: {fault}")
        else:
            place = f"{path.name}:{where.rpartition(':')[2]}, image '{row.name}'"
            row.shapes.append(Shape(place, kind, label, values))
    if not table and not notes.sentences:
        notes.add(f"{path} holds no {kind}.")


def _row_of(image: str, tables: _Tables) -> Drawing | None:
    """The row of an image: the one with the same spelling, else the one of the same file."""
    return tables.respelled.get(image) or tables.rows.get(image) or tables.rows.get(_find(image, tables))


def _find(image: str, tables: _Tables) -> str:
    """The name of the image that a table means; empty if there is none."""
    try:
        return tables.pictures.find_name(image)
    except InputError:
        return ""


def _near(image: str, tables: _Tables) -> str:
    """The image of tags.csv with the nearest name; their number if none is near, or after many such images."""
    tables.far += 1
    close = get_close_matches(image, _written(tables), n=1, cutoff=0.8) if tables.far <= _MOST_TOLD else []
    count = len(tables.rows)
    return f"the nearest is '{close[0]}'" if close else f"it has {count} other{'s' * (count != 1)}."


def _written(tables: _Tables) -> list[str]:
    """The images as tags.csv writes them."""
    respelled = {row.name for row in tables.respelled.values()}
    return [*tables.respelled, *(name for name in tables.rows if name not in respelled)]


def _against_the_tags(row: Drawing, kind: str, label: str, tables: _Tables) -> str:
    """The error in the class of a mark; empty if the image is tagged with it, or if it is not a class."""
    tags = {shape.label for shape in row.shapes if shape.kind == "tag"}
    if label in tags or is_no_class(label, tables.chosen) or is_ignored(label, tables.chosen):
        return ""
    if label not in tables.valid:
        return f"there is no class '{label}'; {tables.hints.nearest(label, tables.valid)}"
    return f"image '{row.name}' has a {kind} of '{label}' but is not tagged with it."


def _not_numbers(cells: dict[str, str], columns: tuple[str, ...]) -> str:
    """'x and y are 'a' and 'b''."""
    return f"{' and '.join(columns)} are {' and '.join(repr(cells[column]) for column in columns)}"
