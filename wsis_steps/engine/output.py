"""Writing HDF5 so that a full disk is an ordinary error and readers notice a flipped bit."""

import io
import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

FORMAT = "v110"  # the first whose structures all have checksums: superblock, headers, indices of chunks
CHUNK_BYTES = 1 << 18


class OutputFile(h5py.File):
    """A new HDF5 file for one writer.

    HDF5 crashes the process if a write fails, at exit at the latest, and also if it reads back other bytes than it
    wrote. So it never sees an error: the first one is stored, everything written from then on stays in memory, and
    `check` raises the error. Call `check` now and then when writing much, and always after closing. Signals that
    arrive while the file is being closed are handled afterwards.
    """

    def __init__(self, path: Path) -> None:
        self.medium = Medium(path, "w+")
        super().__init__(self.medium, "w", libver=(FORMAT, FORMAT))

    def create_dataset(self, name: str, shape=None, dtype=None, data=None, **options) -> h5py.Dataset:
        """As in h5py, with a checksum per chunk; chunks have 256 KB unless `options` set them.

        Raises TypeError for texts of variable length, which HDF5 stores without a checksum.
        """
        data = None if data is None else np.asarray(data, dtype)
        shape = shape if data is None else data.shape
        dtype = np.dtype(dtype if data is None else data.dtype)
        if dtype.hasobject:
            raise TypeError(f"'{name}' would have no checksum: give its texts a fixed length")
        if folder := name.rpartition("/")[0]:
            self.require_group(folder)  # a group that h5py makes implicitly would store the time
        if math.prod(shape) and "chunks" not in options:
            rows = CHUNK_BYTES // (dtype.itemsize * math.prod(shape[1:]))
            options["chunks"] = (min(max(rows, 1), shape[0]), *shape[1:])
        return super().create_dataset(name, shape, dtype, data, fletcher32="chunks" in options, **options)

    def check(self) -> None:
        """Raises the OSError of the first failed write, if any."""
        if self.medium.error is not None:
            raise self.medium.error

    def close(self) -> None:
        """Closes file and medium."""
        try:
            with _signals_later():
                super().close()
        finally:
            self.medium.close()


@contextmanager
def _signals_later() -> Iterator[None]:
    """Delays Python's SIGINT and SIGTERM handlers until after the block: they must not raise through HDF5."""
    if threading.current_thread() is not threading.main_thread():  # handlers run in the main thread only
        yield
        return
    arrived: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, lambda number, frame: arrived.append(number)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
        for number in arrived:
            signal.raise_signal(number)


class Medium(io.FileIO):
    """The bytes of an `OutputFile`; reading returns what was written, even if it did not fit on the disk."""

    def __init__(self, path: Path, mode: str) -> None:
        self.error: OSError | None = None
        self.unwritten: list[tuple[int, bytes]] = []  # position and bytes of every write from the first error on
        super().__init__(path, mode)

    def write(self, data) -> int:
        """Writes all of `data`; the system may write only a part at a time."""
        start, rest = self.tell(), memoryview(data).cast("B")
        try:
            while self.error is None and len(rest):
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        if self.error is not None:
            self.unwritten.append((start, bytes(data)))
        return len(data)

    def readinto(self, buffer) -> int:
        """Fills `buffer` with what was written at this position, whether it is on the disk or in memory."""
        start, target = self.tell(), memoryview(buffer).cast("B")
        read = super().readinto(target)
        for place, data in self.unwritten:
            first, end = max(place, start), min(place + len(data), start + len(target))
            if first < end:
                target[first - start : end - start] = data[first - place : end - place]
        return len(target) if self.unwritten else read

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size) if self.error is None else size
        except OSError as error:
            self.error = error
            return size
