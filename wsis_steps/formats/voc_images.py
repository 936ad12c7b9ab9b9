"""Reads one image of a PASCAL VOC tree: its XML file, its masks, and its tags."""

from dataclasses import dataclass
from pathlib import Path

from pycocotools import mask as coco

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.drawing import Drawing, Shape
from wsis_steps.formats.notes import Notes
from wsis_steps.formats.picture_names import without_masks
from wsis_steps.formats.places import iou
from wsis_steps.formats.voc_annotations import Annotation, MarkedObject, read_annotation
from wsis_steps.formats.voc_masks import Instance, InstanceMap, MaskFolders


@dataclass
class Entry:
    """One line of a list and the content of its files. name: of its files. identity: its id, which differs from the
    name if the image is in both lists. pictures: the candidate image files. masked: whether its masks are read.
    annotation: None if there is no XML file."""

    name: str
    identity: str
    split: str
    where: str
    pictures: list[Path]
    masked: bool
    picture: Path | None = None
    annotation: Annotation | None = None
    masks: InstanceMap | None = None

    @property
    def xml(self) -> str:
        """The path of the XML file within the tree."""
        return f"Annotations/{self.name}.xml"

    @property
    def objects(self) -> list[MarkedObject]:
        """The objects of the XML file."""
        return self.annotation.objects if self.annotation else []


@dataclass(frozen=True)
class Labelling:
    """How the shapes of an image are labelled. values: pixel value -> class. tags: the classes from a list of image
    labels; None to take them from the objects. include_difficult: whether to read objects marked difficult."""

    values: dict[int, str]
    tags: frozenset[str] | None
    include_difficult: bool


def read_entry(root: Path, masks: MaskFolders, optional: bool, entry: Entry) -> tuple[Entry, list[str]]:
    """The entry with the content of its files, and one sentence per error. optional: the XML file may be missing."""
    notes = Notes()
    path = root / entry.xml
    if not optional or path.exists():
        with notes.catch():
            entry.annotation = read_annotation(path)
            notes.sentences += entry.annotation.wrong
    with notes.catch():
        entry.picture = _choose_picture(entry)
    if entry.masked:
        with notes.catch():
            found = masks.read(entry.name)
            _compare_sizes(found, entry.annotation, path)
            entry.masks = found
    return entry, notes.sentences


def _choose_picture(entry: Entry) -> Path:
    """The image of an id: of several candidates, the one that the XML names, else the one that is not a mask."""
    named = [path for path in entry.pictures if entry.annotation and path.name == entry.annotation.file]
    found = named or without_masks(entry.pictures)
    if len(found) > 1:
        several = ", ".join(f"'{path.name}'" for path in found[:4])
        raise InputError(f"{entry.where}: '{entry.name}' may be any of {len(found)} pictures: {several}.")
    return found[0]


def _compare_sizes(masks: InstanceMap, annotation: Annotation | None, path: Path) -> None:
    """Raises InputError if the masks and the XML differ in size; the image's own size is compared later."""
    if annotation and annotation.height and (annotation.height, annotation.width) != (masks.height, masks.width):
        raise InputError(
            f"{masks.path} is {masks.width}x{masks.height}, but {path} says {annotation.width}x{annotation.height}."
        )


def draw(root: Path, entry: Entry, labelling: Labelling, notes: Notes) -> Drawing:
    """The drawing of an image; its size comes from the XML, else from its masks. Notes what is left out."""
    where, sized = (str(root / entry.xml), entry.annotation) if entry.annotation else (entry.where, None)
    if entry.masks and not (sized and sized.height):
        where, sized = str(entry.masks.path), entry.masks
    drawing = Drawing(where, entry.identity, split=entry.split, path=entry.picture)
    if sized:
        drawing.height, drawing.width = sized.height, sized.width
    used = [one for one in entry.objects if labelling.include_difficult or not one.difficult]
    notes.leave_out("deleted_objects", where, entry.annotation.deleted if entry.annotation else 0)
    notes.leave_out("difficult_objects_left_out", where, len(entry.objects) - len(used))
    notes.leave_out("polygons_of_voc_objects", where, sum(bool(one.rings and one.box) for one in used))
    tags = frozenset(one.name for one in used) if labelling.tags is None else labelling.tags
    if labelling.tags is not None:
        drawing.shapes = [Shape(f"label '{name}'", "tag", name, weak=("tag",)) for name in sorted(tags)]
    # if masks are read, points come from them
    weak = ("tag",) * (labelling.tags is None) + ("box",) + ("point",) * (not entry.masked)
    for one in used:
        place = one.where if sized is entry.annotation else f"{entry.xml}: {one.where}"
        drawing.shapes.append(Shape(place, "box", one.name, box_of(one), weak=weak if one.name in tags else ()))
    if entry.masks:
        drawing.shapes += _masks(root, entry, labelling, tags)
    return drawing


def box_of(one: MarkedObject) -> tuple[float, float, float, float]:
    """An object's box x1, y1, x2, y2, where x2 and y2 are one past the last pixel; VOC's own boxes are 1-based and
    inclusive."""
    if one.box is None:
        xs, ys = ([value for ring in one.rings for value in ring[first::2]] for first in (0, 1))
        return min(xs), min(ys), max(xs), max(ys)
    x1, y1, x2, y2 = one.box
    return x1 - 1, y1 - 1, x2, y2


def _masks(root: Path, entry: Entry, labelling: Labelling, tags: frozenset[str]) -> list[Shape]:
    """The masks of an image. Masks of objects left out as difficult, or of untagged classes, give no point."""
    path, shapes = entry.masks.path, []
    file = path.relative_to(root).as_posix() if root in path.parents else str(path)
    unused = not labelling.include_difficult and any(one.difficult for one in entry.objects)
    for one in entry.masks.instances:
        name = labelling.values[one.value]
        weak = ("point",) if name in tags and not (unused and _is_difficult(one, name, entry.objects)) else ()
        shapes.append(Shape(f"{file}: object {one.number}", "mask", name, one.code, weak=weak))
    if entry.masks.void:
        shapes.append(Shape(f"{file}: void pixels", "mask", "__ignore__", entry.masks.void, weak=()))
    return shapes


def _is_difficult(instance: Instance, name: str, objects: list[MarkedObject]) -> bool:
    """Whether a mask belongs to a difficult object: the one of its class whose box fits best."""
    x, y, across, down = coco.toBbox(instance.code).tolist()
    alike = [one for one in objects if one.name == name]
    best = max(alike, key=lambda one: iou(box_of(one), (x, y, x + across, y + down)), default=None)
    return best is None or best.difficult
