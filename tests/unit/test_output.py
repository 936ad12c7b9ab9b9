import errno
import io
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from full_disk import disk_of
from hypothesis import given
from hypothesis import strategies as st

from wsis_steps.core.output import Medium, OutputFile


def write_much(path: Path) -> None:
    """Strings, which HDF5 reads back while it writes, and chunks that outgrow its cache."""
    with OutputFile(path) as file:
        maps = file.create_dataset(
            "maps", shape=(0, 64, 64), maxshape=(None, 64, 64), chunks=(1, 64, 64), dtype=np.float32
        )
        for k in range(4):
            maps.resize(k + 1, axis=0)
            maps[k] = k
            names = np.array([f"image {k} {i}" for i in range(50)], dtype=object)
            file.create_dataset(f"names{k}", data=names, dtype=h5py.string_dtype())
    file.check()


def test_a_disk_that_fills_at_any_byte_is_an_ordinary_error(tmp_path):
    write_much(tmp_path / "whole.h5")
    whole = (tmp_path / "whole.h5").stat().st_size
    for size in range(0, whole, whole // 150):
        with disk_of(size), pytest.raises(OSError) as raised:
            write_much(tmp_path / "cut.h5")
        assert raised.value.errno == errno.EFBIG


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
