"""Writing HDF5 so that a full disk is an ordinary error."""

import io
from pathlib import Path

import h5py


class OutputFile(h5py.File):
    """A new HDF5 file for one writer.

    HDF5 crashes the process when a write fails, at the latest when it exits, and when it reads back something
    else than it wrote. So it never learns of an error: the first is kept, what is written from then on stays in
    memory, and `check` raises the error. Whoever writes much calls `check` now and then, and everyone does after
    closing.
    """

    def __init__(self, path: Path) -> None:
        self.medium = Medium(path, "w+")
        super().__init__(self.medium, "w")

    def check(self) -> None:
        """Raises the OSError of the first write that failed."""
        if self.medium.error is not None:
            raise self.medium.error

    def close(self) -> None:
        """Closes file and medium."""
        super().close()
        self.medium.close()


class Medium(io.FileIO):
    """The bytes of an `OutputFile`; reads give what was written, also where the disk had no room for it."""

    def __init__(self, path: Path, mode: str) -> None:
        self.error: OSError | None = None
        self.unwritten: list[tuple[int, bytes]] = []  # place and bytes of every write from the first error on
        super().__init__(path, mode)

    def write(self, data) -> int:
        """Writes all of `data`, where the system may write a part of it."""
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
        """Fills `buffer` with what was written there, be it on the disk or not."""
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
