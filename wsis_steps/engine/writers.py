"""Who writes a file: one process at a time, under a name of its own until the file is whole.

The lock of a file is `.NAME.lock` beside it, which the kernel gives back when its holder dies, however it dies; over
NFS it holds between hosts where the mount has locks. What is unfinished is called `.NAME.HOST-PID-RANDOM.partial`, so
that two writers never meet in one file on a file system without locks either: the last to end has its file kept.
"""

import errno
import fcntl
import functools
import hashlib
import logging
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from wsis_steps.engine.errors import InputError

log = logging.getLogger("wsis")
WAIT = 10.0  # seconds for a writer that is about to end, as a training that saves its last checkpoint
NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
WRITE_ERRORS = (OSError, RuntimeError, ValueError)  # what a write that fails raises, in torch and h5py too
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_LONGEST = 180  # bytes of a name that its partial repeats: file systems take 255 for the whole
_OWNER = r"(?P<host>[\w-]*)-(?P<pid>\d+)-[0-9a-f]{8}"
_LEFTOVER = re.compile(rf"\.(?P<name>.+)\.{_OWNER}\.partial(\.ranks)?")
_IN_TEXT = re.compile(rf"\.([^/\s]+?)\.{_OWNER}\.partial")


def partial_name(path: Path) -> Path:
    """A name beside `path` that no other process has, on any host."""
    return path.with_name(f".{_stem(path)}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}.partial")


def plain(text: str) -> str:
    """A text in which unfinished files have the names of what they become."""
    return _IN_TEXT.sub(r"\1", text)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name to write a file under, which is renamed to `path` when the block ends without an error, else removed.

    Raises InputError where the disk is full.
    """
    part = partial_name(path)
    try:
        yield part
        put_in_place(part, path)
    except WRITE_ERRORS as error:
        raise_full(error, path)
        raise
    finally:
        remove(part)


def write_whole(path: Path, data: bytes | str) -> None:
    """Writes a file, text as UTF-8, as `whole` does, and makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part:
        part.write_bytes(data.encode() if isinstance(data, str) else data)


def raise_full(error: Exception, *paths: Path) -> None:
    """Raises InputError in place of an error that came of a full disk; it names the file, else all of `paths`."""
    if not isinstance(error, InputError) and is_full(error):  # an InputError has named a file
        raise InputError(full_disk(error, *paths)) from error


def is_full(error: BaseException | None) -> bool:
    """Whether the disk had no room. A library may hide that behind an error of its own: all that led to it counts."""
    return any(link.errno in NO_ROOM for link in _system_errors(error))


def full_disk(error: BaseException, *paths: Path) -> str:
    """What a sentence says of a full disk."""
    named = [plain(str(link.filename)) for link in _system_errors(error) if link.filename]
    where = ", ".join(named[:1] or [plain(str(path)) for path in paths])
    return f"The disk is full{': ' * bool(where)}{where}; nothing was kept of what was unfinished."


def _system_errors(error: BaseException | None) -> list[OSError]:
    """What the system refused on the way to an error, the last first."""
    found = []
    while error is not None:
        found += [error] if isinstance(error, OSError) else []
        error = error.__context__
    return found


def put_in_place(part: Path, path: Path) -> None:
    """Renames a whole file or folder to `path`, in place of what is there."""
    if path.is_dir() and not path.is_symlink():  # a folder cannot be renamed over another
        old = partial_name(path)
        path.rename(old)
        part.rename(path)
        remove(old)
    else:
        part.replace(path)


def remove(path: Path) -> None:
    """Removes a file or a folder, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def one_writer(*paths: Path) -> Iterator[None]:
    """Makes this process the only writer of `paths`, whose folders are made, and removes what killed ones left of them.

    Waits a moment for another process; raises InputError where that goes on. Not to be nested for one path.
    """
    with ExitStack() as held:
        # in one order for all, so that no two processes wait for each other
        for path in sorted(set(paths), key=os.path.realpath):
            locked = held.enter_context(_lock(path.with_name(f".{_stem(path)}.lock"), path))
            _remove_leftovers(path.parent.iterdir(), locked, _stem(path))
        yield


@contextmanager
def one_writer_of_folder(folder: Path) -> Iterator[None]:
    """Makes this process the only one that adds files to a folder, which is made; else as `one_writer`.

    A folder that is empty at the end goes again.
    """
    try:
        with _lock(folder / ".wsis.lock", folder) as locked:
            _remove_leftovers(folder.rglob(".*.partial"), locked)
            yield
    finally:
        with suppress(OSError):
            folder.rmdir()


def _stem(path: Path) -> str:
    """The name of a file, or of one that is too long a digest, in the names of its lock and its partials."""
    name = os.fsencode(path.name)
    return path.name if len(name) <= _LONGEST else hashlib.blake2b(name, digest_size=16).hexdigest()


@functools.cache
def _host() -> str:
    return re.sub(r"\W", "-", socket.gethostname().split(".")[0], flags=re.ASCII)[:20]


def _remove_leftovers(paths: Iterator[Path], locked: bool, stem: str = "") -> None:
    """Removes unfinished files, of the file `stem` where that is said. Without locks another process may still write
    them, so then only those go whose process, of this host, is dead."""
    for path in list(paths):
        found = _LEFTOVER.fullmatch(path.name)
        if found is None or (stem and found["name"] != stem):
            continue
        if locked or (found["host"] == _host() and _is_dead(int(found["pid"]))):
            remove(path)


def _is_dead(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return pid == os.getpid()  # this process has begun none yet


@contextmanager
def _lock(lock: Path, path: Path) -> Iterator[bool]:
    """Holds the lock of `path`; gives whether the file system has locks at all."""
    ends = time.monotonic() + WAIT
    while (taken := _take(lock)) is None:
        if time.monotonic() > ends:
            raise InputError(f"{path} is being written by {_holder(lock)}; run again when that has ended, or end it.")
        time.sleep(0.05)
    file, locked = taken
    try:
        yield locked
    finally:
        lock.unlink(missing_ok=True)  # before it is free, so that who has opened it sees that it is gone
        os.close(file)


def _take(lock: Path) -> tuple[int, bool] | None:
    """The lock's open file and whether it is locked, which it is not where nothing can be; None where another has it.

    The kind is POSIX's, which children do not inherit: a worker that outlives a killed step does not hold its lock.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except FileNotFoundError:  # the writer before this one has just removed the empty folder
        return None
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(file), os.stat(lock)):  # whoever had it removed it
            os.close(file)
            return None
    except OSError as error:
        if error.errno in _NO_LOCKS:
            _tell_without_locks(lock.parent)
            return file, False
        os.close(file)
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.ENOENT):
            return None
        raise
    with suppress(OSError):  # on a full disk nobody learns who it is
        os.ftruncate(file, 0)
        os.write(file, f"process {os.getpid()} on {_host()}".encode())
    return file, True


def _holder(lock: Path) -> str:
    """Who has a lock, as far as it says."""
    with suppress(OSError, ValueError):
        if found := re.fullmatch(r"process \d+ on [\w-]+", lock.read_text(encoding="ascii")):
            return found[0]
    return "another process"


@functools.cache  # a folder is told of once
def _tell_without_locks(folder: Path) -> None:
    log.warning("%s lies on a file system without locks: nothing keeps two processes from making the same file", folder)
