"""Reads XML files of boxes beside the images or in a separate folder, as LabelImg, Roboflow and CVAT write them.

The files are VOC's, without its lists. The image of an XML file has the same name, and is beside it or in a sibling
folder. The name inside the XML file may be outdated and is used only if there is no such image. Pixels are counted from
0, as these tools do. Subsets come from ImageSets/Main/<subset>.txt, as CVAT exports VOC's layout; without lists, from
folders named train, valid and the like.
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

_LOOKED_AT = 20  # files per folder
_UNLISTED = "in no list"


def looks_like(path: Path) -> bool:
    """Whether a file is an XML annotation of an image, or a folder contains such files."""
    try:
        files = (file for file in files_below(path) if _is_xml(file)) if path.is_dir() else iter([path])
        return any(_is_annotation(file) for file in islice(files, _LOOKED_AT))
    except OSError:
        return False


def _is_xml(path: Path) -> bool:
    return path.suffix.lower() == ".xml"


def _is_annotation(path: Path) -> bool:
    """Whether the first bytes of a file look like an XML annotation of an image."""
    head = head_of(path) if _is_xml(path) else b""
    return b"<annotation>" in head or b"<annotation " in head


def read(source: Source, notes: Notes) -> Reading:
    """The images of all XML files. Raises InputError if there are none."""
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
    """The split of each file, from the subset lists if there are any, else from its folders; None for another subset.
    Notes files in both train and val."""
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
    """The drawing of an XML file. common: the folder that contains all of them."""
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
    """The images below a folder, by name without suffix and by folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.found: dict[str, dict[Path, list[Path]]] = defaultdict(lambda: defaultdict(list))
        self.beside: dict[tuple[str, Path], list[Path]] = defaultdict(list)  # by name and parent of their folder
        for path in walk(root, SUFFIXES):
            key = _key(bare(path.name))
            self.found[key][path.parent].append(path)
            self.beside[key, path.parent.parent].append(path)

    def has(self, stem: str) -> bool:
        """Whether there is an image of this name."""
        return _key(stem) in self.found

    def find(self, file: Path, named: str) -> Path | None:
        """The image of an XML file, beside it or in a sibling folder; of several, the one that the file names. None if
        there is none, or if several could be meant."""
        key = _key(file.stem)
        for paths in (self.found.get(key, {}).get(file.parent, ()), self.beside.get((key, file.parent.parent), ())):
            paths = [path for path in paths if path.name == named] or without_masks(paths)
            if len(paths) == 1:
                return paths[0]
        return None

    def files(self) -> Iterator[Path]:
        """All images, without those taken for masks of others."""
        for folders in self.found.values():
            for paths in folders.values():
                yield from without_masks(paths)


def _key(stem: str) -> str:
    """A name in composed Unicode (NFC)."""
    return "".join(parts_of(stem))
