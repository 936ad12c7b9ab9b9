"""Which picture of a folder a file means by a name: by all of it, then by what it shares, never by a guess."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path, PurePosixPath

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.files import walk
from wsis_steps.formats.pictures import SUFFIXES

_MOST_TOLD = 20  # names of no picture, of which the nearest is looked for, which takes a while
_UPLOAD = re.compile("[0-9a-f]{7,8}-(.+)")  # what Label Studio puts before the name of an uploaded file


def bare(name: str) -> str:
    """A name without the suffix of a picture; the 5m of plot_0.5m is none."""
    path = PurePosixPath(name)
    return path.with_suffix("").as_posix() if path.suffix.lower() in SUFFIXES else name


def parts_of(name: str) -> tuple[str, ...]:
    """The folders and the file of a name, whichever slashes it has; accents are part of their letters, though the names
    of files that come from a Mac have them apart."""
    parts = PurePosixPath(unicodedata.normalize("NFC", name).replace("\\", "/")).parts
    return tuple(part for part in parts if part not in ("/", ".", ".."))


def identity(name: str) -> str:
    """The id of an image by its place in the folder: a/0001.jpg has the id a_0001."""
    return bare("_".join(parts_of(name)))


def identities(names: Sequence[str]) -> list[str]:
    """The ids of images; those of a.jpg and a.png, both of them in use, keep their suffixes."""
    short = [identity(name) for name in names]
    uses = Counter(short)
    return ["_".join(parts_of(name)) if uses[one] > 1 else one for name, one in zip(names, short, strict=True)]


def _agree(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether the folders of two names agree as far as both have some."""
    return all(a == b for a, b in zip(reversed(one), reversed(other), strict=False))


class Pictures:
    """The pictures of a data set by their names, which are relative to `root`; `folders`: where they lie, if not all
    over it."""

    def __init__(self, root: Path, folders: Sequence[Path] = ()) -> None:
        self.root, self.missed = root, 0
        self.files = [path for one in folders or [root] for path in (walk(one, SUFFIXES) if one.is_dir() else [one])]
        self.parts = [parts_of(path.relative_to(root).as_posix()) for path in self.files]

    @cached_property
    def _by_file(self) -> dict[str, list[int]]:
        found = defaultdict(list)
        for k, parts in enumerate(self.parts):
            found[parts[-1]].append(k)
        return found

    @cached_property
    def _by_bare(self) -> dict[str, list[int]]:
        found = defaultdict(list)
        for k, parts in enumerate(self.parts):
            found[bare(parts[-1])].append(k)
        return found

    def name(self, path: Path) -> str:
        """A picture's place in the folder, with slashes."""
        return path.relative_to(self.root).as_posix()

    def find(self, name: str, uploaded: bool = False) -> Path:
        """The picture that a file calls `name`: that of this name, else the one whose folders agree with it as far as
        both have some, else the same without suffix. `uploaded`: folders in the name mean nothing, and signs before it
        may be those of an upload. InputError where there is none, or several may be meant."""
        for parts in variants(parts_of(name)) if uploaded else filter(None, [parts_of(name)]):
            for known, file in ((self._by_file, parts[-1]), (self._by_bare, bare(parts[-1]))):
                near = (*parts[:-1], file)
                found = [k for k in known.get(file, ()) if self._fits(k, near, uploaded)]
                exact = [
                    k for k in found if len(self.parts[k]) == len(parts) and _agree(self.parts[k][:-1], parts[:-1])
                ]
                found = exact if len(exact) == 1 and not uploaded else found
                if len(found) > 1:
                    several = ", ".join(f"'{self.name(self.files[k])}'" for k in found[:4])
                    raise InputError(f"'{name}' may be any of {len(found)} pictures in {self.root}: {several}")
                if found:
                    return self.files[found[0]]
        raise InputError(f"there is no picture '{name}' in {self.root}{self._nearest(name)}")

    def _fits(self, k: int, near: tuple[str, ...], uploaded: bool) -> bool:
        return uploaded or _agree(self.parts[k][:-1], near[:-1])

    def _nearest(self, name: str) -> str:
        """The picture of the same name but for folder, suffix or case, else that of the nearest name; where none is
        near, how many there are."""
        self.missed += 1
        if self.missed > _MOST_TOLD:
            return f", which has {len(self.parts)} others"
        names, wanted = ["/".join(parts) for parts in self.parts], "/".join(parts_of(name))
        file = bare(wanted.rpartition("/")[2]).casefold()
        same = [name for name, parts in zip(names, self.parts, strict=True) if bare(parts[-1]).casefold() == file]
        close = same[:1] or get_close_matches(wanted, names, n=1, cutoff=0.6)
        return f"; the nearest is '{close[0]}'" if close else f", which has {len(names)} others"


def variants(parts: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The parts of a name, and those that it had before it was uploaded."""
    found = [parts] if parts else []
    if parts and (upload := _UPLOAD.fullmatch(parts[-1])):
        found.append((*parts[:-1], upload.group(1)))
    if parts and "+" in parts[-1]:
        found.append(tuple(part.replace("+", " ") for part in parts))
    return found


def without_masks(paths: Sequence[Path]) -> list[Path]:
    """Pictures of one name without the PNGs beside a JPEG, which are taken for its masks."""
    photos = [path for path in paths if path.suffix.lower() in (".jpg", ".jpeg", ".jfif")]
    folders = {path.parent for path in photos}
    return [path for path in paths if path.suffix.lower() != ".png" or path.parent not in folders]
