"""Imports a PASCAL VOC devkit tree (and, for the augmented training list, SBD's masks).

Tags and boxes come from the XML files. Points are instance centers: where a split's true masks are read, the
mask's centroid moved to its nearest own pixel (BESTIE's point supervision); elsewhere the middle of the XML
box.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from wsis_steps.data.archives import missing_message
from wsis_steps.data.files import read_bytes
from wsis_steps.data.lists import read_ids, read_labels, read_lines
from wsis_steps.data.pictures import SUFFIXES, picture_size
from wsis_steps.data.records import SPLITS, Dataset, ImageRecord, no_rows
from wsis_steps.data.voc_masks import InstanceMap, MaskFolders, VocTruth, mask_points
from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.engine.problems import Problems, attempt, settle

# The order of the palette indices 1..20 of VOC's SegmentationClass, which is alphabetical.
VOC_CLASSES = [
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
]  # fmt: skip
# Masks and XML may disagree in a few images; in more than this share, the order of the classes is off.
_DISAGREEING_SHARE = 0.05


@dataclass
class Objects:
    """The objects of one XML file: `names` (n), `boxes` float32 (n, 4) xyxy with the last pixel + 1, bool
    `difficult`."""

    names: list[str]
    boxes: np.ndarray
    difficult: np.ndarray


@dataclass
class _Entry:
    """One line of a list on its way to a record; XML and masks may be absent."""

    id: str
    split: str
    where: str
    image: Path | None
    identity: str  # the name of its files, but for an image of both lists
    objects: Objects | None = None
    masks: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None  # points, boxes, categories


def read_objects(path: Path) -> Objects:
    """Reads the objects of a VOC annotation. Its 1-based inclusive boxes become x1 - 1, y1 - 1, x2, y2.

    Raises `InputError` for a file that is missing or is no such XML.
    """
    try:
        items = ElementTree.fromstring(read_bytes(path)).findall("object")
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{path} is not an XML file: {error}.") from None
    names = [(item.findtext("name") or "").strip() for item in items]
    if "" in names:
        raise InputError(f"{path}: object {names.index('') + 1} has no <name>.")
    boxes = np.empty((len(items), 4), np.float32)
    for row, (item, name) in enumerate(zip(items, names, strict=True)):
        corners = [item.findtext(f"bndbox/{tag}") for tag in ("xmin", "ymin", "xmax", "ymax")]
        try:
            boxes[row] = [float(corner) for corner in corners]
        except (TypeError, ValueError):
            raise InputError(f"{path}: the <bndbox> of object {row + 1} ({name}) is not four numbers.") from None
    boxes[:, :2] -= 1
    flat = np.flatnonzero(~(boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    if len(flat):
        raise InputError(f"{path}: the <bndbox> of object {flat[0] + 1} ({names[flat[0]]}) has no area.")
    difficult = np.array([(item.findtext("difficult") or "0").strip() == "1" for item in items], bool)
    return Objects(names, np.maximum(boxes, 0), difficult)


def _read_clipped(path: Path, image: Path | None) -> Objects:
    """The objects of an annotation with their boxes cut at the border of the picture."""
    found = read_objects(path)
    if image is None:  # noted already
        return found
    height, width = picture_size(image)
    found.boxes = np.minimum(found.boxes, np.array([width, height, width, height], np.float32))
    outside = np.flatnonzero(~(found.boxes[:, 2:] > found.boxes[:, :2]).all(axis=1))
    if len(outside):
        name = found.names[outside[0]]
        raise InputError(f"{path}: object {outside[0] + 1} ({name}) lies outside {image}, which is {width}x{height}.")
    return found


def _read_mask_points(folders: MaskFolders, name: str, image: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    found: InstanceMap = folders.read(name, image)
    return mask_points(found)


def find_devkit(root: Path) -> Path:
    """The folder that holds JPEGImages: `root` itself or VOC2012 somewhere under it. Raises `InputError`."""
    for candidate in (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"):
        if (candidate / "JPEGImages").is_dir():
            return candidate
    raise InputError(missing_message("voc", root))


def _find_sbd(sbd_root: Path) -> Path:
    for candidate in (sbd_root, sbd_root / "dataset", sbd_root / "benchmark_RELEASE" / "dataset"):
        if (candidate / "inst").is_dir():
            return candidate / "inst"
    raise InputError(missing_message("sbd", sbd_root))


def _find_list(root: Path, name: str | Path) -> Path:
    """A list file: a path, or the name of a list in ImageSets/Segmentation."""
    shipped = root / "ImageSets" / "Segmentation"
    for candidate in (Path(name), shipped / f"{name}.txt"):
        if candidate.is_file():
            return candidate
    known = [path.stem for path in shipped.glob("*.txt")]
    raise InputError(f"There is no list '{name}', as a file or in {shipped}; {nearest(str(name), known)}")


def _read_entries(root: Path, lists: dict[str, Path], in_both: bool, problems: Problems) -> list[_Entry]:
    """One entry a listed image; notes images that do not exist and, unless they may be, ids in both lists."""
    pictures = {p.stem: p for p in (root / "JPEGImages").iterdir() if p.suffix.lower() in SUFFIXES}
    entries: dict[str, _Entry] = {}
    for split, path in lists.items():
        for name, where in read_ids(path, problems):
            identity = f"{name}_{split}" if in_both and name in entries else name
            if identity in entries:
                problems.add(f"{where}: id '{identity}' of the {split} list is also in {entries[identity].where}.")
                continue
            entries[identity] = _Entry(name, split, where, pictures.get(name), identity)
            if name not in pictures:
                problems.add(f"{where}: there is no image '{name}' in {root / 'JPEGImages'}.")
    return list(entries.values())


def _name_classes(root: Path, entries: list[_Entry], chosen: list[str] | None) -> list[str]:
    """The classes in the order of their pixel values: the setting, else class_names.txt, else VOC's 20 where
    only they occur, else the names of the XML files in alphabetical order."""
    if chosen:
        return list(chosen)
    if (root / "class_names.txt").is_file():
        return [line for _, line in read_lines(root / "class_names.txt")]
    found = {name for entry in entries if entry.objects for name in entry.objects.names}
    if not found:
        raise InputError(f"No object is named in {root / 'Annotations'}; set `class_names`.")
    return VOC_CLASSES if found <= set(VOC_CLASSES) else sorted(found)


def _check_names(root: Path, entries: list[_Entry], class_names: list[str], problems: Problems) -> None:
    for entry in entries:
        for name in sorted(set(entry.objects.names if entry.objects else ()) - set(class_names)):
            path = root / "Annotations" / f"{entry.id}.xml"
            problems.add(f"{path}: there is no class '{name}'; {nearest(name, class_names)}")


def _disagreeing(entries: list[_Entry], class_names: list[str]) -> list[tuple[_Entry, str]]:
    """The images whose masks show a class that their XML does not name, with that class."""
    rows = []
    for entry in entries:
        # An unknown name is a problem of its own and says nothing of the order.
        if entry.masks and entry.objects and set(entry.objects.names) <= set(class_names):
            extra = {class_names[c] for c in entry.masks[2]} - set(entry.objects.names)
            rows += [(entry, min(extra))] if extra else []
    return rows


def _check_order(entries: list[_Entry], class_names: list[str], problems: Problems) -> int:
    """Verifies that pixel value 1 + category is that class. Returns how many images contradict their XML."""
    rows = _disagreeing(entries, class_names)
    both = sum(1 for entry in entries if entry.masks and entry.objects)
    if rows and len(rows) > _DISAGREEING_SHARE * both:
        entry, name = rows[0]
        problems.add(
            f"{len(rows)} of {both} masks show a class that the XML file does not name (first '{name}' in "
            f"{entry.id}), so its pixel values are not in the order {', '.join(class_names[:4])}, ...; set "
            "`class_names` in the order of the pixel values of SegmentationClass."
        )
    return len(rows)


def _overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The IoU of boxes (n, 4) and (m, 4): float (n, m)."""
    inner = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    inner = np.clip(inner, 0, None).prod(axis=2)
    area_a, area_b = ((x[:, 2:] - x[:, :2]).prod(axis=1) for x in (a, b))
    return inner / np.maximum(area_a[:, None] + area_b[None] - inner, 1e-9)


