"""Writing HDF5 so that a full disk is an ordinary error."""

import io
from pathlib import Path

import h5py


class OutputFile(h5py.File):
    """A new HDF5 file for one writer.

    HDF5 crashes the process when a write fails, at the latest when it exits. So it never learns of one: the first
    error is kept, what is written after it goes nowhere, and `check` raises it. Whoever writes much calls `check`
    now and then, and everyone does after closing.
    """

    def __init__(self, path: Path) -> None:
        self.medium = _Medium(path, "w+")
        super().__init__(self.medium, "w")

    def check(self) -> None:
        """Raises the OSError of the first write that failed."""
        if self.medium.error is not None:
            raise self.medium.error

    def close(self) -> None:
        """Closes file and medium."""
        super().close()
        self.medium.close()


class _Medium(io.FileIO):
    error: OSError | None = None

    def write(self, data) -> int:
        """Writes all of `data`, where the system may write a part of it."""
        rest = memoryview(data).cast("B")
        try:
            while self.error is None and len(rest):
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size) if self.error is None else size
        except OSError as error:
            self.error = error
            return size
