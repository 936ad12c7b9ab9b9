"""What every HDF5 artifact shares: root attributes that say what made it, a table of images, and a reader that checks.

Readers open a file lazily in each process, so they may cross a fork.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.hdf5 import open_hdf5
from wsis_steps.engine.output import OutputFile
from wsis_steps.engine.provenance import Provenance

SCHEMA_VERSION = 1


@contextmanager
def create(
    path: Path, schema: str, provenance: Provenance, counts: Mapping[str, int] | None = None
) -> Iterator[OutputFile]:
    """Opens a new artifact of `schema` for one writer and signs it with its provenance; OSError on a full disk.

    counts: what is counted while it is written, as `vision.counts` does; kept with it at the end.
    """
    file = OutputFile(path)
    try:
        with file:
            file.attrs["schema"] = schema
            file.attrs["schema_version"] = SCHEMA_VERSION
            for key, value in asdict(provenance).items():
                file.attrs[key] = value if isinstance(value, str) else json.dumps(value)
            yield file
            if counts:
                file.attrs["counts"] = json.dumps(counts, sort_keys=True)
    finally:
        file.check()


class Artifact:
    """Reading side of every contract: opens lazily, checks the schema, gives the table of images.

    Raises InputError where the file is missing, locked, forbidden, not whole, or of another schema or version.
    """

    schema = ""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._process = -1
        self._datasets: dict[str, h5py.Dataset] = {}
        self.attributes = dict(self.file.attrs)
        self.class_names: tuple[str, ...] = tuple(json.loads(self.attributes["class_names"]))
        self.supervision: tuple[str, ...] = tuple(json.loads(self.attributes["supervision"]))

    @cached_property
    def provenance(self) -> Provenance:
        """What made the file."""
        text = {name: self.attributes[name] for name in ("step", "settings", "code", "commit")}
        more = {name: json.loads(self.attributes.get(name, "{}")) for name in ("inputs", "before")}
        return Provenance(**text, **more, class_names=self.class_names, supervision=self.supervision)

    @property
    def counts(self) -> dict[str, int]:
        """What the step that made the file counted of it; empty where it counts nothing."""
        return json.loads(self.attributes.get("counts", "{}"))

    @property
    def file(self) -> h5py.File:
        """The open file of this process."""
        if self._process != os.getpid():
            self._file, self._datasets = self._open(), {}
            self._process = os.getpid()
        return self._file

    def dataset(self, name: str) -> h5py.Dataset:
        """A dataset of the file, looked up once a process: that costs as much as reading a small map."""
        file = self.file
        if name not in self._datasets:
            self._datasets[name] = file[name]
        return self._datasets[name]

    def _open(self) -> h5py.File:
        file = open_hdf5(self.path)
        found, version = file.attrs.get("schema"), file.attrs.get("schema_version")
        if found != self.schema:
            there = f"'{found}'" if found else "no result of this program"
            raise InputError(f"{self.path} holds {there}, but '{self.schema}' is wanted here.")
        if version != SCHEMA_VERSION:
            raise InputError(
                f"{self.path} has schema version {version} of '{found}', this program reads version "
                f"{SCHEMA_VERSION}; delete the file and run again."
            )
        return file

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_file": None, "_datasets": {}, "_process": -1}

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def ids(self) -> list[str]:
        return list(self.file["image/id"].asstr()[:])

    @cached_property
    def index(self) -> dict[str, int]:
        return {identity: i for i, identity in enumerate(self.ids)}

    @cached_property
    def heights(self) -> np.ndarray:
        return self.file["image/height"][:]

    @cached_property
    def widths(self) -> np.ndarray:
        return self.file["image/width"][:]

    @cached_property
    def first(self) -> np.ndarray:
        """Row numbers, int64 (images + 1,): image i owns rows first[i] to first[i + 1]."""
        return self.file["image/first"][:]

    def rows(self, i: int) -> slice:
        return slice(int(self.first[i]), int(self.first[i + 1]))


def write_image_table(
    file: h5py.File, ids: Sequence[str], heights: Sequence[int], widths: Sequence[int], counts: Sequence[int]
) -> None:
    """Writes `image/{id,height,width,first}`; counts are rows per image."""
    file.create_dataset("image/id", data=np.array(ids, dtype=object), dtype=h5py.string_dtype())
    file.create_dataset("image/height", data=np.asarray(heights, dtype=np.int32))
    file.create_dataset("image/width", data=np.asarray(widths, dtype=np.int32))
    file.create_dataset("image/first", data=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def write_bytes(file: h5py.File, name: str, data: bytes | bytearray, lengths: Sequence[int]) -> None:
    """Writes byte strings that lie one after another as uint8 `name/bytes` and int64 `name/offsets`."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    file.create_dataset(f"{name}/bytes", data=np.frombuffer(data, dtype=np.uint8))
    file.create_dataset(f"{name}/offsets", data=offsets)
