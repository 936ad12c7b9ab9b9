"""Reads XML files of boxes beside the pictures, or in a folder of their own, as LabelImg, Roboflow and CVAT write them.

They are VOC's without its lists. The picture of an XML file is that of its name, beside it or in a folder beside its
own; what the file itself says of that may be older than the name, and counts only where there is none. Corners are
those of pixels counted from 0, as these tools have them. Subsets are those of ImageSets/Main/<subset>.txt, as CVAT
exports VOC's layout; without lists, folders that are called train, valid and the like.
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.drawing import Drawing, Reading, Source
from wsis_steps.formats.files import files_below, head_of, walk
from wsis_steps.formats.lists import read_subsets
from wsis_steps.formats.notes import Notes
from wsis_steps.formats.picture_names import bare, parts_of, without_masks
from wsis_steps.formats.pictures import SUFFIXES
from wsis_steps.formats.subsets import folder_splits, split_of_all
from wsis_steps.formats.voc_annotations import Annotation, read_annotation

_LOOKED_AT = 20  # files of a folder
_UNLISTED = "in no list"


def looks_like(path: Path) -> bool:
    """Whether an XML file is of a picture, or a folder holds such files."""
    try:
        files = (file for file in files_below(path) if _is_xml(file)) if path.is_dir() else iter([path])
        return any(_is_annotation(file) for file in islice(files, _LOOKED_AT))
    except OSError:
        return False


def _is_xml(path: Path) -> bool:
    return path.suffix.lower() == ".xml"


def _is_annotation(path: Path) -> bool:
    """Whether the first bytes of a file are those of an XML file of a picture."""
    head = head_of(path) if _is_xml(path) else b""
    return b"<annotation>" in head or b"<annotation " in head


def read(source: Source, notes: Notes) -> Reading:
    """The pictures of all XML files. Raises InputError where there is none."""
    base = source.annotations
    files = walk(base, (".xml",)) if base.is_dir() else [base]
    if not files:
        raise InputError(f"{base} holds no XML files of boxes, as LabelImg writes them beside the pictures.")
    pictures = _Pictures(source.root)
    subsets = _subsets(files, base if base.is_dir() else base.parent, notes)
    common = Path(os.path.commonpath([file.parent for file in files]))
    drawings, left_out = [], set()
    for file, split in zip(files, subsets, strict=True):
        with notes.catch():
            found = read_annotation(file)
            notes.sentences += found.wrong
            notes.leave_out("deleted_objects", str(file), found.deleted)
            drawing = _drawing(file, found, pictures, common)
            if split in ("train", "val", ""):
                drawing.split = split
                drawings.append(drawing)
                continue
            notes.leave_out("shapes_of_pictures_left_out", str(file), len(found.objects))
            if split != _UNLISTED:
                notes.leave_out("pictures_of_other_subsets", str(file))
                left_out.add(drawing.path)
    return Reading(drawings, folders=[path for path in pictures.files() if path not in left_out])


def _subsets(files: list[Path], base: Path, notes: Notes) -> list[str | None]:
    """The split of each file by the lists of subsets where there are such, else by its folders; None of another subset.
    Notes those of train and val both."""
    listed: dict[str, set[str | None]] = defaultdict(set)
    for name, split, _ in read_subsets(base):
        listed[name].add(split)
    if not listed:
        return folder_splits(files, base)
    found = []
    for file in files:
        below = file.relative_to(base).with_suffix("").as_posix().removeprefix("Annotations/")
        splits = listed.get("/".join(parts_of(below)), {_UNLISTED})
        if {"train", "val"} <= splits:
            notes.add(f"{file}: '{below}' is in the lists of both train and val.")
        found.append(_UNLISTED if splits == {_UNLISTED} else split_of_all(splits))
    return found


def _drawing(file: Path, found: Annotation, pictures: "_Pictures", common: Path) -> Drawing:
    """What an XML file says of its picture. common: the folder in which all of them lie."""
    drawing = Drawing(str(file), "", found.height, found.width, [one.shape() for one in found.objects])
    drawing.path = pictures.find(file, found.file)
    if drawing.path:
        drawing.name = drawing.path.relative_to(pictures.root).as_posix()
    elif found.file and not pictures.has(file.stem):
        drawing.name = found.file
    else:
        drawing.name = (file.parent.relative_to(common) / file.stem).as_posix()
    return drawing


class _Pictures:
    """The pictures below a folder, by their names without suffix and their folders."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.found: dict[str, dict[Path, list[Path]]] = defaultdict(lambda: defaultdict(list))
        self.beside: dict[tuple[str, Path], list[Path]] = defaultdict(list)  # by name and the folder above their own
        for path in walk(root, SUFFIXES):
            key = _key(bare(path.name))
            self.found[key][path.parent].append(path)
            self.beside[key, path.parent.parent].append(path)

    def has(self, stem: str) -> bool:
        """Whether there is a picture of this name."""
        return _key(stem) in self.found

    def find(self, file: Path, named: str) -> Path | None:
        """The picture of an XML file: beside it, or in a folder beside its own; of several the one that the file names.
        None where none, or another one too, may be meant."""
        key = _key(file.stem)
        for paths in (self.found.get(key, {}).get(file.parent, ()), self.beside.get((key, file.parent.parent), ())):
            paths = [path for path in paths if path.name == named] or without_masks(paths)
            if len(paths) == 1:
                return paths[0]
        return None

    def files(self) -> Iterator[Path]:
        """All of them, less what is taken for a mask of one."""
        for folders in self.found.values():
            for paths in folders.values():
                yield from without_masks(paths)


def _key(stem: str) -> str:
    """A name with accents as part of their letters."""
    return "".join(parts_of(stem))
