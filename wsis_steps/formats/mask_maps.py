"""Class maps and object maps, one PNG or NumPy file per image, and the legend of their values or colors.

CVAT and Datumaro write colors, listed in a labelmap.txt (`leaf:10,200,30::`); labelme2voc writes values, which are line
numbers of a class_names.txt.
"""

import io
import re
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.files import read_bytes
from wsis_steps.formats.labels import is_no_class
from wsis_steps.formats.lists import read_lines
from wsis_steps.formats.notes import Notes
from wsis_steps.formats.rings import shown
from wsis_steps.formats.voc_masks import VOID, open_map, palette
from wsis_steps.formats.voc_tree import class_values

LEGENDS = ("labelmap.txt", "class_names.txt")
MOST_COLORS = 255  # objects with colors of their own in CVAT's maps; the 257th has the color of the first
IGNORED = -1  # the value of ignored pixels
_LABEL = re.compile(r"(.*?)\s*:\s*(\d+\s*,\s*\d+\s*,\s*\d+)?\s*(?::[^:]*){0,2}")
# What NumPy raises for broken files and files of other kinds.
_NO_ARRAY = (OSError, ValueError, EOFError, SyntaxError, TypeError, KeyError, OverflowError, MemoryError, TokenError)
_VALUES = ("L", "P", "I", "I;16", "I;16B")  # image modes that hold values


@dataclass(frozen=True)
class Legend:
    """The meaning of the pixels of maps.

    file: the legend file. names: value -> class, where 0 is the background. values: gray level -> value. colors: red,
    green and blue as one number -> value; None if maps hold values only.
    """

    file: Path
    names: dict[int, str]
    values: dict[int, int]
    colors: dict[int, int] | None = None

    @property
    def class_names(self) -> list[str]:
        """The classes in their order."""
        return [name for value, name in sorted(self.names.items()) if value > 0]


def find_legend(folder: Path) -> Path | None:
    """The legend file of the maps in a folder; None if there is none."""
    return next((folder / name for name in LEGENDS if (folder / name).is_file()), None)


def read_legend(file: Path, notes: Notes) -> Legend:
    """The content of a labelmap.txt or a class_names.txt; notes wrong lines."""
    if file.name != LEGENDS[0]:
        names = class_values(file)
        return Legend(file, names, {-1: IGNORED, VOID: IGNORED, 0: 0} | {value: value for value in names})
    rows = _read_labels(file, notes)
    codes = _codes(np.array(palette()).reshape(256, 3)).tolist()
    if rows and all(color is None for *_, color in rows):  # then colors follow VOC's palette
        rows = [(where, name, code) for (where, name, _), code in zip(rows, codes, strict=False)]
    # Black is always the background; VOC's last color marks void pixels.
    names, values, colors, first = {}, {VOID: IGNORED}, {0: 0, codes[VOID]: IGNORED}, {}
    for place, (where, name, color) in enumerate(rows, 1):
        if color is not None and color in first:
            notes.add(f"{where}: '{name}' has the same color as '{first[color]}', so maps cannot separate them.")
        first[color] = name
        is_void = color == codes[VOID] and name.casefold() in ("ignored", "void")
        value = 0 if color == 0 or is_no_class(name) else IGNORED if is_void else place
        names[value] = name
        values[place - 1] = value
        if color is not None:
            colors[color] = value
    return Legend(file, names, values, colors)


def _read_labels(file: Path, notes: Notes) -> list[tuple[str, str, int | None]]:
    """The lines of a labelmap.txt: 'file:line', label, and color (None if it has none)."""
    rows, first = [], {}
    for number, line in read_lines(file):
        where = f"{file}:{number}"
        found = _LABEL.fullmatch(line)
        color = [int(level) for level in found.group(2).split(",")] if found and found.group(2) else None
        if line.startswith("#"):
            continue
        if not found or (color and max(color) > 255):
            notes.add(f"{where} reads {shown(line)}; expected is label:red,green,blue:: with levels from 0 to 255.")
        elif found.group(1) in first:
            notes.add(f"{where}: the label '{found.group(1)}' is also in line {first[found.group(1)]}.")
        else:
            first[found.group(1)] = number
            rows.append((where, found.group(1), None if color is None else int(_codes(np.array(color)))))
    return rows


def _codes(colors: np.ndarray) -> np.ndarray:
    """Colors, integers (..., 3), as one number each."""
    return colors.astype(np.int32) @ np.array([1, 256, 65536], np.int32)


def read_classes(path: Path, legend: Legend) -> np.ndarray:
    """A class map, int32 (h, w): the values of the legend, IGNORED for ignored pixels.

    Raises InputError for a broken file, and for a value or color that is missing from the legend.
    """
    found, is_colored = _read_map(path, legend)
    known = legend.colors if is_colored else legend.values
    there = np.unique(found)
    unknown = [code for code in there.tolist() if code not in known]
    if unknown and is_colored:
        color = tuple(unknown[0] >> shift & 255 for shift in (0, 8, 16))
        raise InputError(f"{path} has {len(unknown)} colors that are not in {legend.file}; the first is {color}.")
    if unknown:
        raise InputError(f"{path}: class value {unknown[-1]} is not in {legend.file}.")
    return np.array([known[code] for code in there.tolist()], np.int32)[np.searchsorted(there, found)]


def read_objects(path: Path, legend: Legend) -> np.ndarray:
    """An object map, int32 (h, w): the number of each pixel's object, 0 for none. Raises InputError."""
    found, is_colored = _read_map(path, legend)
    if not is_colored:
        return np.maximum(found, 0)
    colors = np.unique(found[found != 0]).tolist()
    if len(colors) >= MOST_COLORS:
        raise InputError(
            f"{path} has {len(colors)} objects; CVAT's maps have no more colors and merge further objects. Export "
            "these images as COCO."
        )
    order = {code: number for number, code in enumerate(_codes(np.array(palette()).reshape(256, 3)).tolist())}
    numbers = [0, *(order.get(color, 256 + k) for k, color in enumerate(colors))]
    return np.array(numbers, np.int32)[np.searchsorted(colors, found, side="right")]


def _read_map(path: Path, legend: Legend) -> tuple[np.ndarray, bool]:
    """A map as int32 (h, w), and whether it holds colors (as single numbers) instead of values. Raises InputError."""
    if path.suffix == ".npy":
        return _read_array(path), False
    picture = open_map(path)
    if legend.colors is not None and picture.mode in ("P", "RGB", "RGBA"):
        return _codes(np.array(picture.convert("RGB"))), True
    if picture.mode not in _VALUES:
        raise InputError(f"{path} has mode {picture.mode}; a mask must be a palette or a gray PNG.")
    return np.array(picture).astype(np.int32), False


def _read_array(path: Path) -> np.ndarray:
    """The integers (h, w) of a NumPy file. Raises InputError if it contains anything else."""
    try:
        found = np.lib.format.read_array(io.BytesIO(read_bytes(path)), allow_pickle=False)
    except _NO_ARRAY:
        raise InputError(f"{path} is not a NumPy file of a mask.") from None
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype.kind not in "iu" or not found.size:
        raise InputError(f"{path} is not a NumPy file of a mask, integers (height, width).")
    return np.clip(found, -1, np.iinfo(np.int32).max).astype(np.int32)
