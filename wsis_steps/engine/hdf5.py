"""Opening HDF5 files for reading: what keeps a good file from being read is told from a file that is damaged."""

import errno
import functools
import logging
import os
from pathlib import Path

import h5py

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.links import elsewhere

log = logging.getLogger("wsis")
DAMAGED = "is truncated or no HDF5 file; if the workflow made it, delete it and run again"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


def open_hdf5(path: Path, damaged: str = DAMAGED) -> h5py.File:
    """The file opened for reading, without a lock where its file system has none: results are renamed when complete, so
    nobody writes to them. Raises InputError where it is missing, locked or forbidden, where it leads to other files,
    or, with `damaged`, where it is no HDF5 file.
    """
    file = _open(path, damaged)
    try:
        fault = elsewhere(file)
    except (RuntimeError, OSError, LookupError, ValueError):  # as libraries tell of damage
        fault = None
    if fault == "":
        return file
    file.close()
    raise InputError(f"{path} {damaged}." if fault is None else f"{path} is refused: {fault}.")


def _open(path: Path, damaged: str) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        failure = error
    if _lacks_locks(failure):
        _tell_without_locks(path.parent)
        try:
            return h5py.File(path, "r", locking=False)
        except OSError as error:
            failure = error
    raise InputError(f"{path} {_reason(failure, damaged)}.") from failure


def _lacks_locks(error: OSError) -> bool:
    """Whether a file system refused a lock that nobody else holds."""
    refused = "unable to lock file" in str(error) and error.errno != errno.EAGAIN
    return refused or error.errno in _NO_LOCKS


@functools.cache  # a folder is told of once
def _tell_without_locks(folder: Path) -> None:
    log.warning("%s lies on a file system without locks; its HDF5 files are read without one", folder)


def _reason(error: OSError, damaged: str) -> str:
    """What of a file that cannot be opened a sentence says behind its name."""
    if error.errno == errno.ENOENT:
        return "does not exist; the step that makes it has not run"
    if error.errno == errno.EAGAIN or "already open for write" in str(error):
        return "is locked: another program has it open for writing; close it there and run again"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "may not be read: permission denied; the file may be whole, ask its owner for access"
    if error.errno in _NO_LOCKS:
        return (
            "lies on a file system without locks, on which it cannot be opened; set the environment variable "
            "HDF5_USE_FILE_LOCKING=FALSE, or copy it elsewhere"
        )
    if error.errno is not None:
        return f"cannot be opened: {os.strerror(error.errno)}"
    return damaged
