"""HDF5 files whose data are those of other files are refused, whichever way they lead there."""

import h5py
import numpy as np
import pytest
from artifacts import write_images, write_labels

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.hdf5 import open_hdf5
from wsis_steps.report.columns import open_artifact
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances

SECRET = b"what only its owner may read"


def external_link(file, folder):
    del file["mask/bytes"]
    file["mask/bytes"] = h5py.ExternalLink(str(folder / "secret.h5"), "/secret")


def soft_link(file, folder):
    del file["mask/bytes"]
    file["mask/bytes"] = h5py.SoftLink("/mask/offsets")


def external_group(file, folder):
    del file["mask"]
    file["mask"] = h5py.ExternalLink(str(folder / "secret.h5"), "/")


def external_storage(file, folder):
    del file["mask/bytes"]
    place = [(str(folder / "secret"), 0, len(SECRET))]
    file.create_dataset("mask/bytes", (len(SECRET),), np.uint8, external=place)


def virtual(file, folder):
    del file["mask/bytes"]
    layout = h5py.VirtualLayout((len(SECRET),), np.uint8)
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "secret", (len(SECRET),))
    file.create_virtual_dataset("mask/bytes", layout)


@pytest.mark.parametrize("how", [external_link, soft_link, external_group, external_storage, virtual])
@pytest.mark.parametrize("reader", [Instances, open_artifact, open_hdf5])
def test_data_elsewhere_are_refused_on_opening(how, reader, tmp_path):
    (tmp_path / "secret").write_bytes(SECRET)
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["secret"] = np.frombuffer(SECRET, np.uint8)
    path = write_labels(tmp_path / "labels.h5")
    with h5py.File(path, "r+") as file:
        how(file, tmp_path)
    with pytest.raises(InputError, match=f"{path} is refused: .*'mask") as caught:
        reader(path)
    assert "\n" not in str(caught.value)


def test_groups_in_a_circle_end_and_good_files_are_read(tmp_path):
    path = write_images(tmp_path / "images.h5")
    with h5py.File(path, "r+") as file:
        file["image/again"] = file["/"]
    assert len(Images(path)) == 8
