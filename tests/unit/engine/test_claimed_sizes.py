"""Datasets that claim more than their file can hold are refused before memory is taken for them."""

import h5py
import numpy as np
import pytest
from artifacts import edited, write_labels
from every_artifact import WRITERS, read_everything
from published_proposals import write_boxes

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.hdf5 import check_size
from wsis_steps.engine.output import OutputFile
from wsis_steps.proposals.importers.mat_files import read_variables
from wsis_steps.vision.contracts.instances import Instances

ROWS = 1 << 40
STORED = {"contiguous": {}, "chunked": {"chunks": True}, "compressed": {"chunks": True, "compression": "gzip"}}


def names(path):
    """The datasets of a file."""
    found = []
    with h5py.File(path) as file:
        file.visititems(lambda name, one: found.append(name) if isinstance(one, h5py.Dataset) else None)
    return found


def claim(file, name, **options):
    """Replaces a dataset by one of the same type with 2 ** 40 rows, none of which is stored."""
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    file.create_dataset(name, (ROWS, *shape[1:]), dtype, **options)


@pytest.mark.parametrize("kind", WRITERS)
def test_every_dataset_of_every_artifact(tmp_path, kind):
    data = WRITERS[kind](tmp_path / "good.h5").read_bytes()
    path = tmp_path / "claims.h5"
    for number, name in enumerate(names(tmp_path / "good.h5")):
        path.write_bytes(data)
        with edited(path) as file:
            claim(file, name, **list(STORED.values())[number % 3])
        assert path.stat().st_size < 1 << 21
        with pytest.raises(InputError, match=f"^{path} is refused: its '{name}' claims [0-9,]+ bytes, more than the"):
            read_everything(path)


@pytest.mark.parametrize("kind", STORED)
def test_however_they_are_stored(tmp_path, kind):
    path = write_labels(tmp_path / "a.h5")
    with edited(path) as file:
        claim(file, "mask/bytes", **STORED[kind])
    with pytest.raises(InputError, match="'mask/bytes' claims 1,099,511,"):
        Instances(path)


def test_chunks_larger_than_the_data(tmp_path):
    """HDF5 takes the memory of a whole chunk to read one value."""
    path = write_labels(tmp_path / "a.h5")
    with edited(path) as file:
        del file["mask/bytes"]
        file.create_dataset("mask/bytes", (1,), np.uint8, maxshape=(None,), chunks=(1 << 31,))
    with pytest.raises(InputError, match="'mask/bytes' claims 2,147,483,648 bytes"):
        Instances(path)


def test_a_mat_file(tmp_path):
    path = write_boxes(tmp_path / "b.mat", "7.3", {"image0": [[0, 0, 9, 9]]})
    with h5py.File(path, "r+") as file:
        file.create_dataset("scores", (ROWS,), np.float32)
    with pytest.raises(InputError, match=f"^{path} is refused: its 'scores' claims"):
        read_variables(path, ("scores",))


def test_data_that_compress_well_are_read(tmp_path):
    """Zeros shrink as far as gzip can shrink anything."""
    with OutputFile(tmp_path / "a.h5") as file:
        file.create_dataset("zeros", data=np.zeros((1 << 26), np.uint8), compression="gzip", compression_opts=9)
    with h5py.File(tmp_path / "a.h5") as file:
        check_size(file["zeros"])
        assert file["zeros"].nbytes > 500 * (tmp_path / "a.h5").stat().st_size


def test_pictures_larger_than_any_that_is_imported(tmp_path):
    path = write_labels(tmp_path / "a.h5")
    with edited(path) as file:
        file["image/height"][2], file["image/width"][2] = 12_001, 10_000
    with pytest.raises(InputError, match="image sizes of at most 120 million pixels"):
        Instances(path)
