"""Finds and reads the files that a user names."""

import json
import os
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.ordinary import check_ordinary

_MOST_WAYS = 16  # links that may lead to one folder


def read_bytes(path: Path) -> bytes:
    """The content of a file; InputError if it is missing, cannot be read, or is a pipe or a device, which may never
    end."""
    check_ordinary(path)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None


def head_of(path: Path, size: int = 1 << 12) -> bytes:
    """The first bytes of a file, without byte order mark and leading spaces; empty if it is not a file."""
    if not path.is_file():
        return b""
    with path.open("rb") as opened:
        return opened.read(size).removeprefix(b"\xef\xbb\xbf").lstrip()


def few_files(folder: Path, suffix: str, most: int = 20) -> list[Path]:
    """The files with a suffix in a folder, sorted; empty if there are more than `most`, which are then probably one
    file per image."""
    files = (file for file in folder.glob(f"*{suffix}") if not file.name.startswith("."))
    found = list(islice(files, most + 1))
    return sorted(found) if len(found) <= most else []


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with or without byte order mark. Raises InputError if it is not one."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file in UTF-8.") from None


def read_json(path: Path) -> object:
    """The content of a JSON file. Raises InputError if it is not one."""
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{error.lineno}:{error.colno}"
        raise InputError(f"{path} is not a JSON file: it breaks off or breaks JSON's rules at {place}.") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path} is not a JSON file: it has numbers or nesting beyond what can be read.") from None


def read_xml(path: Path) -> ElementTree.Element:
    """The root element of an XML file. Raises InputError if it is not one."""
    try:
        return ElementTree.fromstring(read_bytes(path))
    except ElementTree.ParseError as error:
        line, column = error.position
        raise InputError(
            f"{path} is not an XML file: it breaks off or breaks XML's rules at {line}:{column + 1}."
        ) from None
    except (ValueError, LookupError):
        raise InputError(f"{path} is not an XML file: its encoding is unknown; save it in UTF-8.") from None


def walk(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The files below a folder with one of these suffixes (lower case), sorted.

    Skips hidden files and folders: names that begin with a dot (.ipynb_checkpoints, macOS's ._a.jpg) and __MACOSX.
    """
    return sorted(path for path in files_below(folder) if path.suffix.lower() in suffixes)


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder that are not hidden, including links to files, without pipes and devices.

    Raises InputError for a folder that cannot be read, and if links lead to a folder again and again.
    """
    return _files_below(folder, Counter())


def _files_below(folder: Path, ways: Counter) -> Iterator[Path]:
    """`files_below`; ways: how many links led to each folder so far."""
    for entry in _inside(folder):
        path, is_link = folder / entry.name, entry.is_symlink()
        if path.is_dir() if is_link else entry.is_dir():
            if is_link:
                _count_way(path, ways)
            yield from _files_below(path, ways)
        elif (path.is_file() or not path.exists()) if is_link else entry.is_file():  # reading reports dead links
            yield path


def _count_way(link: Path, ways: Counter) -> None:
    about = link.stat()
    ways[about.st_dev, about.st_ino] += 1
    if ways[about.st_dev, about.st_ino] > _MOST_WAYS:
        raise InputError(f"{link}: links lead to this folder again and again, perhaps in a circle; remove one.")


def _inside(folder: Path) -> list[os.DirEntry]:
    """The entries of a folder that are not hidden; InputError if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".") and entry.name != "__MACOSX"]
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}.") from None


def refuse_links(folder: Path, suffixes: Collection[str], remedy: str) -> None:
    """Raises InputError if `links_out` finds any: someone else's data set must not pull in files that only the user may
    read. remedy: how to allow it."""
    if found := links_out(folder, suffixes):
        more = f", and {len(found) - 1} more do" if len(found) > 1 else ""
        raise InputError(f"{found[0]} is a link that leads out of {folder}, to {_target(found[0])}{more}; {remedy}.")


def links_out(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The symbolic links below a folder that lead out of it, to folders or files with one of these suffixes."""
    root, below, known, found = folder.resolve(), [folder], set(), []
    while below:
        for entry in _inside(below.pop()):
            path = Path(entry.path)
            is_folder = path.is_dir() if entry.is_symlink() else entry.is_dir()
            target = _target(path) if entry.is_symlink() and (is_folder or path.suffix.lower() in suffixes) else None
            if target and root not in (target, *target.parents):
                found.append(path)
            elif is_folder and target not in known:
                known |= {target} - {None}
                below.append(path)
    return sorted(found)


def _target(link: Path) -> Path:
    """The target of a link; the link itself if it leads in a circle."""
    try:
        return link.resolve()
    except (OSError, RuntimeError):
        return link.parent.resolve() / link.name
