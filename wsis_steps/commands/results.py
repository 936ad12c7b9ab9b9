"""Finds damaged files in a folder of results: reads every file that has checksums or a digest to its end."""

import math
from pathlib import Path

import h5py

from wsis_steps.engine.documents import check_table, read_document, read_lines
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.pool import fork_map
from wsis_steps.engine.problems import attempt
from wsis_steps.engine.progress import progress
from wsis_steps.report.columns import open_artifact
from wsis_steps.vision.contracts.artifact import Artifact
from wsis_steps.vision.tensor_file import read_tensor_file

AT_ONCE = 1 << 24  # bytes of a dataset that are read at once


def are_results(folder: Path) -> bool:
    """Whether a folder is `results/`, or the folder of a data set in it."""
    return any(folder.glob("shared/data/images.h5")) or any(folder.glob("*/shared/data/images.h5"))


def find_damaged(folder: Path, threads: int) -> tuple[int, list[str]]:
    """The number of files read, and a sentence about each damaged one."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in READERS and path.is_file())
    found = progress(fork_map(lambda path: attempt(_read, path), files, threads), len(files), "check", "file")
    return len(files), [str(error) for error in found if isinstance(error, InputError)]


def _read(path: Path) -> None:
    READERS[path.suffix](path)


def _read_artifact(path: Path) -> None:
    artifact = open_artifact(path)
    names: list[str] = []
    artifact.file.visititems(lambda name, one: names.append(name) if isinstance(one, h5py.Dataset) else None)
    for name in names:
        _read_dataset(artifact, name)


def _read_dataset(artifact: Artifact, name: str) -> None:
    dataset = artifact.dataset(name)
    rows = max(AT_ONCE // (dataset.dtype.itemsize * max(math.prod(dataset.shape[1:]), 1)), 1)
    for first in range(0, len(dataset), rows):
        dataset[first : first + rows]


def _read_json(path: Path) -> None:
    read_document(path)


def _read_table(path: Path) -> None:
    if path.with_suffix(".json").exists():
        check_table(path, path.with_suffix(".json"))


READERS = {
    ".h5": _read_artifact,
    ".pt": read_tensor_file,
    ".json": _read_json,
    ".jsonl": read_lines,
    ".csv": _read_table,
}
