"""Finds the image that a name in an annotation file means: by the whole name, then by shared parts, never guessed."""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.files import walk
from wsis_steps.formats.pictures import SUFFIXES
from wsis_steps.formats.subsets import is_of_masks

_MOST_TOLD = 20  # unknown names for which the nearest is searched, which is slow
_SAME = {".jpeg": ".jpg", ".jfif": ".jpg", ".tiff": ".tif"}
_NOT_READ = frozenset({".gif", ".heic", ".heif", ".avif", ".svg", ".psd", ".jp2", ".dng", ".cr2", ".nef", ".arw"})
_ELSEWHERE = re.compile(r"[/\\]|[A-Za-z][\w+.-]*:|\.\.[/\\]")  # /home, C:\, https:, ../
_UPLOAD = re.compile("[0-9a-f]{7,8}-(.+)")  # Label Studio's prefix of uploaded files


def bare(name: str) -> str:
    """A name without its image suffix; other suffixes stay, such as .5m of plot_0.5m."""
    path = PurePosixPath(name)
    return path.with_suffix("").as_posix() if path.suffix.lower() in SUFFIXES else name


def parts_of(name: str) -> tuple[str, ...]:
    """The folders and the file of a name, with either kind of slash, in composed Unicode (NFC); file names from macOS
    may be decomposed."""
    parts = PurePosixPath(unicodedata.normalize("NFC", name).replace("\\", "/")).parts
    return tuple(part for part in parts if part not in ("/", ".", ".."))


def identity(name: str) -> str:
    """The id of an image from its path in the folder: a/0001.jpg has the id a_0001."""
    return bare("_".join(parts_of(name)))


def identities(names: Sequence[str]) -> list[str]:
    """The ids of images; suffixes stay if two ids would be equal, as of a.jpg and a.png."""
    short = [identity(name) for name in names]
    uses = Counter(short)
    return ["_".join(parts_of(name)) if uses[one] > 1 else one for name, one in zip(names, short, strict=True)]


class Pictures:
    """The images of a data set by name, relative to `root`. folders: where they are, if not anywhere below `root`."""

    def __init__(self, root: Path, folders: Sequence[Path] = ()) -> None:
        self.root, self.missed = root, 0
        files = (path for one in folders or [root] for path in (walk(one, SUFFIXES) if one.is_dir() else [one]))
        self.names = [self.name(path) for path in files]  # a path takes five times the memory of its name
        self.parts = [parts_of(name) for name in self.names]

    @property
    def files(self) -> Iterator[Path]:
        """The paths of all images."""
        return (self.root / name for name in self.names)

    @cached_property
    def _by_path(self) -> dict[tuple[str, ...], tuple[int, ...]]:
        found: dict[tuple[str, ...], tuple[int, ...]] = {}
        for k, parts in enumerate(self.parts):
            found[parts] = (*found.get(parts, ()), k)
        return found

    @cached_property
    def _tails(self) -> "_Tails":
        return _Tails(self.parts)

    @cached_property
    def _bare_tails(self) -> "_Tails":
        return _Tails([_bare(parts) for parts in self.parts])

    @cached_property
    def _kinds(self) -> set[str]:
        """The kinds of all images, without those in folders of masks."""
        return {_kind(parts[-1]) for parts in self.parts if not any(map(is_of_masks, parts[:-1]))}

    def name(self, path: Path) -> str:
        """An image's path below `root`, with slashes."""
        return path.relative_to(self.root).as_posix()

    def find(self, name: str, uploaded: bool = False) -> Path:
        """The path of the image that `find_name` finds."""
        return self.root / self.find_name(name, uploaded)

    def find_name(self, name: str, uploaded: bool = False) -> str:
        """The name, with slashes, of the image that a file calls `name`: the one with this name; else the only one
        whose path ends with it, or that it ends with; else the same without suffix. uploaded: folders in the name are
        ignored, and it may have an upload prefix. Raises InputError if there is none, or if several may be meant."""
        for parts in variants(parts_of(name)) if uploaded else filter(None, [parts_of(name)]):
            for look in (self._named, self._alike):  # the second makes a table of its own, which few data sets need
                found = look(parts, name, uploaded)
                if len(found) > 1:
                    several = ", ".join(f"'{self.names[k]}'" for k in found[:4])
                    raise InputError(f"'{name}' may be any of {len(found)} pictures in {self.root}: {several}")
                if found:
                    return self.names[found[0]]
        raise InputError(f"there is no picture '{name}' in {self.root}{self._nearest(name)}")

    def _named(self, parts: tuple[str, ...], name: str, uploaded: bool) -> Sequence[int]:
        """The images with a name, including its suffix."""
        if uploaded:
            return self._tails.find(parts[-1:])[0]
        return self._by_path.get(parts) or self._below_root(parts) or self._by_tail(self._tails, parts, name)

    def _alike(self, parts: tuple[str, ...], name: str, uploaded: bool) -> Sequence[int]:
        """The images with a name, ignoring the suffix: of any kind if the name has none, else of the same kind. Another
        kind counts only if the whole data set has it: beside photos it may be a mask."""
        kind = _kind(parts[-1])

        def may_be(k: int) -> bool:
            own = self.parts[k]
            if any(is_of_masks(folder) and folder not in parts for folder in own[:-1]):
                return False
            return kind in ("", _kind(own[-1])) or self._kinds == {_kind(own[-1])}

        bare_parts = _bare(parts)
        if uploaded:
            return [k for k in self._bare_tails.find(bare_parts[-1:])[0] if may_be(k)]
        return self._by_tail(self._bare_tails, bare_parts, name, may_be)

    def _below_root(self, parts: tuple[str, ...]) -> Sequence[int]:
        """The image of a name that starts with the data set's folder: train/a.jpg is a.jpg in data/train."""
        above = parts_of(os.path.abspath(self.root))
        for k in range(1, len(parts)):
            if parts[:k] == above[-k:] and parts[k:] in self._by_path:
                return self._by_path[parts[k:]]
        return ()

    def _by_tail(
        self, tails: "_Tails", parts: tuple[str, ...], name: str, may_be: Callable[[int], bool] | None = None
    ) -> Sequence[int]:
        """The images that share most of the name's last parts. If the name has folders that none of them has, there
        must be a single image, and its folders must not differ, unless the name is a path on another computer."""
        found, shared = tails.find(parts, may_be)
        if shared == len(parts) or not found:
            return found
        ends_there = len(self.parts[found[0]]) == shared
        return found if len(found) == 1 and (ends_there or is_elsewhere(name)) else ()

    def _nearest(self, name: str) -> str:
        """Suggests the image whose name differs only in folder, suffix or case, else the nearest name; else says how
        many images there are."""
        if (suffix := PurePosixPath(name).suffix.lower()) in _NOT_READ:
            return f", and pictures in {suffix} are not read; convert them to PNG or JPEG"
        self.missed += 1
        if self.missed > _MOST_TOLD:
            return _others(len(self.parts))
        names, wanted = ["/".join(parts) for parts in self.parts], "/".join(parts_of(name))
        file = bare(wanted.rpartition("/")[2]).casefold()
        same = [name for name, parts in zip(names, self.parts, strict=True) if bare(parts[-1]).casefold() == file]
        close = same[:1] or get_close_matches(wanted, names, n=1, cutoff=0.6)
        return f"; the nearest is '{close[0]}'" if close else _others(len(names))


