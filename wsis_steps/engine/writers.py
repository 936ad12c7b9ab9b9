"""Writing files: one process at a time, under a temporary name until the file is complete.

The lock of a file is `.NAME.lock` beside it. The kernel releases it when its holder dies, however it dies; over NFS it
holds between hosts if the mount has locks. An unfinished file is called `.NAME.HOST-PID-RANDOM.partial`, so two writers
never write into the same file, even on a file system without locks: the file of the last to finish is kept.
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
WAIT = 10.0  # seconds to wait for a writer that is about to end, such as a training saving its last checkpoint
NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
WRITE_ERRORS = (OSError, RuntimeError, ValueError)  # what a write that fails raises, in torch and h5py too
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_LONGEST = 180  # bytes of a name that its partial repeats: file systems take 255 for the whole
_OWNER = r"(?P<host>[\w-]*)-(?P<pid>\d+)-[0-9a-f]{8}"
_LEFTOVER = re.compile(rf"\.(?P<name>.+)\.{_OWNER}\.partial(\.ranks)?")
_IN_TEXT = re.compile(rf"\.([^/\s]+?)\.{_OWNER}\.partial")


def partial_name(path: Path) -> Path:
    """A name beside `path` that no other process uses, on any host."""
    return path.with_name(f".{_stem(path)}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}.partial")


def plain(text: str) -> str:
    """A text with the final names of files in place of their temporary ones."""
    return _IN_TEXT.sub(r"\1", text)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary name for a file. It is renamed to `path` if the block ends without an error, and removed otherwise.

    Raises InputError if the disk is full.
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
    """Writes a file as `whole` does, text as UTF-8, and makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part:
        part.write_bytes(data.encode() if isinstance(data, str) else data)


def raise_full(error: Exception, *paths: Path) -> None:
    """Raises InputError instead of an error due to a full disk. It names the file if known, otherwise all `paths`."""
    if not isinstance(error, InputError) and is_full(error):  # an InputError has named a file
        raise InputError(full_disk(error, *paths)) from error


def is_full(error: BaseException | None) -> bool:
    """Whether the disk was full. Libraries hide that behind errors of their own, so an error's causes count too."""
    return any(link.errno in NO_ROOM for link in _system_errors(error))


def full_disk(error: BaseException, *paths: Path) -> str:
    """The sentence about a full disk."""
    named = [plain(str(link.filename)) for link in _system_errors(error) if link.filename]
    where = ", ".join(named[:1] or [plain(str(path)) for path in paths])
    return f"The disk is full{': ' * bool(where)}{where}; nothing was kept of the unfinished output."


def _system_errors(error: BaseException | None) -> list[OSError]:
    """The system errors among an error and its causes, the last first."""
    found = []
    while error is not None:
        found += [error] if isinstance(error, OSError) else []
        error = error.__context__
    return found


def put_in_place(part: Path, path: Path) -> None:
    """Renames a complete file or folder to `path`, replacing what is there."""
    if path.is_dir() and not path.is_symlink():  # a folder cannot be renamed over another
        old = partial_name(path)
        path.rename(old)
        part.rename(path)
        remove(old)
    else:
        part.replace(path)


def remove(path: Path) -> None:
    """Removes a file or a folder if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def one_writer(*paths: Path) -> Iterator[None]:
    """Makes this process the only writer of `paths`, makes their folders, and removes leftovers of killed writers.

    Waits `WAIT` seconds for another writer, then raises InputError. Must not be nested for the same path.
    """
    with ExitStack() as held:
        # every process locks in the same order, so no two wait for each other
        for path in sorted(set(paths), key=os.path.realpath):
            locked = held.enter_context(_lock(path.with_name(f".{_stem(path)}.lock"), path))
            _remove_leftovers(path.parent.iterdir(), locked, _stem(path))
        yield


@contextmanager
def one_writer_of_folder(folder: Path) -> Iterator[None]:
    """Makes this process the only one that adds files to a folder, as `one_writer` does for files; makes the folder.

    If the folder is empty at the end, it is removed.
    """
    try:
        with _lock(folder / ".wsis.lock", folder):
            # steps may write below this folder, under locks of their own
            _remove_leftovers(folder.rglob(".*.partial"), locked=False)
            yield
    finally:
        with suppress(OSError):
            folder.rmdir()


def _stem(path: Path) -> str:
    """What the names of a file's lock and partials repeat of its name: all of it, or a digest if it is too long."""
    name = os.fsencode(path.name)
    return path.name if len(name) <= _LONGEST else hashlib.blake2b(name, digest_size=16).hexdigest()


@functools.cache
def _host() -> str:
    return re.sub(r"\W", "-", socket.gethostname().split(".")[0], flags=re.ASCII)[:20]


def _remove_leftovers(paths: Iterator[Path], locked: bool, stem: str = "") -> None:
    """Removes unfinished files, only those of the file `stem` if given. If they are not known to be `locked`, another
    process may still be writing them: then only those of dead processes of this host are removed."""
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
    return pid == os.getpid()  # an earlier process had this number: this one has not started a file yet


@contextmanager
def _lock(lock: Path, path: Path) -> Iterator[bool]:
    """Holds the lock of `path`; yields whether the file system has locks at all."""
    ends = time.monotonic() + WAIT
    while (taken := _take(lock)) is None:
        if time.monotonic() > ends:
            raise InputError(f"{path} is being written by {_holder(lock)}; run again once that has ended, or end it.")
        time.sleep(0.05)
    file, locked = taken
    try:
        yield locked
    finally:
        lock.unlink(missing_ok=True)  # before the release: a process that has opened it sees that it is gone
        os.close(file)


def _take(lock: Path) -> tuple[int, bool] | None:
    """The lock's open file, and whether it is locked (file systems may have no locks); None if another holds it.

    It is a POSIX lock, which children do not inherit: a worker that outlives a killed step does not hold its lock.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except FileNotFoundError:  # the writer before this one has just removed the empty folder
        return None
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(file), os.stat(lock)):  # its last holder has removed it
            os.close(file)
            return None
    except OSError as error:
        if error.errno in NO_LOCKS:
            _tell_without_locks(lock.parent)
            return file, False
        os.close(file)
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.ENOENT):
            return None
        raise
    with suppress(OSError):  # on a full disk the holder stays unnamed
        os.ftruncate(file, 0)
        os.write(file, f"process {os.getpid()} on {_host()}".encode())
    return file, True


def _holder(lock: Path) -> str:
    """Who holds a lock, if the lock file says so."""
    with suppress(OSError, ValueError):
        if found := re.fullmatch(r"process \d+ on [\w-]+", lock.read_text(encoding="ascii")):
            return found[0]
    return "another process"


@functools.cache  # one warning per folder
def _tell_without_locks(folder: Path) -> None:
    log.warning("%s lies on a file system without locks: two processes may write the same file at once", folder)
