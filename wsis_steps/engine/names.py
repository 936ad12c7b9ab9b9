"""Untrusted names of images and classes: as files below a folder, on a terminal and in a table.

Whoever sends a file chooses the names in it, and a name can be a path to write to, a command to a terminal or a formula
in a spreadsheet.
"""

import re
from pathlib import Path, PurePosixPath

from wsis_steps.engine.errors import InputError

# Control characters, line ends, characters that change the direction of writing, lone surrogates, and what XML forbids.
# Joiners are allowed: they are part of words in some scripts.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_CONTROL_IN_LINES = re.compile(_CONTROL.pattern.replace(r"\x00-\x1f", r"\x00-\x08\x0b-\x1f"))  # keeps \t and \n
_FORMULA = ("=", "+", "-", "@")  # and tabs and carriage returns, which are control characters


def has_control(name: str) -> bool:
    """Whether a name has a control character or another invisible character that a terminal or a file obeys."""
    return _CONTROL.search(name) is not None


def printable(name: str) -> str:
    r"""A name on one line, its control characters escaped as in \x1b."""
    return _CONTROL.sub(_escaped, name)


def printable_lines(text: str) -> str:
    """`printable` for a text of several lines: keeps line ends and tabs."""
    return _CONTROL_IN_LINES.sub(_escaped, text)


def as_cell(name: str) -> str:
    """A name for a table that spreadsheets open: an apostrophe in front makes text of what they would take for a
    formula."""
    return f"'{printable(name)}" if name.startswith(_FORMULA) else printable(name)


def is_file_name(name: str) -> bool:
    """Whether a name, which may contain folders, stays below any folder it is put in."""
    path = PurePosixPath(name)
    plain = str(path) == name and "\\" not in name and not has_control(name)
    return plain and name != "." and not path.is_absolute() and ".." not in path.parts


def path_below(folder: Path, name: str) -> Path:
    """The path of a name below a folder; InputError if it would lead out of it."""
    if not is_file_name(name):
        raise InputError(f"{name!r} cannot be the name of a file below {folder}; nothing is written outside it.")
    return folder / name


def _escaped(found: re.Match) -> str:
    return found.group().encode("unicode_escape").decode("ascii")
