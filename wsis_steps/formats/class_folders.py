"""Reads images sorted into one folder per class, as ImageNet's training images are: one tag per image, no masks.

root/<folder>/*.JPEG   images, also in subfolders; or root/train/<folder>/ and root/val/<folder>/, as with
                       torchvision's ImageFolder
class_map              a CSV file `folder,class`: several folders may share a class, unlisted folders are not read;
                       without this file, every folder is a class of its own name

Evaluation images are a share of the images, or those of a VOC tree with masks and the same classes.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.formats.drawing import Drawing, Reading, Shape, Source
from wsis_steps.formats.files import files_below, walk
from wsis_steps.formats.hints import known_as
from wsis_steps.formats.labels import is_ignored, is_no_class
from wsis_steps.formats.notes import Notes
from wsis_steps.formats.pictures import SUFFIXES
from wsis_steps.formats.subsets import is_of_masks, is_part, is_subset, split_of
from wsis_steps.formats.tables import note_alike, read_table
from wsis_steps.formats.voc import Options, read_tree
from wsis_steps.formats.yolo_data import is_labels

_NONE = "it has no folder of pictures"


def looks_like(path: Path) -> bool:
    """Whether a folder or its subsets contain several folders of images, and neither loose images nor possible
    annotations."""
    try:
        return path.is_dir() and not _unlike(path)
    except OSError:
        return False


def lacks(path: Path) -> str:
    """Why folders of images are not taken for classes; empty if there are no such folders."""
    why = _unlike(path)
    if not why or why == _NONE or any(is_of_masks(folder.name) for folder in _folders(path)):
        return ""
    return f"{why}; if its folders are classes, set `format: class_folders`"


def _unlike(path: Path) -> str:
    """Why the subfolders are not taken for classes; empty if they are."""
    bases = _bases(path)
    folders = [folder for base, split in bases if split is not None for folder in _folders(base)]
    if not folders or not any(map(_has_picture, folders)):
        return _NONE
    if loose := [base for base, split in bases if split is not None and _has_loose_picture(base)]:
        return f"{loose[0]} holds pictures beside its folders"
    if empty := [folder for folder in folders if not _has_picture(folder)]:
        return f"{empty[0]} holds no picture"
    if parts := [folder.name for folder in folders if is_part(folder.name)]:
        return f"'{parts[0]}' is usually a part of a data set"
    if len({folder.name for folder in folders}) == 1:
        return f"it has a single folder, '{folders[0].name}'"
    if other := _annotations(path):
        return f"{other} may be annotations"
    return ""


def _annotations(folder: Path) -> Path | None:
    """A file in a folder or one level below that looks like annotations of a tool."""
    for file in chain(folder.glob("*.*"), folder.glob("*/*.*")):  # there may be a million files
        suffix = file.suffix.lower()
        is_one = suffix in (".xml", ".yaml", ".yml") or (suffix == ".txt" and is_labels(file))
        if is_one or (suffix == ".json" and known_as(file)):
            return file
    return None


def _has_loose_picture(folder: Path) -> bool:
    return any(file.suffix.lower() in SUFFIXES and file.name[0] != "." for file in folder.iterdir())


def _bases(root: Path) -> list[tuple[Path, str | None]]:
    """The folders that contain the class folders, with their splits: the subsets if there are no other folders, else
    the data set's folder alone."""
    folders = _folders(root)
    if folders and all(is_subset(one.name) for one in folders) and any(map(_folders, folders)):
        return [(folder, split_of(folder.name)) for folder in folders]
    return [(root, "")]


def _has_picture(folder: Path) -> bool:
    return any(file.suffix.lower() in SUFFIXES for file in files_below(folder))


def _folders(root: Path) -> list[Path]:
    """The subfolders that are not hidden."""
    return sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != "." and path.name != "__MACOSX")


def read(source: Source, notes: Notes) -> Reading:
    """The images of class folders and, with `val_root`, the evaluation images of a VOC tree, which must have the same
    classes."""
    settings, root = source.settings, source.root
    bases = _bases(root)
    classes = _read_class_map(source, [base for base, _ in bases], notes)
    class_names = list(settings.class_names or sorted({name for name, _ in classes.values()}))
    if not classes and not notes.sentences:
        notes.add(f"{settings.class_map or root} names no folder of pictures.")
    drawings = _read_pictures(source, bases, classes, notes)
    counts = {"folders": len(classes)}
    if settings.val_root:
        val = _read_val(source, class_names, notes)
        drawings += val.drawings
        counts = {**val.counts, **counts}
    return Reading(drawings, class_names, [base for base, split in bases if split is not None], counts)


def _read_class_map(source: Source, bases: Sequence[Path], notes: Notes) -> dict[str, tuple[str, str]]:
    """Folder -> its class and the place that says so, in the order of the file; notes folders that do not exist."""
    root, path = source.root, source.settings.class_map
    places = {folder.name: str(folder) for base in bases for folder in _folders(base)}
    there = sorted(places)
    found: dict[str, tuple[str, str]] = {}
    if path is None:
        found = {name: (name, places[name]) for name in there}
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


def _read_pictures(
    source: Source, bases: Sequence[tuple[Path, str | None]], classes: dict[str, tuple[str, str]], notes: Notes
) -> list[Drawing]:
    """The images, sorted by path; notes empty folders and counts images of other subsets."""
    drawings, filled = [], set()
    for base, split in bases:
        split = "train" if source.settings.val_root and split == "" else split
        if split is None:
            count = len(walk(base, SUFFIXES))
            notes.leave_out("pictures_of_other_subsets", str(base), count)
            notes.leave_out("shapes_of_pictures_left_out", str(base), count if _folders(base) else 0)
            continue
        if base != source.root and _has_loose_picture(base):
            notes.add(f"{base} holds pictures that lie in no folder of a class.")
        for folder, (name, where) in sorted(classes.items()):
            pictures = walk(base / folder, SUFFIXES) if (base / folder).is_dir() else []
            filled |= {folder} if pictures else set()
            for path in pictures:
                shape = Shape(f"folder '{folder}'", "tag", name)
                place = path.relative_to(source.root).as_posix()
                drawings.append(Drawing(where, place, shapes=[shape], split=split, path=path))
    for folder in sorted(classes.keys() - filled):
        notes.add(f"{bases[0][0] / folder} holds no picture.")
    return drawings


def _read_val(source: Source, class_names: Sequence[str], notes: Notes) -> Reading:
    """The evaluation images of a VOC tree. Raises InputError if they show a class that has no folder."""
    settings = source.settings

    def read_as(truth: tuple[str, ...], names: Sequence[str], own: Notes) -> Reading:
        options = Options(truth, settings.difficult == "include", class_names=tuple(names))
        found = read_tree(settings.val_root, {"val": settings.val_list}, options, own, source.mapper)
        return replace(found, drawings=list(found.drawings))

    own = Notes()
    reading = read_as(settings.truth, class_names, own)
    # Errors in masks may come from classes that have no folder; the XML files name these classes.
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
