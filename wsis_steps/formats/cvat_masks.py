"""Reads masks as CVAT's "Segmentation mask 1.1" and labelme2voc write them: a class map and an object map per image.

SegmentationClass/, SegmentationObject/   CVAT's color PNGs, with labelmap.txt; Datumaro's value PNGs
SegmentationClassPNG/, ...ClassNpy/       labelme2voc's value maps, with class_names.txt; likewise for objects
ImageSets/Segmentation/<subset>.txt       CVAT's lists, which name its subsets
JPEGImages/                               the images; they may also be elsewhere in the data set

Annotations/ holds boxes that were drawn in addition to the masks; boxes that repeat a mask are dropped. Pixels of a
class that belong to no object are a crowd region. Class maps without object maps give tags only.
"""

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from pycocotools import mask as coco

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.drawing import Drawing, Reading, Shape, Source
from wsis_steps.formats.files import walk
from wsis_steps.formats.lists import read_subsets
from wsis_steps.formats.mask_maps import IGNORED, LEGENDS, Legend, find_legend, read_classes, read_legend, read_objects
from wsis_steps.formats.notes import Notes
from wsis_steps.formats.picture_names import Pictures, bare, parts_of, without_masks
from wsis_steps.formats.pictures import SUFFIXES
from wsis_steps.formats.places import ALIKE, iou
from wsis_steps.formats.subsets import split_of_all
from wsis_steps.formats.voc_annotations import read_annotation
from wsis_steps.formats.voc_masks import split_objects
from wsis_steps.vision.masks import encode

# In search order: PNGs before the same maps as NumPy files.
_CLASSES = ("SegmentationClassPNG", "SegmentationClass", "SegmentationClassNpy")
_OBJECTS = ("SegmentationObjectPNG", "SegmentationObject", "SegmentationObjectNpy")
_MAPS = (".png", ".npy")


@dataclass
class _Item:
    """An image of the export. name: with folders, without suffix. where: a file that names it. splits: those of the
    lists that contain it, None for another subset."""

    name: str
    where: str
    splits: set[str | None]
    classes: Path | None = None
    objects: Path | None = None
    xml: Path | None = None

    @property
    def split(self) -> str | None:
        """train, val, '' if it is to be divided, None if it is left out."""
        return split_of_all(self.splits)


def looks_like(path: Path) -> bool:
    """Whether a folder contains maps and their legend, or a file is the legend of maps beside it."""
    try:
        folder = path.parent if path.is_file() else path
        return find_legend(folder) in (path, *(path / name for name in LEGENDS)) and _has_maps(folder)
    except OSError:
        return False


def lacks(path: Path) -> str:
    """What a folder with maps still needs."""
    if find_legend(path) is None and _has_maps(path):
        return f"it has maps, but neither {' nor '.join(LEGENDS)}, which name their classes"
    return ""


def _has_maps(folder: Path) -> bool:
    there = (path for name in _CLASSES if (folder / name).is_dir() for path in (folder / name).rglob("*"))
    return any(path.suffix.lower() in _MAPS for path in there)


def read(source: Source, notes: Notes) -> Reading:
    """The images with their masks, read one by one. Raises InputError if there are no maps or no images."""
    folder = source.annotations if source.annotations.is_dir() else source.annotations.parent
    file = find_legend(folder)
    if file is None or not _has_maps(folder):
        raise InputError(
            f"{folder} needs SegmentationClass and SegmentationObject with maps, and a labelmap.txt or class_names.txt "
            "that names their classes."
        )
    legend = read_legend(file, notes)
    notes.raise_any(f"The labels in {folder}")
    items = _find_items(folder, notes)
    files = _find_pictures(source.root, folder)
    pictures = Pictures(source.root, files)
    drawings, left_out = [], set()
    for item, (drawing, repeated, wrong) in zip(items, source.mapper(partial(_read_item, legend), items), strict=True):
        notes.sentences += wrong
        with suppress(InputError):  # reported when the image is located again
            drawing.path = pictures.find(item.name)
        if item.split is not None:
            drawings.append(drawing)
            notes.leave_out("repeated_shapes", drawing.where, repeated)
            lost = item.objects is None and any(shape.kind == "tag" for shape in drawing.shapes)
            notes.leave_out("class_maps_without_objects", drawing.where, int(lost))
            continue
        notes.leave_out("shapes_of_pictures_left_out", drawing.where, len(drawing.shapes) + repeated)
        notes.leave_out("pictures_of_other_subsets", item.where, int(None in item.splits))
        left_out |= {drawing.path} if None in item.splits else set()
    return Reading(drawings, legend.class_names, [path for path in files if path not in left_out])


