"""The base of every HDF5 artifact: root attributes that say what made it, a table of images, and a checking reader.

Readers open their file lazily in each process, so they may cross a fork.
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
from wsis_steps.engine.hdf5 import (
    SIGNED,
    CheckedDataset,
    damage,
    find_dataset,
    open_hdf5,
    read_attributes,
    sign,
    write_attribute,
)
from wsis_steps.engine.output import OutputFile
from wsis_steps.engine.provenance import Provenance

SCHEMA_VERSION = SIGNED
READ = (1, SCHEMA_VERSION)
MOST_PIXELS = 120_000_000  # of an image


@contextmanager
def create(
    path: Path, schema: str, provenance: Provenance, counts: Mapping[str, int] | None = None
) -> Iterator[OutputFile]:
    """Opens a new artifact of `schema` for one writer and signs it with its provenance; OSError if the disk is full.

    counts: counts that change while the file is written, such as those of `vision.counts`; stored at the end.
    """
    file = OutputFile(path)
    try:
        with file:
            write_attribute(file, "schema", schema)
            file.attrs["schema_version"] = SCHEMA_VERSION
            for key, value in asdict(provenance).items():
                write_attribute(file, key, value if isinstance(value, str) else json.dumps(value))
            yield file
            if counts:
                write_attribute(file, "counts", json.dumps(counts, sort_keys=True))
            sign(file)
    finally:
        file.check()


class Artifact:
    """The reader of every contract: opens its file lazily, checks its schema, and gives the table of images.

    Raises InputError if the file is missing, locked, forbidden, damaged, or of another schema or version.
    """

    schema = ""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._process = -1
        self._datasets: dict[str, CheckedDataset] = {}
        self.attributes = read_attributes(self.file)
        self._check_schema()
        try:
            self.class_names: tuple[str, ...] = tuple(json.loads(self.attributes["class_names"]))
            self.supervision: tuple[str, ...] = tuple(json.loads(self.attributes["supervision"]))
        except (LookupError, ValueError, TypeError) as error:
            raise InputError(damage(self.path, "root attributes")) from error
        self.check()

    def check(self) -> None:
        """Raises InputError if the tables are inconsistent; readers rely on them after that."""
        count = len(self.ids)
        sized = self.heights.shape == self.widths.shape == (count,)
        self.require(sized and self.heights.dtype == self.widths.dtype == np.int32, "a size for each image")
        self.require(len(self.index) == count, "each image only once")
        self.require((self.heights > 0).all() and (self.widths > 0).all(), "image sizes above 0")
        pixels = self.heights.astype(np.int64) * self.widths
        self.require((pixels <= MOST_PIXELS).all(), f"image sizes of at most {MOST_PIXELS / 1e6:.0f} million pixels")
        self.require_places(self.first, count, None, "image/first")

    def require(self, found: bool | np.bool_, what: str) -> None:
        """Raises InputError if `found` is false. what: what the file should hold."""
        if not found:
            raise InputError(f"{self.path} does not hold {what}; it is damaged or of another program: delete it.")

    def require_places(self, places: np.ndarray, count: int, rows: int | None, name: str) -> None:
        """InputError unless places, int64 (count + 1,), rise from 0 to the number of rows, if that is known."""
        known = places.dtype == np.int64 and places.shape == (count + 1,)
        rising = known and places[0] == 0 and (np.diff(places) >= 0).all()
        self.require(rising and rows in (None, places[-1]), f"consecutive rows of '{name}'")

    def require_categories(self, categories: np.ndarray, *others: int) -> None:
        """InputError if a category is neither of a class nor one of `others`; without class names all are taken."""
        own = (categories >= 0) & (categories < len(self.class_names)) & (categories % 1 == 0)
        known = own | np.isin(categories, others)
        self.require(not self.class_names or known.all(), f"only categories of its {len(self.class_names)} classes")

    @cached_property
    def provenance(self) -> Provenance:
        """What made the file; InputError if the attributes are missing or invalid."""
        try:
            text = {name: str(self.attributes[name]) for name in ("step", "settings", "code", "commit")}
            text["version"] = str(self.attributes.get("version", ""))
            more = {name: dict(json.loads(self.attributes.get(name, "{}"))) for name in ("inputs", "before")}
            dict(json.loads(text["settings"]))
        except (LookupError, ValueError, TypeError) as error:
            raise InputError(damage(self.path, "root attributes")) from error
        return Provenance(**text, **more, class_names=self.class_names, supervision=self.supervision)

    @property
    def counts(self) -> dict[str, int]:
        """The counts that the step stored with its result; empty if it stored none."""
        return json.loads(self.attributes.get("counts", "{}"))

    @property
    def file(self) -> h5py.File:
        """The file, opened in this process."""
        if self._process != os.getpid():
            self._file, self._datasets = open_hdf5(self.path), {}
            self._process = os.getpid()
        return self._file

    def dataset(self, name: str) -> CheckedDataset:
        """A dataset of the file, looked up once per process, since that takes as long as reading a small map."""
        file = self.file
        if name not in self._datasets:
            self._datasets[name] = find_dataset(file, name)
        return self._datasets[name]

    def texts(self, name: str) -> np.ndarray:
        """A dataset of texts, str (n,)."""
        try:
            return self.dataset(name).asstr()[:]
        except (TypeError, UnicodeDecodeError) as error:
            raise InputError(damage(self.path, name)) from error

    def _check_schema(self) -> None:
        found, version = self.attributes.get("schema"), self.attributes.get("schema_version")
        if found != self.schema:
            there = f"'{found}'" if found else "no result of this program"
            raise InputError(f"{self.path} holds {there}, but '{self.schema}' is needed here.")
        if version not in READ:
            raise InputError(
                f"{self.path} has schema version {version} of '{found}', but this program reads version "
                f"{SCHEMA_VERSION}; delete the file and run again."
            )

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_file": None, "_datasets": {}, "_process": -1}

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def ids(self) -> list[str]:
        return list(self.texts("image/id"))

    @cached_property
    def index(self) -> dict[str, int]:
        return {identity: i for i, identity in enumerate(self.ids)}

    @cached_property
    def heights(self) -> np.ndarray:
        return self.dataset("image/height")[:]

    @cached_property
    def widths(self) -> np.ndarray:
        return self.dataset("image/width")[:]

    @cached_property
    def first(self) -> np.ndarray:
        """Row numbers, int64 (images + 1,): image i has rows first[i] to first[i + 1]."""
        return self.dataset("image/first")[:]

    def rows(self, i: int) -> slice:
        return slice(int(self.first[i]), int(self.first[i + 1]))


def write_image_table(
    file: h5py.File, ids: Sequence[str], heights: Sequence[int], widths: Sequence[int], counts: Sequence[int]
) -> None:
    """Writes `image/{id,height,width,first}`; counts: number of rows per image."""
    write_texts(file, "image/id", ids)
    file.create_dataset("image/height", data=np.asarray(heights, dtype=np.int32))
    file.create_dataset("image/width", data=np.asarray(widths, dtype=np.int32))
    file.create_dataset("image/first", data=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def write_texts(file: h5py.File, name: str, texts: Sequence[str]) -> None:
    """Writes texts, padded to the longest, for `Artifact.texts` to read."""
    encoded = [text.encode() for text in texts]
    longest = max(map(len, encoded), default=0)
    kind = h5py.string_dtype("utf-8", max(longest, 1))
    file.create_dataset(name, data=np.array(encoded, dtype=kind), compression="gzip", compression_opts=1)


def write_bytes(file: h5py.File, name: str, data: bytes | bytearray, lengths: Sequence[int]) -> None:
    """Writes consecutive byte strings as uint8 `name/bytes` and int64 `name/offsets`."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    file.create_dataset(f"{name}/bytes", data=np.frombuffer(data, dtype=np.uint8))
    file.create_dataset(f"{name}/offsets", data=offsets)