def _points(entry: _Entry, categories: np.ndarray, used: np.ndarray) -> np.ndarray:
    """The point table (n, 3) of an image: of its masks, except those that are an unused difficult object of
    the XML, else of its boxes. `categories` (n,) and `used` (n,) belong to the objects of the XML."""
    if entry.masks is None:
        if entry.objects is None:
            return no_rows(3)
        boxes = entry.objects.boxes[used]
        # The middle of the pixels x1 .. x2 - 1.
        return np.column_stack([(boxes[:, :2] + boxes[:, 2:] - 1) / 2, categories[used]]).astype(np.float32)
    places, boxes, mask_categories = entry.masks
    kept = np.ones(len(places), bool)
    if entry.objects is not None and not used.all():
        same = mask_categories[:, None] == categories[None]
        match = np.where(same, _overlaps(boxes, entry.objects.boxes), -1)
        kept = used[match.argmax(axis=1)] & same.any(axis=1)
    return np.column_stack([places, mask_categories])[kept].astype(np.float32)


def _record(entry: _Entry, class_names: list[str], labels: dict | None, include_difficult: bool) -> ImageRecord:
    """The finished record. Points keep to the tags, so that no image shows a class that it is not tagged
    with."""
    names = entry.objects.names if entry.objects else []
    categories = np.array([class_names.index(name) for name in names], np.int64)
    used = np.ones(len(names), bool) if include_difficult or not names else ~entry.objects.difficult
    tags = labels[entry.id] if labels is not None else tuple(np.unique(categories[used]).tolist())
    points = _points(entry, categories, used)
    boxes = no_rows(5)
    if names:
        boxes = np.column_stack([entry.objects.boxes, categories])[used].astype(np.float32)
    points, boxes = (table[np.isin(table[:, -1], tags)] for table in (points, boxes))
    return ImageRecord(entry.identity, entry.split, entry.image, tags, points, boxes)


