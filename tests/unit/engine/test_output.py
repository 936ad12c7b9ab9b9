"""HDF5 files that survive a full disk and a signal."""

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from full_disk import disk_of
from hypothesis import given
from hypothesis import strategies as st

from wsis_steps.engine.output import Medium

ROOT = Path(__file__).parents[3]


WRITE = """
import errno, signal, sys
from pathlib import Path

import h5py
import numpy as np

from wsis_steps.engine.output import OutputFile

CHUNKS, SIDE = 12, 512  # of 1 MB, more than HDF5 keeps in memory


def write_much(path: Path) -> None:
    with OutputFile(path) as file:
        maps = file.create_dataset("maps", shape=(CHUNKS, SIDE, SIDE), chunks=(1, SIDE, SIDE), dtype=np.float32)
        noise = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
        for k in range(CHUNKS):
            maps[k, : SIDE // 2] = noise[: SIDE // 2]
            names = np.array([f"image {k} {i}" for i in range(50)], "S12")
            file.create_dataset(f"names{k}", data=names, dtype=h5py.string_dtype("utf-8", 12))
        for k in range(CHUNKS):  # HDF5 reads back what it no longer has
            maps[k, SIDE // 2 :] = noise[SIDE // 2 :]
            assert np.array_equal(maps[k], noise)
            assert file[f"names{k}"].asstr()[49] == f"image {k} 49"
    file.check()
"""


def python(text: str, *arguments: object, environment: dict | None = None) -> subprocess.CompletedProcess:
    """Runs WRITE and text in a process of its own, which may crash."""
    command = [sys.executable, "-c", WRITE + text, *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "tests/helpers", **(environment or {})},
    )


def test_a_disk_that_fills_at_many_places_is_an_ordinary_error(tmp_path):
    """With memory that is not empty by chance, so that what HDF5 reads back in vain does harm."""
    done = python(
        """
from full_disk import disk_of

folder = Path(sys.argv[1])
write_much(folder / "whole.h5")
whole = (folder / "whole.h5").stat().st_size
for size in [*range(0, 40_000, 2_000), *range(40_000, whole, whole // 8)]:
    with disk_of(size):
        try:
            write_much(folder / "cut.h5")
        except OSError as error:
            assert error.errno == errno.EFBIG, error
        else:
            raise AssertionError(size)
print("done")
""",
        tmp_path,
        environment={"MALLOC_PERTURB_": "165"},
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-2000:]


@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_signal_while_a_file_closes_waits_until_it_has(tmp_path, number):
    """It comes with the write of that number, of those that closing the file makes."""
    done = python(
        """
from wsis_steps.engine import output


class Interrupted(output.Medium):
    left = 0

    def write(self, data):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGTERM)
        return super().write(data)


output.Medium = Interrupted
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
file = OutputFile(Path(sys.argv[1]))
maps = file.create_dataset("maps", shape=(8, 512, 512), chunks=(1, 512, 512), dtype=np.float32, compression="gzip")
maps[:] = np.random.default_rng(0).random(maps.shape, np.float32)
file.medium.left = int(sys.argv[2])
file.close()
""",
        tmp_path / "file.h5",
        number,
    )
    assert done.returncode == 143, done.stderr[-2000:]
    with h5py.File(tmp_path / "file.h5") as file:
        assert file["maps"].shape == (8, 512, 512)


pieces = st.lists(st.tuples(st.integers(0, 60), st.binary(min_size=1, max_size=40)), max_size=12)


@given(pieces, st.integers(0, 100), st.integers(0, 100), st.integers(1, 50))
def test_what_did_not_fit_is_still_read_back(writes, limit, start, length):
    """As HDF5 does, only bytes that were written are compared."""
    wanted, known = np.zeros(200, np.uint8), np.zeros(200, bool)
    with tempfile.TemporaryDirectory() as folder, disk_of(limit), Medium(Path(folder) / "f", "w+") as medium:
        for place, data in writes:
            medium.seek(place, io.SEEK_SET)
            assert medium.write(data) == len(data)
            wanted[place : place + len(data)] = np.frombuffer(data, np.uint8)
            known[place : place + len(data)] = True
        medium.seek(start)
        found = np.zeros(length, np.uint8)
        medium.readinto(found)
    part = slice(start, start + length)
    assert np.array_equal(found[known[part]], wanted[part][known[part]])
