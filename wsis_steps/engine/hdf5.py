"""Reading HDF5 files: tells damaged files from intact ones that cannot be read.

Checksums cover the data and the structure of a result (`OutputFile`); a digest covers the root attributes, which have
no checksum.
"""

import errno
import functools
import hashlib
import json
import logging
import math
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.links import elsewhere
from wsis_steps.engine.ordinary import check_ordinary
from wsis_steps.engine.writers import NO_LOCKS

log = logging.getLogger("wsis")
DAMAGED = "is truncated or not an HDF5 file; if the workflow made it, delete it and run again"
SIGNED = 2  # the schema version of results with checksums; those of version 1 have none
DENSEST = 1100  # bytes per stored byte; gzip reaches 1032
_DAMAGE = (OSError, RuntimeError, ValueError, LookupError, TypeError, SystemError)  # what h5py raises on it


def open_hdf5(path: Path, damaged: str = DAMAGED) -> h5py.File:
    """The file opened for reading, without a lock where its file system has none: results are renamed when complete, so
    nobody writes to them. Raises InputError if it is missing, locked or forbidden, refers to other files, or, with
    the text `damaged`, is not an HDF5 file.
    """
    file = _open(path, damaged)
    try:
        fault = elsewhere(file)
    except _DAMAGE:
        fault = None
    if fault == "":
        return file
    file.close()
    raise InputError(f"{path} {damaged}." if fault is None else f"{path} is refused: {fault}.")


def _open(path: Path, damaged: str) -> h5py.File:
    check_ordinary(path)
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


def write_attribute(file: h5py.File, name: str, text: str) -> None:
    """Adds a root attribute of fixed length: HDF5 may read those of variable length for ever if they are damaged."""
    data = text.encode()
    file.attrs.create(name, data, dtype=h5py.string_dtype("utf-8", max(len(data), 1)))


def sign(file: h5py.File) -> None:
    """Adds the digest of the root attributes; must be called last."""
    write_attribute(file, "digest", _digest(_attributes(file)))


def read_attributes(file: h5py.File) -> dict[str, Any]:
    """The root attributes of an open file, texts as str; InputError if they do not match their digest."""
    try:
        found = _attributes(file)
    except _DAMAGE as error:
        raise InputError(damage(file.filename)) from error
    digest = found.pop("digest", "")
    if "schema" in found and found.get("schema_version") == SIGNED and digest != _digest(found):
        raise InputError(damage(file.filename, "root attributes"))
    return found


def damage(path: Path | str, part: str = "") -> str:
    """The sentence about a damaged file."""
    what = f"'{part}' in it cannot be read, or its checksum is wrong" if part else "it cannot be read"
    return f"{path} is damaged: {what}; if the workflow made it, delete it and run again."


class CheckedDataset(h5py.Dataset):
    """A dataset whose errors name its file."""

    def __getitem__(self, args, new_dtype=None):
        try:
            return super().__getitem__(args, new_dtype)
        except OSError as error:
            if "errno = " in str(error):  # the system failed to read; HDF5 found no damage
                text = " ".join(str(error).split())
                raise InputError(f"{self.file.filename} cannot be read from its disk or network ({text}).") from error
            raise InputError(damage(self.file.filename, self.name.strip("/"))) from error


def find_dataset(file: h5py.File, name: str) -> CheckedDataset:
    """A dataset of an open file; InputError if it is damaged or missing."""
    try:
        found = file[name]
    except KeyError as error:
        if "doesn't exist" in str(error):
            raise InputError(f"{file.filename} has no '{name}'; delete it and run again.") from error
        raise InputError(damage(file.filename, name)) from error
    except _DAMAGE as error:
        raise InputError(damage(file.filename, name)) from error
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"{file.filename} has no '{name}'; delete it and run again.")
    check_size(found)
    return CheckedDataset(found.id)


def check_size(dataset: h5py.Dataset) -> None:
    """InputError if a dataset claims more values than the bytes of its file can hold: reading it would take the memory
    for all of them."""
    path, name = dataset.file.filename, dataset.name.strip("/")
    try:
        chunks = dataset.chunks or dataset.shape
        sides = (chunk * -(-side // chunk) for side, chunk in zip(dataset.shape, chunks, strict=True) if side)
        claimed = dataset.size and dataset.dtype.itemsize * math.prod(sides)  # in whole chunks
        most = Path(path).stat().st_size * (DENSEST if dataset.compression else 1)
    except _DAMAGE as error:
        raise InputError(damage(path, name)) from error
    if claimed > most:
        raise InputError(f"{path} is refused: its '{name}' claims {claimed:,} bytes, more than the file can hold.")


def _attributes(file: h5py.File) -> dict[str, Any]:
    return {name: _plain(value) for name, value in file.attrs.items()}


def _plain(value: Any) -> Any:
    """Texts and whole numbers as they are; anything else, which this program does not write, as text."""
    if isinstance(value, bytes):
        return value.decode()
    return value if isinstance(value, str | np.integer) else str(value)


def _digest(attributes: dict[str, Any]) -> str:
    values = json.dumps(sorted((name, str(value)) for name, value in attributes.items()))
    return hashlib.blake2b(values.encode(), digest_size=16).hexdigest()


def _lacks_locks(error: OSError) -> bool:
    """Whether the file system refused a lock although nobody else holds one."""
    refused = "unable to lock file" in str(error) and error.errno != errno.EAGAIN
    return refused or error.errno in NO_LOCKS


@functools.cache  # one warning per folder
def _tell_without_locks(folder: Path) -> None:
    log.warning("%s lies on a file system without locks; its HDF5 files are read without one", folder)


def _reason(error: OSError, damaged: str) -> str:
    """Why a file cannot be opened, as the end of a sentence that starts with its name."""
    if error.errno == errno.ENOENT:
        return "does not exist; the step that makes it has not run"
    if error.errno == errno.EAGAIN or "already open for write" in str(error):
        return "is locked: another program has it open for writing; close it there and run again"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "may not be read: permission denied; the file may be whole, ask its owner for access"
    if error.errno in NO_LOCKS:
        return (
            "lies on a file system without locks and cannot be opened there; set the environment variable "
            "HDF5_USE_FILE_LOCKING=FALSE, or copy it elsewhere"
        )
    if error.errno is not None:
        return f"cannot be opened: {os.strerror(error.errno)}"
    return damaged
