"""Imports pictures on which people have drawn in another tool: COCO JSON, Label Studio, CVAT or LabelMe.

Whatever was drawn counts: tags as they are; points and boxes as weak annotations, with the tag of their class; masks as
true masks, which also give a tag, a box and a point (the pixel nearest to the middle). Images that nobody has worked
on are left out.
"""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pycocotools import mask as coco

from wsis_steps.data.archives import missing_message
from wsis_steps.data.coco import middle_pixel
from wsis_steps.data.drawing_files import read_drawings
from wsis_steps.data.drawings import Drawing, candidates, identity
from wsis_steps.data.pictures import SUFFIXES, picture_size
from wsis_steps.data.records import Dataset, ImageRecord, TrueInstances, check_ids, divide
from wsis_steps.data.tables import note_alike
from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.engine.problems import Problems
from wsis_steps.vision.masks import run_bounds


@dataclass(frozen=True)
class DrawnTruth:
    """The `truth` of drawings: the masks of an image, also where there are none, None in a split without truth."""

    masks: dict[str, TrueInstances]
    splits: tuple[str, ...]

    def __call__(self, record: ImageRecord) -> TrueInstances | None:
        return self.masks[record.id] if record.split in self.splits else None


def _ids(names: list[str], files: list[Path]) -> dict[str, Path]:
    """Pictures by what may stand for them in another tool: their place in the folder (`names`) or, since tools may
    forget folders, their name alone where only one picture has that."""
    bare = [identity(path.name) for path in files]
    once = {name for name, count in Counter(bare).items() if count == 1}
    alone = {name: path for name, path in zip(bare, files, strict=True) if name in once}
    return alone | {identity(name): path for name, path in zip(names, files, strict=True)}


def _fit(drawing: Drawing, path: Path) -> Drawing:
    """The drawing without masks that cover no pixel, its points and boxes inside the picture: what people drew up to
    the sides of a picture may lie on or, boxes, beyond them. InputError where it is of a picture of another size or a
    mark lies outside."""
    height, width = picture_size(path)
    if drawing.height and (drawing.height, drawing.width) != (height, width):
        there = f"{drawing.width}x{drawing.height}"
        raise InputError(f"{drawing.where}: {path} is {width}x{height}, but was {there} when it was drawn on.")
    points, boxes = [], []
    for x, y, name in drawing.points:
        if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
            raise InputError(f"{drawing.where}: a point of '{name}' lies outside {path}, which is {width}x{height}.")
        points.append((min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0), name))
    for x1, y1, x2, y2, name in drawing.boxes:
        corners = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
        if not (corners[0] < corners[2] and corners[1] < corners[3]):
            raise InputError(f"{drawing.where}: a box of '{name}' has no area in {path}, which is {width}x{height}.")
        boxes.append((*corners, name))
    masks = tuple(row for row in drawing.masks if coco.area(row[0]) > 0)
    return replace(drawing, points=tuple(points), boxes=tuple(boxes), masks=masks)


def _marks(drawing: Drawing, places: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Points float32 (n, 3) and boxes float32 (n, 5) of an image, those of its masks too."""
    single = [(rle, places[name]) for rle, name, crowd in drawing.masks if not crowd]
    points = [(x, y, places[name]) for x, y, name in drawing.points]
    boxes = [(*corners, places[name]) for *corners, name in drawing.boxes]
    for rle, category in single:
        x1, y1, width, height = coco.toBbox(rle).tolist()
        boxes.append((x1, y1, x1 + width, y1 + height, category))
        points.append((*middle_pixel(*run_bounds(rle), rle["size"][0]), category))
    return np.array(points, np.float32).reshape(-1, 3), np.array(boxes, np.float32).reshape(-1, 5)


def _truth(drawing: Drawing, places: dict[str, int]) -> TrueInstances:
    categories = np.array([places[name] for _, name, _ in drawing.masks], np.int64)
    crowd = np.array([crowd for *_, crowd in drawing.masks], bool)
    return TrueInstances([rle for rle, *_ in drawing.masks], categories, crowd)


def read_drawn(
    root: Path | str,
    annotations: Path | str | None = None,
    *,
    val_share: float,
    class_names: list[str] | None = None,
    truth: tuple[str, ...] = (),
) -> Dataset:
    """Imports the pictures of `root` with what a file of another tool says of them.

    annotations: the file, or None for LabelMe's files beside the pictures. Images that the file puts into neither
    split are divided by their names: the share `val_share` (0 to 1) goes to val. Classes are in alphabetical order
    unless `class_names` fixes them. `truth` names the splits whose masks are true masks of all that is to be seen.
    Raises one `InputError` that names up to 20 bad places.
    """
    root, problems = Path(root), Problems()
    if not root.is_dir():
        raise InputError(missing_message("drawn", root))
    source = Path(annotations) if annotations else root
    drawings = read_drawings(source, problems)
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
    names = [path.relative_to(root).as_posix() for path in files]
    doubled = [name for name, count in Counter(map(identity, names)).items() if count > 1]
    known = _ids(names, files)
    for name in doubled[:20]:
        problems.add(f"two pictures in {root} would have the id '{name}'.")
    found: list[tuple[Drawing, Path]] = []
    for drawing in drawings:
        path = next((known[name] for name in candidates(drawing.image) if name in known), None)
        if path is None:
            problems.add(f"{drawing.where}: there is no picture '{drawing.image}' in {root}.")
        else:
            with problems.catch():
                found.append((_fit(drawing, path), path))
    first = {name: drawing.where for drawing, _ in reversed(found) for name in drawing.classes}
    if not class_names:
        note_alike(first, problems)
    class_names = list(class_names or sorted(first))
    for name in sorted(set(first) - set(class_names)):
        problems.add(f"{first[name]}: there is no class '{name}'; {nearest(name, class_names)}")
    if not problems.sentences and not first:
        what = "nothing is drawn in it (of Label Studio, submitted annotations count)"
        problems.add(f"{source}: {what}, so there is nothing to learn.")
    problems.raise_any(f"The data in {source}")
    return _dataset(root, found, class_names, val_share, truth, problems)


def _dataset(
    root: Path,
    found: list[tuple[Drawing, Path]],
    class_names: list[str],
    val_share: float,
    truth: tuple[str, ...],
    problems: Problems,
) -> Dataset:
    places = {name: k for k, name in enumerate(class_names)}
    relative = [path.relative_to(root).as_posix() for _, path in found]
    open_names = [name for (drawing, _), name in zip(found, relative, strict=True) if not drawing.split]
    chosen = dict(zip(open_names, divide(open_names, val_share), strict=True))
    records, masks = [], {}
    for (drawing, path), name in zip(found, relative, strict=True):
        tags = tuple(sorted(places[one] for one in drawing.classes))
        points, boxes = _marks(drawing, places)
        records.append(ImageRecord(identity(name), drawing.split or chosen[name], path, tags, points, boxes))
        masks[records[-1].id] = _truth(drawing, places)
    check_ids(records, problems)
    if not any(record.split == "train" for record in records):
        problems.add(f"{root}: every image is in val, so there is none to train on.")
    problems.raise_any(f"The folder {root}")
    counts = {
        "images_without_tags": sum(not record.tags for record in records),
        "masks": sum(len(one.masks) for one in masks.values()),
        "points": sum(len(drawing.points) for drawing, _ in found),
        "boxes": sum(len(drawing.boxes) for drawing, _ in found),
    }
    return Dataset(class_names, records, DrawnTruth(masks, tuple(truth)), counts)
