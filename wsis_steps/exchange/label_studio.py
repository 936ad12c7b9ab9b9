"""Label Studio's JSON: writing instances as suggestions for its brush, and reading what people exported.

A brush mask there is the run-length code of the package rle-pack over the four channels of a picture, whose last one,
the opacity, counts: a header of 32 bits (number of values), 5 (bits of a value less one) and four times 4 (bits of the
lengths less one), then runs of a bit (1: one value repeated, 0: values one by one), 2 bits (which of the four lengths),
the length less one, and the value or values.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlparse
from xml.sax.saxutils import quoteattr

import numpy as np

from wsis_steps.core.errors import InputError
from wsis_steps.core.masks import decode, encode
from wsis_steps.core.problems import Problems
from wsis_steps.exchange.drawings import Drawing, box_corners, not_a, polygon_mask
from wsis_steps.exchange.labelled import LabelledImage, Labels, write_data
from wsis_steps.report.pictures import class_colors

_SIZES = np.array([3, 4, 8, 16])  # bits of the lengths that we write
_CHANNELS = 4
_LONGEST = 1 << 16


def encode_brush(mask: np.ndarray) -> list[int]:
    """The code of a binary mask (h, w) as bytes; all four channels are 255 inside and 0 outside."""
    flat = mask.reshape(-1) > 0
    starts = np.flatnonzero(np.diff(flat, prepend=~flat[:1]))
    lengths = _CHANNELS * np.diff(starts, append=len(flat))
    pieces = -(-lengths // _LONGEST)  # a run of more is cut
    values = np.repeat(flat[starts], pieces)
    last = np.cumsum(pieces) - 1
    sizes = np.full(pieces.sum(), _LONGEST)
    sizes[last] = lengths - (pieces - 1) * _LONGEST
    which = np.searchsorted(1 << _SIZES, sizes)
    bits = _SIZES[which]
    codes = (((4 + which) << bits | (sizes - 1)) << 8) | np.where(values, 255, 0)
    widths = 3 + bits + 8
    ends = np.cumsum(widths)
    shift = np.repeat(ends, widths) - 1 - np.arange(ends[-1])
    stream = (np.repeat(codes, widths) >> shift) & 1
    header = f"{_CHANNELS * len(flat):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in _SIZES)
    return np.packbits(np.concatenate([np.array(list(header), np.uint8), stream.astype(np.uint8)])).tolist()


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


# ---- writing ----


def _result(image: LabelledImage, k: int, mask: np.ndarray, name: str, scored: bool) -> dict:
    value = {"format": "rle", "rle": encode_brush(mask), "brushlabels": [name]}
    about = {"id": f"{image.id}-{k}", "from_name": "masks", "to_name": "image", "type": "brushlabels"}
    size = {"original_width": image.width, "original_height": image.height, "image_rotation": 0}
    return {**about, **size, "value": value, **({"score": float(image.instances.scores[k])} if scored else {})}


def write_label_studio(out: Path, labels: Labels) -> Path:
    """Writes tasks with suggestions (`label_studio_<split>.json`), the labelling interface and the pictures.

    The tasks name the pictures as Label Studio's local storage serves them, with `out` as its document root. Returns
    the file of tasks.
    """
    tasks = []
    for image in labels.images:
        write_data(out / "images", image)
        masks = decode(image.instances.rles, image.height, image.width)
        names = [labels.class_names[c] for c in image.instances.categories]
        rows = [
            _result(image, k, mask, name, labels.scored)
            for k, (mask, name) in enumerate(zip(masks, names, strict=True))
        ]
        address = f"/data/local-files/?d=images/{quote(image.file)}"
        tasks.append({"data": {"image": address}, "predictions": [{"model_version": labels.origin, "result": rows}]})
    path = out / f"label_studio_{labels.split}.json"
    path.write_text(json.dumps(tasks), encoding="utf-8")
    (out / "label_studio_interface.xml").write_text(interface(labels), encoding="utf-8")
    return path


def interface(labels: Labels) -> str:
    """Label Studio's labelling configuration for these classes."""
    pairs = zip(labels.class_names, class_colors(len(labels.class_names)), strict=True)
    rows = "".join(f"    <Label value={quoteattr(name)} background={quoteattr(color)}/>\n" for name, color in pairs)
    return (
        '<View>\n  <Image name="image" value="$image" zoom="true"/>\n'
        f'  <BrushLabels name="masks" toName="image">\n{rows}  </BrushLabels>\n</View>\n'
    )


# ---- reading ----


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
        tasks = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except (OSError, ValueError) as error:
        raise not_a(path, "a JSON file", error) from None
    if not isinstance(tasks, list) or not all(isinstance(task, dict) and "data" in task for task in tasks):
        raise not_a(path, "an export of Label Studio", "it holds no list of tasks (choose JSON, not JSON-MIN)")
    drawings = []
    for number, task in enumerate(tasks, 1):
        where = f"{path}: task {task.get('id', number)}"
        kept = [one for one in task.get("annotations") or [] if not one.get("was_cancelled")]
        address = next((v for v in task["data"].values() if isinstance(v, str) and "." in v), "")
        if kept and not address:
            problems.add(f"{where} names no picture.")
        elif kept:
            with problems.catch():
                drawings.append(_drawing(where, image_name(address), kept[-1].get("result") or []))
    return drawings


def _drawing(where: str, image: str, results: list[dict]) -> Drawing:
    marks: dict[str, list] = {"tags": [], "points": [], "boxes": [], "masks": []}
    height = width = 0
    for row in results:
        try:
            height, width = row.get("original_height", height), row.get("original_width", width)
            for kind, mark in _marks(row, height, width):
                marks[kind].append(mark)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(f"{where} ('{image}'), {row.get('type')}: {_say(error)}.") from None
    return Drawing(where, image, height, width, **{kind: tuple(rows) for kind, rows in marks.items()})


def _say(error: Exception) -> str:
    return f"there is no {error}" if isinstance(error, KeyError) else str(error)


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
        raise ValueError(f"such a label is not read; valid: choices, {', '.join(_SHAPES)}")
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