class _Tails:
    """Paths by their ends: the file alone, the file with one folder, and so on."""

    def __init__(self, paths: Sequence[tuple[str, ...]]) -> None:
        self.exact: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for k, parts in enumerate(paths):
            for start in range(len(parts)):
                self.exact[parts[start:]].append(k)

    @cached_property
    def _folded(self) -> dict[tuple[str, ...], list[int]]:
        """The same, ignoring the case of folders, as Windows does."""
        found = defaultdict(list)
        for tail, places in self.exact.items():
            found[_folded(tail)] += places
        return found

    def find(self, parts: tuple[str, ...], may_be: Callable[[int], bool] | None = None) -> tuple[Sequence[int], int]:
        """The paths that share the most last parts (up to two paths unless all parts match), and the number of shared
        parts."""
        for start in range(len(parts)):
            for places in (self.exact.get(parts[start:], ()), self._folded_places(parts, start)):
                found = list(islice(filter(may_be, places), 2 if start else None)) if may_be else places
                if found:
                    return found, len(parts) - start
        return (), 0

    def _folded_places(self, parts: tuple[str, ...], start: int) -> Sequence[int]:
        return self._folded.get(_folded(parts[start:]), ()) if start < len(parts) - 1 else ()


def _others(count: int) -> str:
    return f", which has {count or 'no'} other{'s' * (count != 1)}"


def _folded(parts: tuple[str, ...]) -> tuple[str, ...]:
    return (*(part.casefold() for part in parts[:-1]), parts[-1])


def _bare(parts: tuple[str, ...]) -> tuple[str, ...]:
    return (*parts[:-1], bare(parts[-1]))


def _kind(file: str) -> str:
    return kind_of(PurePosixPath(file).suffix)


def kind_of(suffix: str) -> str:
    """The canonical suffix of an image kind (.jpeg -> .jpg), lower case; empty for other suffixes."""
    suffix = suffix.lower()
    return _SAME.get(suffix, suffix) if suffix in SUFFIXES else ""


def is_elsewhere(name: str) -> bool:
    """Whether a name is an absolute path, an address, or a path outside of the data set."""
    return bool(_ELSEWHERE.match(name))


def variants(parts: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The parts of a name, and those it may have had before it was uploaded."""
    found = [parts] if parts else []
    if parts and (upload := _UPLOAD.fullmatch(parts[-1])):
        found.append((*parts[:-1], upload.group(1)))
    if parts and "+" in parts[-1]:
        found.append(tuple(part.replace("+", " ") for part in parts))
    return found


def without_masks(paths: Sequence[Path]) -> list[Path]:
    """Images of one name without the PNGs beside a JPEG, which are taken for its masks."""
    photos = [path for path in paths if path.suffix.lower() in (".jpg", ".jpeg", ".jfif")]
    folders = {path.parent for path in photos}
    return [path for path in paths if path.suffix.lower() != ".png" or path.parent not in folders]
