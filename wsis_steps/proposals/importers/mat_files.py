"""Reads MATLAB's .mat files: version 5 and similar ones, and version 7.3, which is HDF5."""

import struct
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path

import h5py
import numpy as np
from scipy.io import loadmat, whosmat
from scipy.io.matlab import MatReadError

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.hdf5 import check_size, open_hdf5
from wsis_steps.engine.ordinary import check_ordinary

Value = np.ndarray | str | list  # an array of numbers, text, or the elements of a cell array
# Exceptions of the two readers for bytes that are not a .mat file, depending on where the damage is.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MatReadError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def read_variables(path: Path, names: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Value]:
    """The variables of a file by name; arrays of numbers have at least two axes, as MATLAB shows them, and the elements
    of a cell array come column by column. Raises `InputError` if the file is damaged or lacks one of `names`."""
    check_ordinary(path)
    try:
        read = _read_hdf5 if h5py.is_hdf5(path) else _read_level5
        found = read(path, [*names, *optional])
    except DAMAGE as error:
        raise InputError(f"{path} cannot be read as a .mat file: {_one_line(error)}.") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(f"{path} has no variable '{missing[0]}'.")
    return found


def check_known(path: Path, known: Collection[str]) -> None:
    """Raises `InputError` if a file holds a variable that is not among `known`: it may change the meaning of the
    others."""
    try:
        check_ordinary(path)
        unknown = sorted(_names(path) - set(known))
    except (*DAMAGE, InputError):  # reading the file will report these
        return
    if unknown:
        raise InputError(
            f"{path} has an unknown variable '{unknown[0]}'; known are {', '.join(sorted(known))}. If it does not "
            "matter, name it in proposals_import_proposals.ignored."
        )


def _names(path: Path) -> set[str]:
    """The names of the variables of a file; for HDF5 without #refs#, which holds elements of cells, and the like."""
    if not h5py.is_hdf5(path):
        return {name for name, *_ in whosmat(path) if not name.startswith("__")}
    with open_hdf5(path) as file:
        return {name for name in file if not name.startswith("#")}


def as_cells(path: Path, name: str, value: Value) -> list:
    """The elements of a cell array. Raises `InputError` if the variable is something else."""
    if not isinstance(value, list):
        raise InputError(f"{path}: its '{name}' is not a cell array.")
    return value


def as_numbers(path: Path, name: str, value: Value) -> np.ndarray:
    """An array of real numbers. Raises `InputError` if the variable is something else or holds NaN or infinity."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "uifb" or not np.isfinite(value).all():
        raise InputError(f"{path}: its '{name}' is not an array of finite numbers.")
    return value


def _one_line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__).rstrip(".")


def _read_level5(path: Path, names: Sequence[str]) -> dict[str, Value]:
    content = loadmat(path, variable_names=list(names))
    return {name: _plain(content[name]) for name in names if name in content}


def _plain(value: np.ndarray) -> Value:
    """A value from scipy, where cells are arrays of objects and texts arrays of texts."""
    if value.dtype == object:
        return [_plain(element) for element in value.ravel(order="F")]
    return "".join(value.ravel()) if value.dtype.kind == "U" else value


def _read_hdf5(path: Path, names: Sequence[str]) -> dict[str, Value]:
    with open_hdf5(path, "cannot be read as a .mat file: it is damaged") as file:
        return {name: _convert(file[name]) for name in names if name in file}


def _convert(dataset: h5py.Dataset) -> Value:
    """A value of an HDF5 file, where axes are reversed, cells hold references and texts hold code units."""
    check_size(dataset)
    kind = bytes(dataset.attrs.get("MATLAB_class", b""))
    if dataset.attrs.get("MATLAB_empty", 0):  # the stored values are the sides
        return {b"cell": [], b"char": ""}.get(kind, np.zeros([int(side) for side in dataset[()]]))
    if h5py.check_ref_dtype(dataset.dtype) is not None:
        return [_convert(dataset.file[reference]) for reference in dataset[()].ravel()]
    content = dataset[()].T
    return content.ravel(order="F").astype("<u2").tobytes().decode("utf-16-le") if kind == b"char" else content