def _count(entries: list[_Entry], records: list[ImageRecord], include_difficult: bool, disagreeing: int) -> dict:
    objects = [entry.objects for entry in entries if entry.objects]
    return {
        "objects": sum(len(o.names) for o in objects),
        "difficult_objects": int(sum(o.difficult.sum() for o in objects)),
        "difficult": "include" if include_difficult else "exclude",
        "images_without_tags": sum(1 for record in records if not record.tags),
        "images_whose_masks_show_an_untagged_class": disagreeing,
    }


def read_voc(
    root: Path | str,
    train_list: str | Path | None,
    val_list: str | Path | None,
    difficult: str = "include",
    sbd_root: Path | str | None = None,
    class_names: list[str] | None = None,
    truth: tuple[str, ...] = SPLITS,
    labels: Path | str | None = None,
    in_both: bool = False,
    mapper: Callable = map,
) -> Dataset:
    """Imports a VOC tree.

    `root` holds JPEGImages (or VOCdevkit/VOC2012 does, under it). A list is a file with an id a line or the
    name of one in ImageSets/Segmentation; None leaves its split out. `difficult` objects are included in tags,
    boxes and points or excluded from all three. `truth` names the splits whose true masks are read: PNG masks,
    else `sbd_root`'s. `labels` is a list of image labels that replaces the tags of the XML files, which then may
    be missing. With `in_both` an image may be in both lists; its id is <id>_val in the second.
    `mapper` may be the `map` of a process pool. Raises one `InputError` that names up to 20 bad files and
    lines.
    """
    if difficult not in ("include", "exclude"):
        raise InputError(f"difficult is '{difficult}'; {nearest(difficult, ('include', 'exclude'))}")
    root, problems = find_devkit(Path(root)), Problems()
    named = {"train": train_list, "val": val_list}
    lists = {split: _find_list(root, name) for split, name in named.items() if name is not None}
    entries = _read_entries(root, lists, in_both, problems)
    _read_annotations(root, entries, labels is not None, mapper, problems)
    class_names = _name_classes(root, entries, class_names)
    _check_names(root, entries, class_names, problems)
    folders = MaskFolders(root, _find_sbd(Path(sbd_root)) if sbd_root else None, len(class_names))
    masked = [entry for entry in entries if entry.split in truth and entry.image]
    work = partial(attempt, _read_mask_points, folders)
    found = settle(mapper(work, [e.id for e in masked], [e.image for e in masked]), problems)
    for entry, masks in zip(masked, found, strict=True):
        entry.masks = masks
    disagreeing = _check_order(entries, class_names, problems)
    tags = read_labels(Path(labels), class_names, problems) if labels else None
    for entry in entries if tags is not None else ():
        if entry.id not in tags:
            problems.add(f"{entry.where}: image '{entry.id}' has no line in {labels}.")
    problems.raise_any(f"The VOC data set in {root}")
    records = [_record(entry, class_names, tags, difficult == "include") for entry in entries]
    counts = _count(entries, records, difficult == "include", disagreeing)
    return Dataset(class_names, records, VocTruth(folders, tuple(truth)), counts)


def _read_annotations(root: Path, entries: list[_Entry], optional: bool, mapper: Callable, problems: Problems) -> None:
    """Fills in the objects of every entry that has an XML file; a missing one is noted unless `optional`."""
    paths = [root / "Annotations" / f"{entry.id}.xml" for entry in entries]
    kept = [(entry, path) for entry, path in zip(entries, paths, strict=True) if not optional or path.exists()]
    work = partial(attempt, _read_clipped)
    found = settle(mapper(work, [path for _, path in kept], [entry.image for entry, _ in kept]), problems)
    for (entry, _), objects in zip(kept, found, strict=True):
        entry.objects = objects
