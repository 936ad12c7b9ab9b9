"""Every artifact is covered by checksums, which cost no reader its older files."""

import h5py
import numpy as np
import pytest
from artifacts import edited, write_labels
from every_artifact import WRITERS, read_everything

from bench.checksums import without_checksums
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.output import OutputFile
from wsis_steps.report.columns import open_artifact
from wsis_steps.vision.contracts.instances import Instances


@pytest.mark.parametrize("kind", WRITERS)
def test_all_data_have_checksums_and_nothing_lies_in_a_heap_that_has_none(tmp_path, kind):
    path = WRITERS[kind](tmp_path / f"{kind}.h5")
    found = []
    with h5py.File(path) as file:
        file.visititems(lambda name, one: found.append((name, one)) if isinstance(one, h5py.Dataset) else None)
        assert found and all(one.fletcher32 for name, one in found if one.size), found
    data = path.read_bytes()
    assert data[8] == 3  # the superblock of the first format with checksums everywhere
    assert not any(mark in data for mark in (b"GCOL", b"TREE", b"HEAP", b"SNOD"))


@pytest.mark.parametrize("kind", WRITERS)
def test_files_of_the_first_version_are_read_as_those_of_today(tmp_path, kind):
    path = WRITERS[kind](tmp_path / f"{kind}.h5")
    old = without_checksums(path)
    assert open_artifact(old).attributes["schema_version"] == 1
    assert read_everything(old).replace(
        "'schema_version': np.int64(1)", "'schema_version': np.int64(2)"
    ) == read_everything(path)


def test_a_text_without_a_checksum_is_not_written(tmp_path):
    with OutputFile(tmp_path / "o.h5") as file, pytest.raises(TypeError, match="fixed length"):
        file.create_dataset("names", data=np.array(["a"], dtype=object), dtype=h5py.string_dtype())


def test_attributes_that_were_changed_are_noticed(tmp_path):
    path = write_labels(tmp_path / "l.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["supervision"] = '["boxes"]'
    with pytest.raises(InputError, match=r"l\.h5 is damaged: 'root attributes' in it"):
        Instances(path)
    with edited(path) as file:
        file.attrs["supervision"] = '["boxes"]'
    assert Instances(path).supervision == ("boxes",)


def test_a_dataset_that_is_gone_is_named(tmp_path):
    path = write_labels(tmp_path / "l.h5")
    with h5py.File(path, "r+") as file:
        del file["mask/offsets"]
    with pytest.raises(InputError, match=r"l\.h5 has no 'mask/offsets'; delete it and run again"):
        Instances(path).read(0)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("schema_version", np.array([1, 2]), "has schema version"),
        ("schema", np.array([1, 2]), "which cannot be shown"),
        ("class_names", 7, "'root attributes' in it"),
        ("class_names", "5", "'root attributes' in it"),
        ("supervision", "{", "'root attributes' in it"),
        ("settings", "[1", "'root attributes' in it"),
        ("before", "7", "'root attributes' in it"),
    ],
)
def test_odd_attributes_are_a_sentence(tmp_path, name, value, words):
    path = write_labels(tmp_path / "l.h5")
    with edited(path) as file:
        file.attrs[name] = value
    with pytest.raises(InputError) as caught:
        assert open_artifact(path).provenance
    assert str(path) in str(caught.value) and words in str(caught.value)
