"""Both versions of .mat files give the same values, and what is none is refused in one sentence."""

import h5py
import numpy as np
import pytest
from published_proposals import VERSIONS, cell, write_mat
from scipy.io import savemat

from wsis_steps.engine.errors import InputError
from wsis_steps.proposals.importers.mat_files import as_cells, as_numbers, read_variables

VARIABLES = {
    "square": np.arange(12, dtype=np.uint16).reshape(3, 4),
    "large": np.arange(600, dtype=np.float64).reshape(20, 30) / 7,
    "flags": np.array([[True, False, True]]),
    "one": np.array([[2.5]]),
    "none": np.zeros((0, 4)),
    "text": "2007_000032",
    "letters": "é ü 山",
    "column": cell([np.array([[1.0, 2.0]]), np.zeros((0, 0)), "abc", cell([np.array([[7]])])]),
    "row": cell(["a", "b"], across=True),
    "empty": cell([]),
}


def check_same(found, wanted):
    if isinstance(wanted, np.ndarray) and wanted.dtype == object:
        assert isinstance(found, list) and len(found) == wanted.size
        for part, other in zip(found, wanted.ravel(order="F"), strict=True):
            check_same(part, other)
    elif isinstance(wanted, str):
        assert found == wanted
    else:
        assert isinstance(found, np.ndarray) and found.shape == wanted.shape
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("version", VERSIONS)
def test_numbers_texts_and_cells_are_what_was_written(tmp_path, version):
    found = read_variables(write_mat(tmp_path / "a.mat", version, VARIABLES), tuple(VARIABLES))
    assert set(found) == set(VARIABLES)
    for name, value in VARIABLES.items():
        check_same(found[name], value)


@pytest.mark.parametrize("version", VERSIONS)
def test_cells_of_a_matrix_come_column_by_column(tmp_path, version):
    matrix = np.empty((2, 3), dtype=object)
    for k, place in enumerate(np.ndindex(2, 3)):
        matrix[place] = np.array([[float(k)]])
    found = read_variables(write_mat(tmp_path / "a.mat", version, {"m": matrix}), ("m",))["m"]
    assert [part.item() for part in found] == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize("version", VERSIONS)
def test_only_what_is_asked_for_is_read(tmp_path, version):
    path = write_mat(tmp_path / "a.mat", version, {"a": np.ones((2, 2)), "b": np.ones((2, 2))})
    assert list(read_variables(path, ("b",))) == ["b"]


def test_the_file_of_version_4_is_read_too(tmp_path):
    savemat(tmp_path / "a.mat", {"a": np.arange(6.0).reshape(2, 3)}, format="4")
    np.testing.assert_array_equal(read_variables(tmp_path / "a.mat", ("a",))["a"], np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_variable_that_is_missing_is_named(tmp_path, version):
    path = write_mat(tmp_path / "a.mat", version, {"a": np.ones((2, 2))})
    with pytest.raises(InputError, match=r"a\.mat has no variable 'scores'\."):
        read_variables(path, ("a", "scores"))


def check_damaged(path):
    with pytest.raises(InputError) as caught:
        read_variables(path, ("square", "large", "column"))
    text = str(caught.value)
    assert str(path) in text and "\n" not in text and text.endswith(".")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("share", [0, 0.01, 0.1, 0.5, 0.9])
def test_a_file_that_is_cut_is_one_sentence(tmp_path, version, share):
    variables = {name: VARIABLES[name] for name in ("square", "large", "column")}
    path = write_mat(tmp_path / "a.mat", version, variables)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    check_damaged(path)


def test_files_that_are_no_mat_files_are_one_sentence(tmp_path):
    for k, content in enumerate(
        (b"text that is longer than a header " * 9, bytes(300), b"\x89PNG\r\n\x1a\n" + bytes(200))
    ):
        path = tmp_path / f"{k}.mat"
        path.write_bytes(content)
        check_damaged(path)
    check_damaged(tmp_path / "absent.mat")
    check_damaged(tmp_path)


def test_a_structure_is_no_array(tmp_path):
    savemat(tmp_path / "a.mat", {"square": {"superpixels": np.ones((2, 2))}})
    with pytest.raises(InputError, match=r"a\.mat: its 'square' is not an array of finite numbers"):
        as_numbers(tmp_path / "a.mat", "square", read_variables(tmp_path / "a.mat", ("square",))["square"])
    with h5py.File(tmp_path / "b.mat", "w") as file:
        file.create_group("square")
    with pytest.raises(InputError, match=r"b\.mat cannot be read as a \.mat file"):
        read_variables(tmp_path / "b.mat", ("square",))


@pytest.mark.parametrize(
    "value", ["text", [np.ones((1, 1))], np.array([[np.nan]]), np.array([[np.inf]]), np.array([1j])]
)
def test_what_is_no_array_of_finite_numbers_is_refused(tmp_path, value):
    with pytest.raises(InputError, match="its 'scores' is not an array of finite numbers"):
        as_numbers(tmp_path, "scores", value)


@pytest.mark.parametrize("value", ["text", np.ones((1, 1))])
def test_what_is_no_cell_array_is_refused(tmp_path, value):
    with pytest.raises(InputError, match="its 'labels' is not a cell array"):
        as_cells(tmp_path, "labels", value)
