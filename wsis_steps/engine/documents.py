"""JSON documents, JSON lines and tables with a digest of their content, so readers notice damage.

Files without a digest, made by hand or by an earlier version, are read as they are.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.ordinary import check_ordinary


def write_document(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON object with its digest."""
    document = {"digest": _digest(content), **content}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_document(path: Path, what: str = "document") -> Any:
    """JSON without its digest; InputError if it is missing, damaged or not JSON. what: its name in the message."""
    check_ordinary(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; the step that makes it has not run.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} holds no {what} ({error}); delete it and run again.") from None
    if isinstance(content, dict):
        _check(path, content, content)
    return content


def write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Writes JSON lines; the first holds the digest of all, so missing last lines are noticed."""
    first = [{**line, "digest": _digest(lines)} for line in lines[:1]]
    path.write_text("".join(json.dumps(line) + "\n" for line in [*first, *lines[1:]]), encoding="utf-8")


def read_lines(path: Path, what: str = "JSON lines") -> list[dict[str, Any]]:
    """What `write_lines` wrote; InputError if it is missing, damaged or not JSON. what: its name in the message."""
    check_ordinary(path)
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; the step that makes it has not run.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a {what} file ({error}); delete it and run again.") from None
    if not lines or not all(isinstance(line, dict) for line in lines):
        raise InputError(f"{path} is not a {what} file; delete it and run again.")
    _check(path, lines[0], lines)
    return lines


def digest_of_file(path: Path) -> str:
    """BLAKE2 digest of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def check_table(table: Path, document: Path) -> None:
    """InputError if a CSV file does not match the digest of it in the JSON file beside it, if there is one."""
    found = read_document(document, "digest of a table")
    digest = found.get("table") if isinstance(found, dict) else None
    if digest is not None and digest != digest_of_file(table):
        raise InputError(f"{table} does not match {document}: one is damaged or was edited; delete both and run again.")


def _check(path: Path, owner: dict[str, Any], content: Any) -> None:
    """Removes the digest from `owner` (the content or a part of it); InputError if it is not that of the content."""
    digest = owner.pop("digest", None)
    if digest is not None and digest != _digest(content):
        raise InputError(f"{path} is damaged: its digest is wrong; delete it and run again.")


def _digest(content: Any) -> str:
    """BLAKE2 of values as they are after a round trip through JSON."""
    text = json.dumps(json.loads(json.dumps(content)), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
