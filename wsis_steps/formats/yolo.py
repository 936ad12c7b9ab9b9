"""YOLO's layout: one text file per image, one line per object, coordinates as shares of the image's sides.

Reading: five numbers are a box: class, center x, center y, width, height. An odd number of seven or more is a polygon:
class and corners. A rotated box of four corners is a polygon too. If data.yaml has a `kpt_shape`, keypoints follow the
box and are only counted. Repeated objects count once, as in Ultralytics. Images without a text file have no objects.

Writing: polygons run through the centers of border pixels, shifted by a quarter of a pixel, so that readers that
truncate to whole pixels (Ultralytics) and readers that round (supervision) fill the same mask. Parts and holes of a
mask are joined by lines of zero width, so a single part with holes is restored exactly. Lost are crowds and scores; the
gap between two parts, which a one-pixel line joins where they are nearest; and, for readers that measure from corner to
corner as pycocotools does, the right and lower border pixels, and so parts one pixel wide. The key `corners` in a
data.yaml of ours marks such polygons, so that our reader restores them exactly.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from wsis_steps.engine.names import path_below
from wsis_steps.engine.writers import write_whole
from wsis_steps.formats.drawing import Drawing, Reading, Shape, Source
from wsis_steps.formats.files import read_text
from wsis_steps.formats.labelled import Labels, write_data
from wsis_steps.formats.notes import Notes, Omission
from wsis_steps.formats.outlines import fill_outline, outline
from wsis_steps.formats.pictures import picture_size
from wsis_steps.formats.rings import number, shown
from wsis_steps.formats.yolo_data import BORDERS, Data, lacks, looks_like, read_data
from wsis_steps.formats.yolo_layout import Item, Layout, find_layout, unused_labels
from wsis_steps.vision.masks import decode, encode

__all__ = ["lacks", "looks_like", "read", "write_yolo"]

_MANY = 10  # polygons of four corners that are not a coincidence
EXPECTED = "a box has 5 (class, middle x, middle y, width, height), a polygon a class and at least 3 corners"


def read(source: Source, notes: Notes) -> Reading:
    """The images of train and val, or of all folders if there is no data.yaml. Raises InputError if no file names the
    classes."""
    layout = find_layout(source.root, read_data(source.annotations), notes)
    doubts: list[tuple[str, str]] = []
    drawings = _drawings(layout, source, notes, doubts)
    return Reading(drawings, list(layout.data.class_names.values()), layout.pictures(), doubts=doubts)


def _drawings(layout: Layout, source: Source, notes: Notes, doubts: list[tuple[str, str]]) -> Iterator[Drawing]:
    """The drawings of the images to read. Counts images of other subsets and labels of unlisted images; doubts polygons
    that may all be rotated boxes."""
    polygons: Counter[bool] = Counter()  # by whether they have four corners
    read_items = [item for item in layout.items if item.split is not None]
    for drawing, wrong, left_out in source.mapper(partial(_read_item, layout.data), read_items):
        notes.sentences += wrong
        notes.omit(left_out)
        polygons.update(len(shape.geometry[0]) == 8 for shape in drawing.shapes if shape.kind == "rings")
        yield drawing
    if polygons[True] >= _MANY and not polygons[False]:
        doubts.append(("polygons_of_four_corners", str(layout.data.file)))
    for item in layout.items:
        if item.split is None:
            notes.leave_out("pictures_of_other_subsets", str(item.path))
            _leave_out(item.labels, notes)
    for labels, fault in unused_labels(layout):
        if fault and read_text(labels).strip():
            notes.add(f"{labels}: {fault}.")
        else:
            _leave_out(labels, notes)


def _leave_out(labels: Path | None, notes: Notes) -> None:
    """Counts the objects of an image that is left out."""
    if labels:
        with notes.catch():
            count = sum(bool(line.strip()) for line in read_text(labels).splitlines())
            notes.leave_out("shapes_of_pictures_left_out", str(labels), count)


def _read_item(data: Data, item: Item) -> tuple[Drawing, list[str], list[Omission]]:
    """The drawing of an image, one sentence per error in its labels, and its omissions."""
    notes = Notes()
    drawing = Drawing(str(item.labels or item.path), item.name, split=item.split, path=item.path, shares=True)
    with notes.catch():
        for k, line in enumerate(read_text(item.labels).splitlines() if item.labels else (), 1):
            words = tuple(line.split())
            if not words:
                continue
            try:
                drawing.shapes.append(_shape(words, f"line {k}", data))
                notes.leave_out("keypoints_of_objects", f"{item.labels}:{k}", _count_keypoints(words, data))
            except ValueError as error:
                notes.add(f"{item.labels}:{k}: {error}.")
        if data.borders and drawing.shapes:
            _fill_borders(drawing, *picture_size(item.path))
    return drawing, notes.sentences, list(notes.omitted.values())


def _shape(words: tuple[str, ...], where: str, data: Data) -> Shape:
    """The object of a line. Raises ValueError if it is invalid."""
    values = [number(word) for word in words]
    count, names = len(values), data.class_names
    if not values[0].is_integer() or int(values[0]) not in names:
        raise ValueError(
            f"there is no class {shown(words[0])} in {data.file}, whose classes are {min(names)} to {max(names)}"
        )
    label = names[int(values[0])]
    keypoints = data.keypoints[0] * data.keypoints[1]  # numbers
    if count in (5, 5 + keypoints):
        x, y, width, height = values[1:5]
        return Shape(where, "box", label, (x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    if count < 7 or count % 2 == 0 or keypoints:
        expected = f"with keypoints it has {5 + keypoints}" if keypoints else EXPECTED
        score = "; the last one may be the score of a prediction" if count > 5 and count % 2 == 0 else ""
        raise ValueError(f"it has {count} number{'s' * (count > 1)}; {expected}{score}")
    return Shape(where, "rings", label, [values[1:]])


def _count_keypoints(words: tuple[str, ...], data: Data) -> int:
    """The number of keypoints of a line that are set, i.e. not at 0, 0."""
    count, numbers = data.keypoints
    found = [words[5 + k * numbers : 7 + k * numbers] for k in range(count)] if len(words) > 5 else []
    return sum(any(map(float, place)) for place in found)


def _fill_borders(drawing: Drawing, height: int, width: int) -> None:
    """Turns polygons of border pixels into masks; polygons that leave the image stay and are reported later."""
    for shape in drawing.shapes:
        if shape.kind == "rings" and all(math.isfinite(value) and 0 <= value < 1 for value in shape.geometry[0]):
            corners = np.array(shape.geometry[0]).reshape(-1, 2) * [width, height]
            shape.kind, shape.geometry = "mask", encode(fill_outline(corners, height, width)[None])[0]


def write_yolo(out: Path, labels: Labels) -> Path:
    """Writes images/<split>, labels/<split> and data.yaml; returns data.yaml. Crowds are left out."""
    folder = out / "labels" / labels.split
    for image in labels.images:
        write_data(out / "images" / labels.split, image)
        lines = []
        kept = image.instances.at(np.flatnonzero(~image.instances.crowd))
        masks = decode(kept.rles, image.height, image.width)
        for mask, category in zip(masks, kept.categories.tolist(), strict=True):
            if not mask.any():
                continue
            places = (outline(mask) + 0.25) / [image.width, image.height]
            lines.append(" ".join([str(category), *(f"{value:.6f}" for value in places.reshape(-1))]))
        write_whole(path_below(folder, f"{image.id}.txt"), "".join(f"{line}\n" for line in lines))
    names = "".join(f"  {k}: {json.dumps(name, ensure_ascii=False)}\n" for k, name in enumerate(labels.class_names))
    path = out / "data.yaml"
    splits = "".join(f"{split}: images/{split}\n" for split in ("train", "val") if (out / "images" / split).is_dir())
    write_whole(path, f"{splits}corners: {BORDERS}\nnames:\n{names}")
    return path
