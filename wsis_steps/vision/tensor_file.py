"""Reading files of torch.save: refuses code in them and verifies their checksums, which torch ignores."""

import struct
import zipfile
import zlib
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.ordinary import check_ordinary

# what zipfile and torch.load raise for damaged or foreign files (found by truncating files and changing their bytes)
_UNREADABLE = (
    UnpicklingError, zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, EOFError, OSError, ValueError,
    LookupError, AssertionError, TypeError, AttributeError, OverflowError, RecursionError, MemoryError,
)  # fmt: skip
_ZIP = b"PK\3\4"
_FOLDER = 0x10  # the attribute of a folder: torch then reads nothing, and uses uninitialized memory


def read_tensor_file(path: str | Path, device: torch.device | str = "cpu") -> Any:
    """The content of a file written by torch.save, with its tensors on `device`.

    Raises:
        InputError: the file is missing, forbidden, truncated, damaged, of another kind, or contains anything but
            tensors and plain values. Files from before torch 1.6 have no checksums.
    """
    check_ordinary(path)
    try:
        _verify(path)
        return torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except PermissionError:
        raise InputError(f"{path} may not be read: permission denied; ask its owner for access.") from None
    except _UNREADABLE as error:
        raise InputError(
            f"{path} cannot be read as a file of weights ({type(error).__name__}); is it complete?"
        ) from error


def _verify(path: str | Path) -> None:
    """Raises one of _UNREADABLE if the file is a zip and one of its parts does not match its checksum."""
    with open(path, "rb") as file:
        if file.read(len(_ZIP)) != _ZIP:  # torch.load reports such files
            return
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                if member.compress_type != zipfile.ZIP_STORED or member.external_attr & _FOLDER:
                    raise ValueError(f"torch.save does not write {member.filename} in this form")
            if wrong := archive.testzip():
                raise ValueError(f"the checksum of {wrong} is wrong")
