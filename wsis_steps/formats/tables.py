"""Reads CSV tables that people write, with or without a header line."""

import csv
import unicodedata
from itertools import pairwise, zip_longest
from pathlib import Path, PurePosixPath

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.ordinary import check_ordinary
from wsis_steps.engine.problems import Problems
from wsis_steps.formats.pictures import SUFFIXES


def read_table(
    path: Path, columns: tuple[str, ...], needed: int, problems: Problems
) -> list[tuple[str, dict[str, str]]]:
    """The rows of a CSV file as ('file:line', column -> text, '' if absent). The first `needed` of `columns` must
    exist. Rows with surplus cells are noted and left out."""
    check_ordinary(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, skipinitialspace=True)
            rows = [(reader.line_num, list(map(_clean, row))) for row in reader if any(map(str.strip, row))]
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{path} is not a CSV file in UTF-8.") from None
    if not rows:
        return []
    names = columns
    if PurePosixPath(rows[0][1][0]).suffix.lower() not in SUFFIXES:  # not an image, so this is the header
        names = _read_header(f"{path}:{rows[0][0]}", rows.pop(0)[1], columns, needed)
    found = []
    for number, row in rows:
        if any(row[len(names) :]):
            decimals = "; decimals have a point"
            hints = {"tags": "; separate several tags by spaces or semicolons", "x": decimals, "x1": decimals}
            hint = next((hints[name] for name in names if name in hints), "")
            problems.add(f"{path}:{number} has {len(row)} cells for the columns {','.join(names)}{hint}.")
        else:
            found.append((f"{path}:{number}", dict(zip_longest(names, row[: len(names)], fillvalue=""))))
    return found


def _clean(cell: str) -> str:
    """A stripped cell in composed Unicode (NFC), so that names that look the same are equal."""
    return unicodedata.normalize("NFC", cell.strip())


def _read_header(where: str, header: list[str], columns: tuple[str, ...], needed: int) -> tuple[str, ...]:
    """The names of the columns. Raises InputError if one is missing or repeated."""
    names = [cell.lower() for cell in header]
    while names and not names[-1]:  # spreadsheets pad every line to the widest
        names.pop()
    line = ",".join(header)
    if set(columns[:needed]) - set(names):
        wanted = ",".join(columns[:needed]) + "".join(f"[,{column}]" for column in columns[needed:])
        kind = " nor starts with a picture's name" if columns[0] == "image" else ""
        kind = "; separate columns by commas" if ";" in line or "\t" in line else kind
        raise InputError(f"{where} reads '{line}', which is not the header {wanted}{kind}.")
    if any(names.count(column) > 1 for column in columns):
        raise InputError(f"{where} reads '{line}', which names a column twice.")
    return tuple(names)


def note_alike(first: dict[str, str], problems: Problems) -> None:
    """Notes class names that differ only in case. first: where each name was first seen."""
    for one, other in pairwise(sorted(first, key=lambda name: (name.casefold(), name))):
        if one.casefold() == other.casefold():
            problems.add(f"{first[other]}: the class '{other}' is '{one}' in {first[one]}; write them alike.")
