"""All supported formats, and the detection of the format of a folder or an annotation file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wsis_steps.engine.errors import InputError
from wsis_steps.formats import class_folders, coco, cvat, cvat_masks, folder, label_studio, labelimg, labelme, voc, yolo
from wsis_steps.formats.drawing import Reading, Source
from wsis_steps.formats.hints import found_in, guess, known_as, look_around
from wsis_steps.formats.notes import Notes

_SIMPLEST = "The simplest is a table tags.csv: docs/own_images.md. For a tool's export elsewhere, set `annotations`."


@dataclass(frozen=True)
class Format:
    """A supported format.

    title: its name for people. read: its reader. looks_like: whether a path (an annotation file or a data set's folder)
    has this format, judged by names and first bytes. covers: formats whose files are part of this layout; a folder that
    matches both has this one. lacks: describes what an incomplete folder of this format still needs, '' for others."""

    title: str
    read: Callable[[Source, Notes], Reading]
    looks_like: Callable[[Path], bool]
    covers: tuple[str, ...] = ()
    lacks: Callable[[Path], str] = lambda path: ""


def _format(title: str, module: object, *covers: str) -> Format:
    return Format(title, module.read, module.looks_like, covers, getattr(module, "lacks", lambda path: ""))


FORMATS = {
    "folder": _format("a folder with tables", folder, "class_folders"),
    "labelme": _format("LabelMe", labelme, "class_folders"),
    "coco": _format("COCO", coco, "class_folders"),
    "yolo": _format("YOLO", yolo, "class_folders"),
    "voc": _format("PASCAL VOC", voc, "cvat_masks", "labelimg"),
    "cvat_masks": _format("masks of CVAT or labelme2voc", cvat_masks, "labelimg", "class_folders"),
    "cvat": _format("CVAT for images", cvat, "class_folders"),
    "label_studio": _format("Label Studio", label_studio, "class_folders"),
    "labelimg": _format("LabelImg", labelimg, "class_folders"),
    "class_folders": _format("a folder of pictures for each class", class_folders),
}


def find_format(path: Path) -> str:
    """The name of the format of an annotation file or a data set's folder. Raises InputError, which says what is
    missing or which formats match."""
    if not path.exists():
        raise InputError(f"{path} does not exist.")
    alike = formats_of(path)
    if len(alike) == 1:
        return alike[0]
    if alike:
        titles = " and ".join(FORMATS[name].title for name in alike)
        raise InputError(
            f"{path} holds annotations of several formats, {titles}; remove those that are not needed, or set "
            f"`format` to {' or '.join(alike)}."
        )
    if path.is_file():
        titles = ", ".join(one.title for one in FORMATS.values())
        told = known_as(path) or f"{path} is not an annotation file of a supported format; these are: {titles}."
        raise InputError(told)
    hint = look_around(path, _title_of) or _incomplete(path) or guess(path) or _SIMPLEST
    raise InputError(f"{path} is not a data set of a supported format. {found_in(path)} {hint}")


def formats_of(path: Path) -> list[str]:
    """The names of all formats that a path matches, without those covered by another one's layout."""
    alike = [name for name, one in FORMATS.items() if one.looks_like(path)]
    covered = {name for of in alike for name in FORMATS[of].covers}
    return [name for name in alike if name not in covered]


def _title_of(path: Path) -> str:
    """The title of a path's format; '' if there is none."""
    return next((FORMATS[name].title for name in formats_of(path)), "")


def _incomplete(path: Path) -> str:
    """What is missing for the first format that is partly there; '' if there is none."""
    for one in FORMATS.values():
        if lacking := one.lacks(path):
            return f"The nearest is {one.title}: {lacking}."
    return ""
