"""Reads pictures that lie in a folder a class, as ImageNet's training images do: one tag a picture, no masks.

root/<folder>/*.JPEG   pictures, also in subfolders
class_map              a CSV file `folder,class`: several folders may be one class, those it leaves out are not read;
                       without one, every folder is a class of its name

Evaluation images are those of a VOC tree, with their masks and the same classes, or a share of the pictures.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.formats.drawing import Drawing, Reading, Shape, Source
from wsis_steps.formats.files import files_below, walk
from wsis_steps.formats.labels import is_ignored, is_no_class
from wsis_steps.formats.notes import Notes
from wsis_steps.formats.pictures import SUFFIXES
from wsis_steps.formats.subsets import is_subset
from wsis_steps.formats.tables import note_alike, read_table
from wsis_steps.formats.voc import Options, read_tree

# Folders that are parts of a data set, not classes.
_PARTS = frozenset(
    {"images", "annotations", "labels", "masks", "jpegimages", "segmentationclass", "segmentationobject"}
)


def looks_like(path: Path) -> bool:
    """Whether a folder holds folders of pictures, and beside them no picture."""
    try:
        folders = [folder for folder in _folders(path) if not is_part(folder.name)] if path.is_dir() else []
        loose = any(file.suffix.lower() in SUFFIXES for file in path.iterdir()) if folders else True
        return not loose and len(folders) == len(_folders(path)) and all(map(_has_picture, folders))
    except OSError:
        return False


def is_part(name: str) -> bool:
    """Whether a folder of this name is usually a part of a data set, not a class."""
    return is_subset(name) or name.casefold() in _PARTS


def _has_picture(folder: Path) -> bool:
    return any(file.suffix.lower() in SUFFIXES for file in files_below(folder))


def _folders(root: Path) -> list[Path]:
    """The folders in a folder that are not hidden."""
    return sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != "." and path.name != "__MACOSX")


def read(source: Source, notes: Notes) -> Reading:
    """The pictures of class folders and, with `val_root`, the evaluation images of a VOC tree, whose classes must be
    those of the folders."""
    settings, root = source.settings, source.root
    classes = _read_class_map(source, notes)
    class_names = list(settings.class_names or sorted({name for name, _ in classes.values()}))
    if not classes and not notes.sentences:
        notes.add(f"{settings.class_map or root} names no folder of pictures.")
    drawings = _read_pictures(source, classes, notes)
    counts = {"folders": len(classes)}
    if settings.val_root:
        val = _read_val(source, class_names, notes)
        drawings += val.drawings
        counts = {**val.counts, **counts}
    return Reading(drawings, class_names, counts=counts)


def _read_class_map(source: Source, notes: Notes) -> dict[str, tuple[str, str]]:
    """Folder -> its class and where that is said, in the order of the file; notes folders that do not exist."""
    root, path = source.root, source.settings.class_map
    there = [folder.name for folder in _folders(root)]
    found: dict[str, tuple[str, str]] = {}
    if path is None:
        found = {name: (name, str(root / name)) for name in there}
    for where, cells in read_table(path, ("folder", "class"), 2, notes) if path else ():
        folder, name = cells["folder"], cells["class"]
        if not name:
            notes.add(f"{where} gives folder '{folder}' no class.")
        elif folder not in there:
            notes.add(f"{where}: there is no folder '{folder}' in {root}; {nearest(folder, there)}")
        elif folder in found:
            notes.add(f"{where} gives folder '{folder}' a second class.")
        else:
            found[folder] = (name, where)
    if not source.settings.class_names:
        note_alike({name: where for name, where in reversed(found.values())}, notes)
    return found


def _read_pictures(source: Source, classes: dict[str, tuple[str, str]], notes: Notes) -> list[Drawing]:
    """The pictures, in the order of their paths; notes folders without any."""
    split = "train" if source.settings.val_root else ""
    drawings = []
    for folder, (name, where) in sorted(classes.items()):
        pictures = walk(source.root / folder, SUFFIXES)
        if not pictures:
            notes.add(f"{source.root / folder} holds no picture.")
        for path in pictures:
            shape = Shape(f"folder '{folder}'", "tag", name)
            drawings.append(
                Drawing(where, path.relative_to(source.root).as_posix(), shapes=[shape], split=split, path=path)
            )
    return drawings


def _read_val(source: Source, class_names: Sequence[str], notes: Notes) -> Reading:
    """The evaluation images of a VOC tree; InputError where they show a class that no folder has."""
    settings = source.settings

    def read_as(truth: tuple[str, ...], names: Sequence[str], own: Notes) -> Reading:
        options = Options(truth, settings.difficult == "include", class_names=tuple(names))
        found = read_tree(settings.val_root, {"val": settings.val_list}, options, own, source.mapper)
        return replace(found, drawings=list(found.drawings))

    own = Notes()
    reading = read_as(settings.truth, class_names, own)
    # what is wrong with masks may come of classes that the folders lack: which these are, the XML files say
    named = read_as((), (), Notes()) if own.sentences else reading
    labels = {shape.label for drawing in named.drawings for shape in drawing.shapes} - set(class_names)
    if lacking := sorted(name for name in labels if not is_no_class(name) and not is_ignored(name)):
        raise InputError(
            f"The evaluation images in {settings.val_root} show classes that no folder has: {', '.join(lacking)}; add "
            "folders, or set data_import_dataset.class_names to all classes."
        )
    notes.sentences += own.sentences
    notes.omit(own.omitted.values())
    return reading
