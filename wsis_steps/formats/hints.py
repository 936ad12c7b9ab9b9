"""Describes a path of no known format and suggests what may be meant, for the error that refuses it."""

from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from wsis_steps.formats.files import files_below, head_of
from wsis_steps.formats.pictures import SUFFIXES
from wsis_steps.formats.subsets import is_of_masks, is_part

_LOOKED_AT = 20_000  # files of an unknown folder
_FEW = 50  # files and folders that are opened
_ANNOTATIONS = (".json", ".xml", ".yaml", ".yml", ".csv")
_SIGNS_ABOVE = (
    "tags.csv", "data.yaml", "annotations.xml", "annotations", "Annotations", "labels", "ImageSets", "labelmap.txt",
    "_annotations.coco.json",
)  # fmt: skip
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")
# Files of other tools: strings in their first bytes, what the file is, and what to do.
_KNOWN = (
    ((b'"_via_',), "a project of VIA (VGG Image Annotator)", "export it in COCO format there"),
    ((b'"shape_attributes"', b'"region_attributes"'), "VIA's own JSON", "export it in COCO format there"),
    ((b'"coordinates"', b'"annotations"', b'"label"'), "CreateML's JSON", "convert it to COCO"),
    ((b'"categories"', b'"label"', b'"items"'), "Datumaro's own JSON", "export it in COCO format there"),
    ((b'"classTitle"',), "Supervisely's JSON", "export it in COCO or Pascal VOC format there"),
    ((b'"classes"', b'"shape"', b'"tags"'), "Supervisely's list of classes", "export it in COCO format there"),
    ((b'"sample_fields"',), "FiftyOne's own dataset", "export it as COCODetectionDataset"),
)


def found_in(folder: Path) -> str:
    """'It holds 12 pictures, 3 .txt files.'"""
    counts = Counter(path.suffix.lower() for path in islice(files_below(folder), _LOOKED_AT))
    pictures = sum(count for suffix, count in counts.items() if suffix in SUFFIXES)
    others = [(suffix or "nameless", count) for suffix, count in counts.most_common() if suffix not in SUFFIXES]
    parts = [_counted(pictures, "picture"), *(_counted(count, f"{suffix} file") for suffix, count in others[:4])]
    return f"It holds {', '.join(parts)}."


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'s' * (count != 1)}"


def known_as(file: Path) -> str:
    """What an unsupported annotation file is, and what to do; empty for other files."""
    suffix = file.suffix.lower()
    if suffix in _ARCHIVES:
        return f"{file} is an archive; unpack it first."
    try:
        head = head_of(file) if suffix == ".json" else b""
        if file.stat().st_size == 0:
            return f"{file} is empty."
    except OSError:
        return ""
    for signs, what, remedy in _KNOWN:
        if all(sign in head for sign in signs):
            return f"{file} is {what}, which is not supported; {remedy}."
    if head.startswith(b"[") and b'"image_id"' in head and b'"category_id"' in head:
        return (
            f"{file} is a list of results in COCO's format, which names no pictures and no classes; annotations are "
            "in the file with 'images', 'annotations' and 'categories'."
        )
    if suffix == ".json" and not head.startswith((b"{", b"[")):
        return f"{file} is not a JSON file."
    return ""


def look_around(folder: Path, title_of: Callable[[Path], str]) -> str:
    """Where in or above a folder a supported data set is, or which unsupported files it contains.

    title_of: the title of a path's format."""
    suffixes = {path.suffix.lower() for path in islice(files_below(folder), _LOOKED_AT)}
    told_by = _ANNOTATIONS if suffixes & SUFFIXES else (*_ANNOTATIONS, *_ARCHIVES)  # then archives were unpacked
    files = (path for path in files_below(folder) if path.suffix.lower() in told_by)
    for file in sorted(islice(files, _FEW)):
        if title := title_of(file):
            return f"{file} has the format {title}; set `annotations` to it."
        if told := known_as(file):
            return told
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != "."]
    titles = {below: title for below in islice(inside, _FEW) if (title := title_of(below))}
    if len(titles) == 1:
        [(below, title)] = titles.items()
        return f"{below} has the format {title}; use that folder, or move its content up."
    if titles:
        names = ", ".join(below.name for below in titles)
        return f"It contains several data sets: {names}; use one of them, or rename them to train and val."
    return _look_above(folder)


def _look_above(folder: Path) -> str:
    """Suggests the folder above a part of a data set if it has annotations in the usual places; opens no files."""
    above = folder.resolve()
    while is_part(above.name):
        above = above.parent
        if sign := next((name for name in _SIGNS_ABOVE if (above / name).exists() and above / name != folder), ""):
            return f"The folder above, {above}, has {sign}; use that one."
    return ""


def guess(folder: Path) -> str:
    """What a folder of images without annotations may be; empty if nothing suggests it."""
    inside = [path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."]
    if tables := sorted(folder.glob("*.csv")):
        return f"{tables[0].name} is not read; tags are read from tags.csv, whose first line is image,tags."
    if len(inside) == 2 and any(is_of_masks(path.name) for path in inside):
        return (
            "Pictures and their masks are read in VOC's layout: JPEGImages, SegmentationObject (a value per object), "
            "SegmentationClass, and a list of the classes, class_names.txt; if both folders are classes, set "
            "`format: class_folders`."
        )
    if not inside and all(path.suffix.lower() in SUFFIXES for path in islice(files_below(folder), _FEW)):
        return "If it is the folder of one class, use the folder above it; else write a table tags.csv."
    return ""
