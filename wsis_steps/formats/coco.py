"""Reads COCO JSON from any tool: boxes and masks of instances, and crowd regions (`iscrowd`).

Classes are ordered by category id. Ids may be numbers or text; 7 and "7" are the same id. An annotation without a
segmentation is a box, or a polygon if CVAT marked it as rotated. A category that only groups all others, as Roboflow
writes it, is not a class.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from wsis_steps.engine.errors import Hints, InputError
from wsis_steps.formats.coco_annotations import count_keypoints, read_shape
from wsis_steps.formats.coco_layouts import Part, find_parts, looks_like
from wsis_steps.formats.drawing import Drawing, Reading, Source, tell_apart
from wsis_steps.formats.files import read_json
from wsis_steps.formats.notes import Notes
from wsis_steps.formats.picture_names import Pictures, is_elsewhere
from wsis_steps.formats.places import may_be_corners
from wsis_steps.formats.rings import shown

__all__ = ["looks_like", "read"]

_LISTS = ("images", "annotations", "categories")
_MOST = 10**9  # pixels of a side
Id = int | str


@dataclass(frozen=True)
class _Category:
    """name: as text. group: its supercategory."""

    name: str
    group: str


@dataclass
class _Found:
    """The content of all files. categories: those of the file `first`, by id. used: positions of the categories that
    have annotations. pictures: the images of each folder that belongs to a file."""

    drawings: list[Drawing] = field(default_factory=list)
    categories: dict[Id, _Category] = field(default_factory=dict)
    first: Path | None = None
    used: set[int] = field(default_factory=set)
    pictures: dict[Path, Pictures] = field(default_factory=dict)
    doubts: list[tuple[str, str]] = field(default_factory=list)


def read(source: Source, notes: Notes) -> Reading:
    """Reads the COCO files of a data set. Raises InputError if there are none."""
    found, parts = _Found(), find_parts(source)
    for part in parts:
        with notes.catch():
            _read_part(part, found, notes)
    folders = {part.folder for part in parts if part.split is not None}
    names = _class_names(found, notes)
    tell_apart(found.drawings, source.root)
    return Reading(found.drawings, names, [] if None in folders else _outermost(folders), doubts=found.doubts)


def _read_part(part: Part, found: _Found, notes: Notes) -> None:
    """Adds the content of a file; the content of other subsets is only counted."""
    content = read_json(part.file)
    lists = {key: content.get(key) if isinstance(content, dict) else None for key in _LISTS}
    missing = [key for key, rows in lists.items() if not isinstance(rows, list)]
    if part.split is None:
        reasons = {"images": "pictures_of_other_subsets", "annotations": "shapes_of_pictures_left_out"}
        for key in reasons.keys() - set(missing):
            notes.leave_out(reasons[key], str(part.file), len(lists[key]))
        return
    if missing:
        raise InputError(f"{part.file} has no list '{missing[0]}', so it is not a COCO instance file.")
    categories = _categories(lists["categories"], part.file, notes)
    if found.first is None:
        found.first, found.categories = part.file, categories
    elif sorted(_names(found.categories)) != sorted(_names(categories)):  # different ids are harmless
        notes.add(f"{part.file} has other categories than {found.first}{_difference(categories, found.categories)}.")
    if part.folder and part.folder not in found.pictures:
        found.pictures[part.folder] = Pictures(part.folder)
    del content
    images = _images(lists.pop("images"), part, found.pictures.get(part.folder), notes)
    used = _add_annotations(lists.pop("annotations"), part.file, images, categories, notes)
    found.used |= _places(used, categories, found.categories)
    drawings = [drawing for drawing in images.values() if drawing]
    if may_be_corners(drawings):
        found.doubts.append(("boxes_that_may_be_corners", str(part.file)))
    found.drawings += drawings


def _places(used: set[Id], own: dict[Id, _Category], first: dict[Id, _Category]) -> set[int]:
    """The positions, in the first file, of the categories that another file uses: matched by id if the name is the same
    in both files, else by name."""
    names = {own[key].name for key in used if key in own and first.get(key, own[key]).name != own[key].name}
    names |= {own[key].name for key in used if key in own and key not in first}
    return {
        place
        for place, (key, one) in enumerate(first.items())
        if one.name in names or (key in used and key in own and own[key].name == one.name)
    }


def _outermost(folders: Collection[Path]) -> list[Path]:
    """The folders that are not inside another of them, sorted."""
    return sorted(folder for folder in folders if not any(other in folder.parents for other in folders))


def as_id(value: object) -> Id | None:
    """An id, as a number if text or a float states one; None if it is not an id."""
    if isinstance(value, str):
        text = value.strip()
        # the zeros of "007" may matter
        return int(text) if len(text) < 20 and text.isascii() and text.isdigit() and str(int(text)) == text else value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _categories(rows: list, file: Path, notes: Notes) -> dict[Id, _Category]:
    """The categories by id, sorted by id."""
    found: dict[Id, _Category] = {}
    for place, row in enumerate(rows, 1):
        row = row if isinstance(row, dict) else {}
        key, name = as_id(row.get("id")), row.get("name")
        if key is None or not isinstance(name, str | int) or isinstance(name, bool):
            notes.add(f"{file}: category {place} of the list needs an 'id' and a 'name'.")
        elif key in found:
            notes.add(f"{file}: two of its categories share an id, {shown(key)}.")
        else:
            group = row.get("supercategory")
            found[key] = _Category(str(name).strip(), group.strip() if isinstance(group, str) else "")
    return dict(sorted(found.items(), key=lambda item: (isinstance(item[0], str), item[0])))


def _names(categories: dict[Id, _Category]) -> list[str]:
    return [category.name for category in categories.values()]


def _difference(one: dict[Id, _Category], other: dict[Id, _Category]) -> str:
    """The names that only one of two lists of categories has."""
    odd = sorted(set(_names(one)) ^ set(_names(other)))
    return f": {', '.join(map(repr, odd[:4]))}{' ...' * (len(odd) > 4)} is not in both" if odd else ""


def _class_names(found: _Found, notes: Notes) -> list[str]:
    """The names of the categories, without one that only groups all others."""
    categories = dict(found.categories)
    groups = Counter(category.group for category in categories.values())
    for key, category in [item for place, item in enumerate(categories.items()) if place not in found.used]:
        if groups[category.name] == len(categories) - 1 > 0 and category.group != category.name:
            notes.leave_out("categories_without_images", f"{found.first}: category '{category.name}'")
            del categories[key]
            break
    names = _names(categories)
    for name in sorted(name for name, count in Counter(names).items() if count > 1):
        notes.add(f"{found.first}: two of its categories share a name, '{name}'.")
    return names


def _images(rows: list, part: Part, pictures: Pictures | None, notes: Notes) -> dict[Id, Drawing | None]:
    """Image id -> its drawing, still without shapes; None for an image with an error."""
    found: dict[Id, Drawing | None] = {}
    taken: dict[Path, str] = {}
    for place, row in enumerate(rows, 1):
        row = row if isinstance(row, dict) else {}
        key, name = as_id(row.get("id")), row.get("file_name")
        if key is None or not isinstance(name, str) or not name:
            notes.add(f"{part.file}: image {place} of the list needs an 'id' and a 'file_name'.")
            if key is not None:
                found[key] = None
        elif key in found:
            other = f"'{found[key].name}'" if found[key] else "another one"
            notes.add(f"{part.file}: the id {shown(key)} of image '{name}' is also that of {other}.")
        else:
            drawing = found[key] = _image(row, name.replace("\\", "/"), part, pictures, notes)
            if drawing and drawing.path and taken.setdefault(drawing.path, name) is not name:
                notes.add(f"{drawing.where}: {drawing.path} is also the picture of image '{taken[drawing.path]}'.")
                found[key] = None
    if not rows:
        notes.add(f"{part.file} lists no image.")
    return found


def _image(row: dict, name: str, part: Part, pictures: Pictures | None, notes: Notes) -> Drawing | None:
    where = f"{part.file}: image '{name}'"
    try:
        sides = _side(row, "height"), _side(row, "width")
        drawing = Drawing(where, name, *sides, split=part.split or "", sized=True, middles=True)
        if pictures:
            drawing.path = pictures.find(name)
            drawing.name = pictures.name(drawing.path) if is_elsewhere(name) else name
        return drawing
    except (ValueError, InputError) as error:
        notes.add(f"{where}: {error}.")
        return None


def _side(row: dict, key: str) -> int:
    """The stated height or width of an image, 0 if missing. Raises ValueError if it is invalid."""
    value = row.get(key)
    if value is None:
        return 0
    found = as_id(value)
    if not isinstance(found, int) or not 0 <= found <= _MOST:
        raise ValueError(f"its '{key}' is {shown(value)}, not a whole number of pixels")
    return found


def _add_annotations(
    rows: list, file: Path, images: dict[Id, Drawing | None], categories: dict[Id, _Category], notes: Notes
) -> set[Id]:
    """Adds the shapes to their images and returns the ids of the categories used."""
    used, hints, known = set(), Hints(), [str(key) for key in categories]
    for place in range(len(rows)):
        row, rows[place] = rows[place], None  # frees what the shape does not keep; there may be a million
        try:
            if not isinstance(row, dict):
                raise ValueError(f"it is {shown(row)}, not an object with its properties")
            image, category = as_id(row.get("image_id")), as_id(row.get("category_id"))
            used.add(category)
            if image not in images:
                raise ValueError(_unlisted(row, "image_id", image))
            if category not in categories:
                hint = f"; {hints.nearest(str(category), known)}" if category is not None else ""
                raise ValueError(_unlisted(row, "category_id", category) + hint)
            shape = read_shape(row, _where(row, place), categories[category].name)
            notes.leave_out("keypoints_of_objects", f"{file}: {_where(row, place)}", count_keypoints(row))
            if drawing := images[image]:
                drawing.shapes.append(shape)
        except ValueError as error:
            notes.add(f"{file}: {_where(row, place)}: {error}.")
    return used


def _where(row: object, place: int) -> str:
    """'annotation 17' by its id, or its position if it has no id."""
    key = as_id(row.get("id")) if isinstance(row, dict) else None
    return (
        f"entry {place + 1} of 'annotations'"
        if key is None
        else f"annotation {key if type(key) is int else shown(key)}"
    )


def _unlisted(row: dict, name: str, key: Id | None) -> str:
    if key is None:
        return f"its '{name}' is {shown(row[name])}, which is no id" if name in row else f"it has no '{name}'"
    return f"it is of {name.removesuffix('_id')} {shown(key)}, which the file does not list"
