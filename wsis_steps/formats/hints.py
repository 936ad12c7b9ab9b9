"""What a path that is of no format holds, and what may be meant: for the sentence that refuses it."""

from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from wsis_steps.formats.files import files_below, head_of
from wsis_steps.formats.pictures import SUFFIXES
from wsis_steps.formats.subsets import is_of_masks

_LOOKED_AT = 20_000  # files of a folder of which nothing is known
_FEW = 50  # files and folders that are opened
_ANNOTATIONS = (".json", ".xml", ".yaml", ".yml", ".csv")


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
    """What a file is that people take for annotations, and what to do; nothing where it is none of these."""
    try:
        head = head_of(file) if file.suffix.lower() == ".json" else b""
    except OSError:
        return ""
    if b'"_via_' in head or (b'"shape_attributes"' in head and b'"region_attributes"' in head):
        return f"{file} is a project of VIA (VGG Image Annotator), which is not read; export it in COCO format there."
    if head.startswith(b"[") and b'"image_id"' in head and b'"category_id"' in head:
        return (
            f"{file} is a list of results in COCO's format, which names no pictures and no classes; annotations are "
            "in the file with 'images', 'annotations' and 'categories'."
        )
    return ""


def look_around(folder: Path, title_of: Callable[[Path], str]) -> str:
    """Where in a folder something is that is read, a file or a folder; or what it holds that is not read.

    title_of: what the format of a path is called."""
    files = (path for path in files_below(folder) if path.suffix.lower() in _ANNOTATIONS)
    for file in sorted(islice(files, _FEW)):
        if title := title_of(file):
            return f"{file} is of the format {title}; name it by `annotations`."
        if told := known_as(file):
            return told
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != "."]
    for below in islice(inside, _FEW):
        if title := title_of(below):
            return f"{below} is of the format {title}; name that folder, or move what it holds."
    return ""


def guess(folder: Path) -> str:
    """What a folder may be of which nothing is known but its pictures; nothing where it may be anything."""
    inside = [path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."]
    if len(inside) == 2 and any(is_of_masks(path.name) for path in inside):
        return "A folder of pictures with a folder of masks needs a list of what the masks show: class_names.txt."
    if not inside and all(path.suffix.lower() in SUFFIXES for path in islice(files_below(folder), _FEW)):
        return "If it is the folder of one class, name the folder above it; else write a table tags.csv."
    return ""
