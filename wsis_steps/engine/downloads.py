"""Downloads of single files: they resume where they stopped, and only what has its checksum gets its name."""

import fcntl
import hashlib
import http.client
import logging
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.progress import Meter
from wsis_steps.engine.writers import is_full

log = logging.getLogger("wsis")

_BLOCK = 1 << 20
_TIMEOUT = 60  # seconds without receiving a byte
Report = Callable[[int, int], None]


def amount(size: int) -> str:
    """A size in the largest decimal unit in which it is at least 1."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


@contextmanager
def telling(name: str) -> Iterator[Report]:
    """A function report(done, total) in bytes for `fetch`: a bar in a terminal, otherwise a line now and then."""
    meter = None
    with tqdm(desc=name, unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as bar:

        def report(done: int, total: int) -> None:
            nonlocal meter
            bar.total = total or None
            bar.update(done - bar.n)
            if total:
                meter = meter or Meter(total // 10**6, "MB", done // 10**6)  # a resumed transfer starts at what it has
                meter.tell(done // 10**6)

        yield report


def fetch(url: str, part: Path, report: Report, size: int | None = None) -> None:
    """Completes the file `part` from `url`, continuing an earlier call.

    size: in bytes; by default what the server says, if it does. `report(done, total)` is called before the first byte
    and about once per megabyte; total is 0 if unknown. Raises InputError for network errors and an incomplete file,
    which the next call continues.
    """
    start = part.stat().st_size if part.exists() else 0
    if start == size:
        return
    start = start if size is None or start < size else 0
    again = f"run again to resume, or put the file at {part.with_suffix('')}"
    total = size
    try:
        request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
            # A server that does not support ranges sends the whole file with status 200.
            start = start if response.status == 206 else 0
            length = response.headers["Content-Length"]  # absent in a chunked answer
            total = total or (start + int(length) if length else 0)
            report(start, total)
            _copy_body(response, part, start, total, report)
    except urllib.error.HTTPError as error:
        if error.code == 416 and size is None:  # nothing is left to send
            return
        raise InputError(f"{url} answers {error.code} {error.reason}; use another address.") from None
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        done = part.stat().st_size if part.exists() else 0
        reason = getattr(error, "reason", None) or error or type(error).__name__
        of = f" of {amount(total)}" if total else ""
        raise InputError(f"{url} failed after {amount(done)}{of} ({reason}); {again}.") from None
    except ValueError:
        raise InputError(f"'{url}' is not a valid address; use one that starts with https://.") from None
    done = part.stat().st_size
    if done < total:
        raise InputError(f"{url} stopped at {amount(done)} of {amount(total)}; {again}.")


def _copy_body(response: http.client.HTTPResponse, path: Path, start: int, total: int, report: Report) -> None:
    """Appends the response's body to `path`, which holds the first `start` of `total` bytes (0: unknown)."""
    with path.open("ab") as file:
        file.truncate(start)
        done = start
        while block := response.read(_BLOCK):
            file.write(block)
            done += len(block)
            report(done, total)
            if 0 < total < done:
                break


def download(url: str, path: Path, digits: str, about: str) -> None:
    """Downloads a file whose SHA-256 starts with `digits`; if it exists, it is left as it is.

    A second process that wants the same file waits for the first. about: is logged with the size before the transfer.
    Raises InputError for network errors, a full disk and a file with another checksum, of which nothing is kept.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.is_file():
                return
            resumed = part.stat().st_size > 0
            found = _fetch_digest(url, part, about)
            if resumed and not found.startswith(digits):  # the part may be of another file than the rest
                lock.truncate(0)
                found = _fetch_digest(url, part, about)
            if not found.startswith(digits):
                lock.truncate(0)  # resuming a wrong file could never succeed
                raise InputError(f"{url} is not the published file: its SHA-256 begins {found[:8]}, not {digits}.")
            os.replace(part, path)
        log.info("%s: SHA-256 %s, as published", path, digits)
    except OSError as error:
        if is_full(error):
            raise InputError(f"The disk is full: {path.parent}; free some space and run again to continue.") from None
        raise InputError(f"{error.filename or path} cannot be written: {error.strerror}.") from None


def _fetch_digest(url: str, part: Path, about: str) -> str:
    """The SHA-256 of `part` after completing it."""
    with telling(part.stem) as report:
        fetch(url, part, _announced(report, f"{about}, from {url}"))
    with part.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _announced(report: Report, about: str) -> Report:
    """A report that first logs `about` and the size."""
    told = False

    def announced(done: int, total: int) -> None:
        nonlocal told
        if not told:
            log.info("downloading %s: %s", amount(total) if total else "a file of unknown size", about)
            told = True
        report(done, total)

    return announced
