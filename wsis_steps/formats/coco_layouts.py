"""Finds COCO annotations and their images in a folder.

Supported layouts:
COCO's own: `annotations/instances_<subset>.json`, images in `<subset>/`, with or without a year;
CVAT's and Datumaro's: the same files, images in `images/<subset>/`;
Roboflow's: `<subset>/_annotations.coco.json` beside the images;
one file of any name, or several named after subsets (train.json, val.json), in the folder or its `annotations/`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wsis_steps.data.archives import ARCHIVES, missing_message
from wsis_steps.engine.errors import InputError
from wsis_steps.formats.drawing import Source
from wsis_steps.formats.files import few_files, head_of, walk
from wsis_steps.formats.pictures import SUFFIXES
from wsis_steps.formats.subsets import is_subset, split_of

ROBOFLOW = "_annotations.coco.json"
_YEAR = re.compile(r"[_-]?(19|20)\d\d$")
_LISTS = re.compile(rb'"(images|annotations)"\s*:\s*\[')
_GROUPS = re.compile(rb'"categories"\s*:\s*\{')  # Datumaro's own format
_HEAD = 1 << 16  # bytes of a file that are looked at


@dataclass(frozen=True)
class Part:
    """A file of annotations. split: train, val, '' if it is to be divided, None for another subset. folder: the folder
    of its images; None: anywhere in the data set."""

    file: Path
    split: str | None = ""
    folder: Path | None = None


def find_parts(source: Source) -> list[Part]:
    """The annotation files of a data set. Raises InputError if there are none, or if several could be meant."""
    path = source.annotations
    if not path.is_dir():
        return [Part(path)]
    if parts := _roboflow(path, source.root) or _instances(path, source.root):
        _check_splits(path, parts)
        return parts
    files = list(_others(path))
    if len(files) == 1:
        return [Part(files[0])]
    if parts := _named_as_subsets(files, source.root):
        return parts
    if files:
        names = ", ".join(f"'{file.relative_to(path).as_posix()}'" for file in files)
        raise InputError(
            f"{path} has {len(files)} COCO files whose names do not say which is train and which is val: {names}; "
            "rename them to annotations/instances_train.json and annotations/instances_val.json, or set `annotations` "
            "to one of them."
        )
    raise InputError(_nothing(path))


def looks_like(path: Path) -> bool:
    """Whether a file is COCO JSON, or a folder contains such files in a supported layout."""
    try:
        if not path.is_dir():
            return _is_coco(path)
        return bool(_roboflow(path, path) or _instances(path, path)) or next(_others(path), None) is not None
    except OSError:
        return False


def _is_coco(file: Path) -> bool:
    """Whether the first bytes of a file look like COCO JSON."""
    head = head_of(file, _HEAD) if file.suffix.lower() == ".json" else b""
    return head.startswith(b"{") and bool(_LISTS.search(head)) and not _GROUPS.search(head)


def _roboflow(path: Path, root: Path) -> list[Part]:
    """Roboflow's files beside their images: one per subset folder, else the one in the folder itself."""
    files = [file for file in sorted(path.glob(f"*/{ROBOFLOW}")) if not file.parent.name.startswith(".")]
    if not files:
        return [Part(path / ROBOFLOW)] if (path / ROBOFLOW).is_file() else []
    inside = path.is_relative_to(root)
    return [Part(file, split_of(file.parent.name), file.parent if inside else None) for file in files]


def _instances(path: Path, root: Path) -> list[Part]:
    """Files with COCO's names, in `annotations/` or in the folder itself."""
    for folder in (path / "annotations", path):
        if files := sorted(folder.glob("instances_*.json")):
            return [_instances_part(file, root) for file in files]
    return []


def _named_as_subsets(files: list[Path], root: Path) -> list[Part]:
    """The files, if all are named after subsets (train.json, val.json) and no two are of one split; else empty."""
    parts = [_instances_part(file, root) for file in files if is_subset(_YEAR.sub("", file.stem))]
    splits = [part.split for part in parts if part.split is not None]
    return parts if len(parts) == len(files) and "train" in splits and len(splits) == len(set(splits)) else []


def _instances_part(file: Path, root: Path) -> Part:
    subset = file.stem.removeprefix("instances_")
    bare = _YEAR.sub("", subset)
    split = split_of(bare)
    alike = [name for name in ("train", "val", "valid", "validation") if split and split_of(name) == split]
    folders = [f"{parent}{name}" for parent in ("", "images/") for name in (subset, bare, *alike) if name]
    folder = next((root / name for name in (*folders, "images") if (root / name).is_dir()), None)
    return Part(file, split, folder)


def _check_splits(path: Path, parts: list[Part]) -> None:
    """Raises InputError if two files are of one split, or none is of train or val."""
    for split in {part.split for part in parts} - {None}:
        files = [part.file for part in parts if part.split == split]
        if len(files) > 1:
            names = " and ".join(str(file) for file in files)
            raise InputError(f"{names} are both of the subset {split or 'default'}; keep only one of them in {path}.")
    if all(part.split is None for part in parts):
        raise InputError(
            f"{path} has no annotations of train or val, only {parts[0].file} and the like; rename the subset, or set "
            "`annotations` to a file."
        )


def _others(path: Path) -> Iterator[Path]:
    """COCO files with other names in a folder and its `annotations/`."""
    for folder in (path, path / "annotations"):
        yield from filter(_is_coco, few_files(folder, ".json"))


def _nothing(path: Path) -> str:
    """The error for a folder without annotations; for a published data set, also where to get them."""
    made = {Path(one).parts[0] for archives in ARCHIVES.values() for archive in archives for one in archive.makes}
    if any((path / name).exists() for name in made - {"annotations"}) or not walk(path, SUFFIXES):
        return missing_message("coco", path)
    return (
        f"{path} has no COCO annotations; supported are annotations/instances_train.json with the images in train/ "
        f"or images/train/, train/{ROBOFLOW} beside the images, and a COCO file in the folder itself."
    )
