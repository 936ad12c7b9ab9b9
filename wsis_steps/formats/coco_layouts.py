"""Where COCO's annotations and their pictures lie in a folder.

Read are COCO's own layout, `annotations/instances_<subset>.json` with the pictures in `<subset>/`, with a year or
without; that of CVAT and Datumaro, with the pictures in `images/<subset>/`; Roboflow's, with
`<subset>/_annotations.coco.json` beside the pictures; and one file of any name, in the folder or in its `annotations/`,
or several that are called as subsets, train.json and val.json.
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
_GROUPS = re.compile(rb'"categories"\s*:\s*\{')  # of Datumaro's own format
_HEAD = 1 << 16  # bytes of a file that are looked at


@dataclass(frozen=True)
class Part:
    """A file of annotations. split: train, val, '' where it is to be divided, None of another subset. folder: where the
    pictures lie, None: anywhere in the data set."""

    file: Path
    split: str | None = ""
    folder: Path | None = None


def find_parts(source: Source) -> list[Part]:
    """The files of annotations of a data set. Raises InputError where there is none, or several may be meant."""
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
            f"{path} has {len(files)} COCO files, and which is which their names do not tell: {names}; call them "
            "annotations/instances_train.json and annotations/instances_val.json, or name one by `annotations`."
        )
    raise InputError(_nothing(path))


def looks_like(path: Path) -> bool:
    """Whether a file is COCO's, or a folder holds such files where they are looked for."""
    try:
        if not path.is_dir():
            return _is_coco(path)
        return bool(_roboflow(path, path) or _instances(path, path)) or next(_others(path), None) is not None
    except OSError:
        return False


def _is_coco(file: Path) -> bool:
    """Whether the first bytes of a file are those of a COCO JSON."""
    head = head_of(file, _HEAD) if file.suffix.lower() == ".json" else b""
    return head.startswith(b"{") and bool(_LISTS.search(head)) and not _GROUPS.search(head)


def _roboflow(path: Path, root: Path) -> list[Part]:
    """Files beside their pictures, in the folder of each subset or, where there is none of a subset, in one of all."""
    files = [file for file in sorted(path.glob(f"*/{ROBOFLOW}")) if not file.parent.name.startswith(".")]
    if not files:
        return [Part(path / ROBOFLOW)] if (path / ROBOFLOW).is_file() else []
    inside = path.is_relative_to(root)
    return [Part(file, split_of(file.parent.name), file.parent if inside else None) for file in files]


def _instances(path: Path, root: Path) -> list[Part]:
    """Files of COCO's names, in `annotations/` or in the folder itself."""
    for folder in (path / "annotations", path):
        if files := sorted(folder.glob("instances_*.json")):
            return [_instances_part(file, root) for file in files]
    return []


def _named_as_subsets(files: list[Path], root: Path) -> list[Part]:
    """Files that are called train.json, val.json and the like, all of them; nothing where one is not, or two are of one
    split."""
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
    """Raises InputError where two files are of one split, or none is of train or val."""
    for split in {part.split for part in parts} - {None}:
        files = [part.file for part in parts if part.split == split]
        if len(files) > 1:
            names = " and ".join(str(file) for file in files)
            raise InputError(f"{names} are both of the subset {split or 'default'}; leave one of them in {path}.")
    if all(part.split is None for part in parts):
        raise InputError(
            f"{path} has no annotations of train or val, only {parts[0].file} and the like; rename the subset, or name "
            "a file by `annotations`."
        )


def _others(path: Path) -> Iterator[Path]:
    """COCO files of other names in a folder and its `annotations/`."""
    for folder in (path, path / "annotations"):
        yield from filter(_is_coco, few_files(folder, ".json"))


def _nothing(path: Path) -> str:
    """What is missing in a folder; of one that is not somebody's own, also where to get it."""
    made = {Path(one).parts[0] for archives in ARCHIVES.values() for archive in archives for one in archive.makes}
    if any((path / name).exists() for name in made - {"annotations"}) or not walk(path, SUFFIXES):
        return missing_message("coco", path)
    return (
        f"{path} has no COCO annotations; looked for are annotations/instances_train.json with the pictures in train/ "
        f"or images/train/, train/{ROBOFLOW} beside the pictures, and a COCO file in the folder itself."
    )
