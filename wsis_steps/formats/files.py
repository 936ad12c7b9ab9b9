"""Finding and reading the files that a user names."""

import json
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree

from wsis_steps.engine.errors import InputError


def read_bytes(path: Path) -> bytes:
    """The content of a file; InputError where it is missing or cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None


def head_of(path: Path, size: int = 1 << 12) -> bytes:
    """The first bytes of a file, without a byte order mark and spaces before them; none where it is no file."""
    if not path.is_file():
        return b""
    with path.open("rb") as opened:
        return opened.read(size).removeprefix(b"\xef\xbb\xbf").lstrip()


def few_files(folder: Path, suffix: str, most: int = 20) -> list[Path]:
    """The files of a suffix in a folder, in order; none where there are more, which are of pictures or of something
    else."""
    files = (file for file in folder.glob(f"*{suffix}") if not file.name.startswith("."))
    found = list(islice(files, most + 1))
    return sorted(found) if len(found) <= most else []


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark; InputError where it is none."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file in UTF-8.") from None


def read_json(path: Path) -> object:
    """The content of a JSON file; InputError where it is none."""
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{error.lineno}:{error.colno}"
        raise InputError(f"{path} is not a JSON file: it breaks off or breaks JSON's rules at {place}.") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path} is not a JSON file: it holds what no such file of annotations may hold.") from None


def read_xml(path: Path) -> ElementTree.Element:
    """The outermost element of an XML file; InputError where it is none."""
    try:
        return ElementTree.fromstring(read_bytes(path))
    except ElementTree.ParseError as error:
        line, column = error.position
        raise InputError(
            f"{path} is not an XML file: it breaks off or breaks XML's rules at {line}:{column + 1}."
        ) from None
    except (ValueError, LookupError):
        raise InputError(f"{path} is not an XML file: its encoding is not known; save it in UTF-8.") from None


def walk(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The files below a folder with one of these suffixes (in small letters), in order.

    What is hidden is no data: names that begin with a dot (.ipynb_checkpoints, the ._a.jpg of a Mac) and __MACOSX.
    """
    return sorted(path for path in files_below(folder) if path.suffix.lower() in suffixes)


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder that are not hidden; InputError for a folder that cannot be read."""
    try:
        inside = list(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}.") from None
    for path in inside:
        if path.name.startswith(".") or path.name == "__MACOSX":
            continue
        if path.is_dir():
            yield from files_below(path)
        else:
            yield path