def _find_items(folder: Path, notes: Notes) -> list[_Item]:
    """All images that a map, a list or an XML file names, sorted; notes those in two splits."""
    lists = list(read_subsets(folder))
    found: dict[str, _Item] = {}

    def item(name: str, where: object) -> _Item:
        return found.setdefault(name, _Item(name, str(where), set()))

    for kind, names, suffixes in (
        ("classes", _CLASSES, _MAPS), ("objects", _OBJECTS, _MAPS), ("xml", ("Annotations",), (".xml",))
    ):  # fmt: skip
        for base in (folder / name for name in names if (folder / name).is_dir()):
            for path in walk(base, suffixes):
                one = item(_name(path.relative_to(base).with_suffix("").as_posix()), path)
                setattr(one, kind, getattr(one, kind) or path)
    for name, split, where in lists:
        item(name, where).splits.add(split)
    for one in found.values():
        if not lists:
            one.splits.add("")
        if {"train", "val"} <= one.splits:
            notes.add(f"{one.where}: '{one.name}' is in the lists of both train and val.")
    return [one for _, one in sorted(found.items())]


def _name(text: str) -> str:
    return "/".join(parts_of(text))


def _find_pictures(root: Path, folder: Path) -> list[Path]:
    """The candidate images: those in JPEGImages, else all below `root` that are not maps. Raises InputError if there
    are none."""
    own = folder / "JPEGImages"
    found = walk(own, SUFFIXES) if own.is_dir() and root in (own, *own.parents) else []
    if not found:
        found = [
            path
            for path in walk(root, SUFFIXES)
            if not any(part.startswith("Segmentation") for part in path.relative_to(root).parts[:-1])
        ]
    if not found:
        raise InputError(f"{root} holds no pictures beside the masks; CVAT exports them with `Save images` only.")
    named = defaultdict(list)
    for path in found:
        named[path.parent, bare(path.name)].append(path)
    return [path for paths in named.values() for path in without_masks(paths)]


def _read_item(legend: Legend, item: _Item) -> tuple[Drawing, int, list[str]]:
    """The drawing of an image, the number of its boxes that repeat masks, and one sentence per error."""
    notes, drawing, boxes = Notes(), Drawing(item.where, item.name, split=item.split or ""), []
    with notes.catch():
        _add_masks(drawing, legend, item)
    if item.xml:
        with notes.catch():
            boxes = _read_boxes(drawing, item.xml, notes)
    own = [(shape.label, _box(shape.geometry)) for shape in drawing.shapes if shape.kind == "mask"]

    def has_mask(shape: Shape) -> bool:
        return shape.kind == "box" and any(
            shape.label == label and iou(shape.geometry, box) >= ALIKE for label, box in own
        )

    new = [shape for shape in boxes if not has_mask(shape)]
    drawing.shapes += new
    return drawing, len(boxes) - len(new), notes.sentences


def _add_masks(drawing: Drawing, legend: Legend, item: _Item) -> None:
    """Adds the objects of the maps, and class pixels without an object as crowds. Raises InputError."""
    if item.classes is None:
        if item.objects is not None:
            raise InputError(f"{item.objects} has no map of classes, SegmentationClass/{item.name}.png.")
        return
    classes = read_classes(item.classes, legend)
    drawing.where = str(item.classes)
    drawing.height, drawing.width = classes.shape
    void = classes == IGNORED
    if void.any():
        drawing.shapes.append(Shape("ignored pixels", "mask", "__ignore__", encode(void[None])[0], weak=()))
    if item.objects is None:
        values = [value for value in np.unique(classes).tolist() if value > 0]
        names = [legend.names[value] for value in values]
        drawing.shapes += [Shape(f"class '{name}', which has no map of objects", "tag", name) for name in names]
        return
    objects = read_objects(item.objects, legend)
    if objects.shape != classes.shape:
        sizes = [f"{shape[1]}x{shape[0]}" for shape in (objects.shape, classes.shape)]
        raise InputError(f"{item.objects} is {sizes[0]}, but {item.classes} is {sizes[1]}.")
    objects[void] = 0
    for one in split_objects(objects, classes):
        label = legend.names.get(one.value, "")
        drawing.shapes.append(Shape(f"object {one.number}", "mask", label, one.code))
    rest = np.where(objects == 0, np.maximum(classes, 0), 0)
    for one in split_objects(rest, rest):
        name = legend.names[one.value]
        drawing.shapes.append(Shape(f"pixels of '{name}' of no object", "mask", name, one.code, crowd=True))


def _read_boxes(drawing: Drawing, path: Path, notes: Notes) -> list[Shape]:
    """The boxes of an XML file, in pixels counted from 0, as Datumaro writes them. Raises InputError."""
    found = read_annotation(path)
    notes.sentences += found.wrong
    if not drawing.height:
        drawing.where, drawing.height, drawing.width = str(path), found.height, found.width
    elif found.height and (found.height, found.width) != (drawing.height, drawing.width):
        notes.add(f"{drawing.where} is {drawing.width}x{drawing.height}, by {path} {found.width}x{found.height}.")
    return [one.shape(path.name) for one in found.objects]


def _box(code: dict) -> tuple[float, float, float, float]:
    x, y, across, down = coco.toBbox(code).tolist()
    return x, y, x + across, y + down
