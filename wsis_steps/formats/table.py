"""All formats that are read, and which of them a folder or a file of annotations is of."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from wsis_steps.engine.errors import InputError
from wsis_steps.formats import class_folders, coco, cvat, cvat_masks, folder, label_studio, labelimg, labelme, voc, yolo
from wsis_steps.formats.drawing import Reading, Source
from wsis_steps.formats.files import files_below
from wsis_steps.formats.notes import Notes
from wsis_steps.formats.pictures import SUFFIXES

_LOOKED_AT = 20_000  # files of a folder of which nothing is known


@dataclass(frozen=True)
class Format:
    """A format.

    title: what people call it. read: its reader. looks_like: whether a path, a file of annotations or the folder of a
    data set, is of this format, judged by names and first bytes. signs: patterns of what such a folder holds."""

    title: str
    read: Callable[[Source, Notes], Reading]
    looks_like: Callable[[Path], bool]
    signs: tuple[str, ...]


def _format(title: str, module: object, *signs: str) -> Format:
    return Format(title, module.read, module.looks_like, signs)


# In the order in which a path is tried.
FORMATS = {
    "folder": _format("a folder with tables", folder, "tags.csv"),
    "labelme": _format("LabelMe", labelme, "**/*.json"),  # before COCO, into which people convert it in place
    "coco": _format("COCO", coco, "annotations/instances_*.json"),
    "yolo": _format("YOLO", yolo, "data.yaml", "**/labels"),
    "voc": _format("PASCAL VOC", voc, "JPEGImages", "Annotations", "ImageSets/Segmentation"),
    "cvat_masks": _format("masks of CVAT or labelme2voc", cvat_masks, "SegmentationClass*", "SegmentationObject*"),
    "cvat": _format("CVAT for images", cvat, "annotations.xml"),
    "label_studio": _format("Label Studio", label_studio, "*.json"),
    "labelimg": _format("LabelImg", labelimg, "**/*.xml"),
    "class_folders": _format("a folder of pictures for each class", class_folders),
}


def find_format(path: Path) -> str:
    """The name of the format of a file of annotations, or of the folder of a data set; InputError says what is
    missing."""
    if not path.exists():
        raise InputError(f"{path} does not exist.")
    for name, one in FORMATS.items():
        if one.looks_like(path):
            return name
    titles = ", ".join(one.title for one in FORMATS.values())
    if path.is_file():
        raise InputError(f"{path} is not annotations of a format that is read; these are: {titles}.")
    raise InputError(f"{path} is no data set of a format that is read. {_found(path)} {_nearest(path)}")


def _found(folder: Path) -> str:
    """'It holds 12 pictures, 3 .txt files.'"""
    counts = Counter(path.suffix.lower() for path in islice(files_below(folder), _LOOKED_AT))
    pictures = sum(count for suffix, count in counts.items() if suffix in SUFFIXES)
    others = [(suffix or "nameless", count) for suffix, count in counts.most_common() if suffix not in SUFFIXES]
    parts = [f"{pictures} pictures", *(f"{count} {suffix} files" for suffix, count in others[:4])]
    return f"It holds {', '.join(parts)}."


def _nearest(folder: Path) -> str:
    """What is there and what is missing of the format of which most is there; else what a data set needs."""
    partly = []
    for one in FORMATS.values():
        found = [sign for sign in one.signs if next(folder.glob(sign), None)]
        if 0 < len(found) < len(one.signs):
            partly.append((len(found) / len(one.signs), one, found))
    if not partly:
        return "A table tags.csv is the simplest: docs/own_images.md. What another tool exported, `annotations` names."
    _, best, found = max(partly, key=lambda row: row[0])
    missing = [sign for sign in best.signs if sign not in found]
    return f"The nearest is {best.title}: it has {' and '.join(found)}, but no {' and no '.join(missing)}."
