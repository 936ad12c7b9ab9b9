"""The results of a Label Studio annotation: regions with their labels, and answers to questions.

A region is a result with a geometry, in percent of the image's sides. Other results with the same id add to it: their
`labels` are labels of the region. Answers that belong to no region are about the whole image.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wsis_steps.formats.brush import decode_brush
from wsis_steps.formats.drawing import Shape, foreign_kind
from wsis_steps.formats.notes import Notes, Unusable
from wsis_steps.formats.regions import read_png, turned_rectangle
from wsis_steps.formats.rings import numbers, read_rings, shown
from wsis_steps.vision.masks import encode

_MOST = 1 << 16  # pixels of a picture's side
_ANSWERS = frozenset(
    {"choices", "taxonomy", "textarea", "rating", "number", "datetime", "pairwise", "ranker", "relation"}
)
_GEOMETRY = frozenset({"x", "points", "vertices", "rle", "imageDataURL", "sequence", "start"})


@dataclass
class Region:
    """A region. labels: its own and those of results with its id; controls: the controls they were chosen with."""

    where: str
    row: dict
    kind: str
    value: dict
    labels: list[object]
    controls: set[str]

    @property
    def count(self) -> int:
        """The number of its marks."""
        return max(len(self.labels), 1)


@dataclass
class Answer:
    """`count` answers to a question. control: the control they were given with. choices: the chosen ones, if the
    question is about the whole image."""

    where: str
    row: dict
    control: str
    choices: list[object]
    count: int


@dataclass
class Results:
    """The regions and answers of an annotation."""

    regions: list[Region] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


def read_results(rows: Sequence[dict], where: str, notes: Notes) -> Results:
    """The regions and answers of an annotation; notes unreadable results."""
    found, joined = Results(), {}
    region_ids = {_identity(row) for row in rows if not _is_answer(row.get("type"))} - {None}
    drawn_ids = {_identity(row) for row in rows if _drawn(row.get("type"))} - {None}
    for place, row in enumerate(rows, 1):
        kind = row.get("type")
        told = f"result {place} ({kind})" if isinstance(kind, str) else f"result {place}"
        try:
            if not isinstance(kind, str):
                raise ValueError("it has no 'type'")
            if _is_answer(kind):
                found.answers.append(_answer(row, told, region_ids))
            elif kind == "labels" and _identity(row) in drawn_ids:
                joined.setdefault(_identity(row), []).append((_labels(_value(row)), _control(row)))
            else:
                found.regions.append(_region(row, told))
        except ValueError as error:
            notes.add(f"{where}: {told}: {error}.")
    for region in found.regions:
        for labels, control in joined.pop(_identity(region.row), []) if _drawn(region.row["type"]) else []:
            region.labels += labels
            region.controls.add(control)
    return found


def _identity(row: dict) -> str | int | None:
    return row["id"] if isinstance(row.get("id"), str | int) else None


def _is_answer(kind: object) -> bool:
    return isinstance(kind, str) and kind in _ANSWERS


def _drawn(kind: object) -> str:
    """The kind of a region, from the type of its result; '' if the kind is not supported."""
    bare = kind.removesuffix("labels") if isinstance(kind, str) else ""
    return bare if bare in _READ else ""


def _control(row: dict) -> str:
    return row["from_name"] if isinstance(row.get("from_name"), str) else ""


def _value(row: dict) -> dict:
    if not isinstance(row.get("value"), dict):
        raise ValueError(f"its 'value' is {shown(row.get('value'))}, not an object with its properties")
    return row["value"]


def _answer(row: dict, where: str, region_ids: Collection[str | int]) -> Answer:
    if row["type"] != "choices":
        return Answer(where, row, _control(row), [], 1)
    value = _value(row)
    choices = value.get("choices")
    choices = [choices] if isinstance(choices, str) else choices
    if not isinstance(choices, list):
        raise ValueError(f"its 'choices' are {shown(choices)}, not a list")
    of_region = row.get("parentID") or _identity(row) in region_ids or not _GEOMETRY.isdisjoint(value)
    return Answer(where, row, _control(row), [] if of_region else choices, len(choices))


def _region(row: dict, where: str) -> Region:
    value = _value(row)
    labels = _labels(value)
    return Region(where, row, _drawn(row["type"]) or _kind(row["type"], value), value, labels, {_control(row)})


def _labels(value: dict) -> list[object]:
    """The labels of a region, stored under the type of its result."""
    found = []
    for key, labels in value.items():
        if key.endswith("labels") and labels is not None:
            labels = [labels] if isinstance(labels, str) else labels
            if not isinstance(labels, list):
                raise ValueError(f"its '{key}' are {shown(labels)}, not a list")
            found += labels
    return found


def _kind(kind: str, value: dict) -> str:
    """The kind of a region of type `labels`, derived from its geometry; other types are foreign."""
    if kind != "labels":
        return foreign_kind(kind)
    keys = {"rle": "brush", "imageDataURL": "bitmask", "radiusX": "ellipse", "points": "polygon", "width": "rectangle"}
    return next((name for key, name in keys.items() if key in value), foreign_kind("labels"))


def class_controls(found: Sequence[Results], class_names: Collection[str], path: Path, notes: Notes) -> set[str]:
    """The names of the controls whose choices about whole images are classes; see `label_studio.py` for the rules."""
    labels = {label for one in found for region in one.regions for label in region.labels if isinstance(label, str)}
    labelling = {name for one in found for region in one.regions if region.labels for name in region.controls}
    choices: dict[str, set[str]] = {}
    for answer in (answer for one in found for answer in one.answers if answer.choices):
        choices.setdefault(answer.control, set()).update(name for name in answer.choices if isinstance(name, str))
    known = set(class_names) or labels
    chosen = {control for control, names in choices.items() if control in labelling or names & known}
    if chosen or labels or not choices:
        return chosen
    if len(choices) > 1:
        several = ", ".join(f"'{control}' ({_some(names)})" for control, names in sorted(choices.items()))
        notes.add(f"{path}: the choices of any of these may be classes: {several}; set `class_names`.")
    return set(choices)


def _some(names: Collection[str]) -> str:
    return ", ".join(sorted(names)[:4]) + (", ..." if len(names) > 4 else "")


def stated_size(row: dict) -> tuple[int, int]:
    """The height and width of the image that a result states, 0 if none. Raises ValueError if they are invalid."""
    if row.get("original_height") is None and row.get("original_width") is None:
        return 0, 0
    height, width = row.get("original_height"), row.get("original_width")
    if not all(isinstance(side, int | float) and 0 < side <= _MOST and side == int(side) for side in (height, width)):
        told = f"{shown(width)} and {shown(height)}"
        raise ValueError(f"its 'original_width' and 'original_height' are {told}, which is no size of a picture")
    return int(height), int(width)


def region_shapes(region: Region, height: int, width: int) -> Iterator[Shape]:
    """The marks of a region, in pixels or, if the size of the image is unknown, in shares of its sides where possible.
    Raises ValueError if it cannot be read."""
    turn = region.row.get("image_rotation")
    if turn is not None and not (isinstance(turn, int | float) and turn % 360 == 0):
        told = f"its 'image_rotation' is {shown(turn)}, so that its places are of a picture that lies otherwise"
        kind, geometry = region.kind, Unusable(f"{told}; turn the file itself", "shapes_of_turned_pictures")
    elif region.kind in _READ:
        kind, geometry = _READ[region.kind](region.value, height, width)
    else:
        kind, geometry = region.kind, None
    for label in region.labels or [""]:
        yield Shape(region.where, kind, label, geometry)


def _numbers(value: dict, *keys: str) -> list[float]:
    for key in keys:
        try:
            numbers([value.get(key)], 1)
        except ValueError:
            raise ValueError(f"its '{key}' is {shown(value.get(key))}, not a number") from None
    return numbers([value[key] for key in keys], len(keys))


def _scale(height: int, width: int) -> tuple[float, float]:
    """The factors for percents of the width and of the height."""
    return (width / 100, height / 100) if height else (0.01, 0.01)


def _rotation(value: dict) -> float:
    """In degrees, clockwise."""
    return _numbers(value, "rotation")[0] % 360 if value.get("rotation") else 0.0


def _check_size(height: int) -> None:
    if not height:
        raise ValueError("it needs 'original_width' and 'original_height'")


def _rectangle(value: dict, height: int, width: int) -> tuple[str, object]:
    across, down = _scale(height, width)
    x, y, w, h = _numbers(value, "x", "y", "width", "height")
    x, y, w, h = x * across, y * down, w * across, h * down
    if turn := _rotation(value):
        _check_size(height)
        return "rings", [turned_rectangle(x, y, w, h, turn, "corner").ravel().tolist()]
    return "box", (x, y, x + w, y + h)


def _ellipse(value: dict, height: int, width: int) -> tuple[str, object]:
    _check_size(height)
    across, down = _scale(height, width)
    x, y, radius_x, radius_y = _numbers(value, "x", "y", "radiusX", "radiusY")
    return "ellipse", (x * across, y * down, radius_x * across, radius_y * down, _rotation(value))


def _polygon(value: dict, height: int, width: int) -> tuple[str, object]:
    points = value.get("points")
    if not isinstance(points, list):
        raise ValueError(f"its 'points' are {shown(points)}, not a list")
    return "rings", [(ring * _scale(height, width)).ravel().tolist() for ring in read_rings(points, least=1)]


def _keypoint(value: dict, height: int, width: int) -> tuple[str, object]:
    across, down = _scale(height, width)
    x, y = _numbers(value, "x", "y")
    half = 0.5 if height else 0.0  # of a pixel: its center is 0, 0
    return "point", (x * across - half, y * down - half)


def _brush(value: dict, height: int, width: int) -> tuple[str, object]:
    _check_size(height)
    return "mask", encode(decode_brush(value.get("rle"), height, width)[None])[0]


def _bitmask(value: dict, height: int, width: int) -> tuple[str, object]:
    """The mask of the pixels that are not transparent."""
    _check_size(height)
    address = value.get("imageDataURL")
    picture = read_png(address.partition(",")[2] if isinstance(address, str) else None)
    if not picture.has_transparency_data:
        raise ValueError("its picture has nothing transparent, so it does not tell what is drawn")
    if picture.size != (width, height):
        raise ValueError(f"its mask is {picture.width}x{picture.height}, the picture {width}x{height}")
    opacity = np.asarray(picture.convert("RGBA"))[..., 3]
    return "mask", encode((opacity > 0)[None])[0]


_READ: dict[str, Callable[[dict, int, int], tuple[str, object]]] = {
    "rectangle": _rectangle,
    "ellipse": _ellipse,
    "polygon": _polygon,
    "keypoint": _keypoint,
    "brush": _brush,
    "bitmask": _bitmask,
}
