"""Label Studio's JSON: reading what people exported.

A brush mask there is the run-length code of the package rle-pack over the four channels of a picture, whose last one,
the opacity, counts: a header of 32 bits (number of values), 5 (bits of a value less one) and four times 4 (bits of the
lengths less one), then runs of a bit (1: one value repeated, 0: values one by one), 2 bits (which of the four lengths),
the length less one, and the value or values.
"""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlparse

import numpy as np

from wsis_steps.data.drawings import Drawing, box_corners, not_a, polygon_mask, what_is_wrong
from wsis_steps.data.files import read_bytes
from wsis_steps.data.pictures import SUFFIXES
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.problems import Problems
from wsis_steps.vision.masks import encode

_CHANNELS = 4
MOST = 1 << 16  # pixels of a picture's side


def decode_brush(code: list[int], height: int, width: int) -> np.ndarray:
    """The binary mask uint8 (height, width) of a code; ValueError where it is none of such a picture."""
    bits = np.unpackbits(np.array(code, np.uint8))
    text = bits.tobytes().translate(bytes([48, 49]) + bytes(254)).decode("ascii")
    count, size = int(text[:32] or "0", 2), int(text[32:37] or "0", 2) + 1
    lengths = [int(text[37 + 4 * k : 41 + 4 * k] or "0", 2) + 1 for k in range(4)]
    if count != _CHANNELS * height * width or size > 8:
        raise ValueError(f"a brush mask of {count} values on a picture of {width}x{height}")
    values, done, at = np.zeros(count, np.uint8), 0, 53
    while done < count:
        length = lengths[int(text[at + 1 : at + 3] or "0", 2)]
        repeated, end = text[at : at + 1] == "1", done + 1 + int(text[at + 3 : at + 3 + length] or "0", 2)
        at += 3 + length
        number = 1 if repeated else end - done
        words = bits[at : at + number * size].reshape(-1, size) if at + number * size <= len(bits) else None
        if words is None or end > count:
            raise ValueError("a brush mask that breaks off")
        values[done:end] = words @ (1 << np.arange(size)[::-1])
        done, at = end, at + number * size
    return (values.reshape(height, width, _CHANNELS)[..., 3] > 0).astype(np.uint8)


def image_name(address: str) -> str:
    """The path of a picture in an address of Label Studio's: /data/local-files/?d=a/b.jpg, /data/upload/1/b.jpg."""
    parts = urlparse(str(address))
    named = parse_qs(parts.query).get("d")
    return named[0] if named else unquote(parts.path)


def read_label_studio(path: Path, problems: Problems) -> list[Drawing]:
    """The annotated tasks of an export in Label Studio's own JSON; what cannot be read is noted.

    Of a task with several annotations the last that was not cancelled counts; tasks with suggestions only are left out.
    Raises InputError where the file is none.
    """
    try:
        tasks = json.loads(read_bytes(path))
    except ValueError as error:
        raise not_a(path, "a JSON file", error) from None
    if not isinstance(tasks, list) or not all(isinstance(task, dict) and _has_data(task) for task in tasks):
        raise not_a(path, "an export of Label Studio", "it holds no list of tasks (choose JSON, not JSON-MIN)")
    drawings = []
    for number, task in enumerate(tasks, 1):
        where = f"{path}: task {task.get('id', number)}"
        try:
            kept = [list(one["result"] or []) for one in task.get("annotations") or [] if not one.get("was_cancelled")]
        except (AttributeError, KeyError, TypeError):
            problems.add(f"{where} has annotations that are none.")
            continue
        image = _picture(task["data"])
        if kept and not image:
            problems.add(f"{where} names no picture.")
        elif kept:
            with problems.catch():
                drawings.append(_drawing(where, image, kept[-1]))
    return drawings


def _has_data(task: dict) -> bool:
    return isinstance(task.get("data"), dict)


def _picture(data: dict) -> str:
    """The first value that names a picture; where none has the suffix of one, the first with a suffix."""
    names = [image_name(value) for value in data.values() if isinstance(value, str) and "." in value]
    pictures = [name for name in names if PurePosixPath(name).suffix.lower() in SUFFIXES]
    return next(iter(pictures + names), "")


def _drawing(where: str, image: str, results: list[dict]) -> Drawing:
    marks: dict[str, list] = {"tags": [], "points": [], "boxes": [], "masks": []}
    height = width = 0
    for row in results:
        try:
            height, width = row.get("original_height", height), row.get("original_width", width)
            for kind, mark in _marks(row, height, width):
                marks[kind].append(mark)
        except (AttributeError, KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            kind = row.get("type") if isinstance(row, dict) else "a result"
            raise InputError(f"{where} ('{image}'), {kind}: {what_is_wrong(error)}.") from None
    return Drawing(where, image, height, width, **{kind: tuple(rows) for kind, rows in marks.items()})


def _marks(row: dict, height: int, width: int) -> Iterator[tuple[str, object]]:
    """Kind and mark of each class of one result. Places are percents of the picture's sides there."""
    kind, value = row.get("type"), row.get("value", {})
    if kind in ("relation", "textarea", "rating", "number"):
        return
    if kind == "choices":
        yield from (("tags", name) for name in value["choices"])
        return
    kind = kind if kind in value else next((k for k in _SHAPES if k in value), kind)
    if kind not in _SHAPES:
        raise ValueError(f"such a mark, or one without a label, is not read; valid: choices, {', '.join(_SHAPES)}")
    if not (isinstance(height, int) and isinstance(width, int) and 0 < height <= MOST and 0 < width <= MOST):
        raise ValueError(f"original_width and original_height are {width} and {height}, which is no size of a picture")
    names = value[kind]
    if kind == "brushlabels":
        rle = encode(decode_brush(value["rle"], height, width)[None])[0]
        yield from (("masks", (rle, name, False)) for name in names)
    elif kind == "polygonlabels":
        rle = polygon_mask(np.array(value["points"], float) * [width / 100, height / 100], height, width)
        yield from (("masks", (rle, name, False)) for name in names)
    elif kind == "rectanglelabels":
        if value.get("rotation"):
            raise ValueError("a rotated rectangle is no box")
        sides = [value["x"] * width, value["y"] * height, value["width"] * width, value["height"] * height]
        yield from (("boxes", (*box_corners(*(side / 100 for side in sides)), name)) for name in names)
    else:
        yield from (("points", (value["x"] * width / 100 - 0.5, value["y"] * height / 100 - 0.5, n)) for n in names)


_SHAPES = ("brushlabels", "polygonlabels", "rectanglelabels", "keypointlabels")
