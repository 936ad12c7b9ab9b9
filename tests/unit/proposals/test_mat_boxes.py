"""Published boxes of Selective Search become pixels from 0, the last one exclusive."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published_proposals import VERSIONS, cell, write_boxes, write_mat

from wsis_steps.engine.errors import InputError
from wsis_steps.proposals.importers.image_names import ImageNames
from wsis_steps.proposals.importers.mat_boxes import find_boxes, read_boxes, settle_boxes

HEIGHT, WIDTH = 30, 40
NAMES = ImageNames(["2007_000001", "2007_000002", "2007_000003"])


@pytest.mark.parametrize("version", VERSIONS)
def test_boxes_are_read_as_the_layout_says(tmp_path, version):
    """The whole picture and its last pixel, in the file's own numbers: y1, x1, y2, x2 from 1."""
    rows = np.array([[1, 1, HEIGHT, WIDTH], [HEIGHT, WIDTH, HEIGHT, WIDTH], [2, 4, 3, 8]], np.uint16)
    variables = {"images": cell(["2007_000002.jpg"]), "boxes": cell([rows], across=True)}
    found = find_boxes(write_mat(tmp_path / "train.mat", version, variables), NAMES)
    boxes = read_boxes(found["2007_000002"], HEIGHT, WIDTH, 0)
    assert boxes.boxes.tolist() == [[0, 0, 40, 30], [39, 29, 40, 30], [3, 1, 8, 3]]
    np.testing.assert_allclose(boxes.scores, [1, 2 / 3, 1 / 3], rtol=1e-6)
    assert boxes.areas.tolist() == [1200, 1, 10] == boxes.masks(slice(None)).sum((1, 2)).tolist()


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=20, deadline=None)
@given(counts=st.lists(st.integers(0, 5), min_size=3, max_size=3), cap=st.integers(0, 3), seed=st.integers(0, 99))
def test_boxes_come_back_in_their_order(tmp_path_factory, version, counts, cap, seed):
    rng = np.random.default_rng(seed)
    low = [rng.integers(0, [WIDTH, HEIGHT], (count, 2)) for count in counts]
    boxes = [np.hstack([part, rng.integers(part + 1, [WIDTH + 1, HEIGHT + 1])]) for part in low]
    images = {f"2007_00000{k}": part for k, part in enumerate(boxes, 1)} | {"other": np.array([[0, 0, 9999, 1]])}
    path = tmp_path_factory.mktemp("ss") / "train.mat"
    found = find_boxes(write_boxes(path, version, images), NAMES)
    assert list(found) == ["2007_000001", "2007_000002", "2007_000003"]
    for published, wanted in zip(found.values(), boxes, strict=True):
        read = read_boxes(published, HEIGHT, WIDTH, cap)
        np.testing.assert_array_equal(read.boxes, wanted[: cap or None])
        assert read.boxes.dtype == read.scores.dtype == np.float32


def test_a_folder_may_hold_several_splits(tmp_path):
    one = np.array([[0, 0, 5, 5]])
    write_boxes(tmp_path / "train.mat", "5", {"2007_000001": one})
    write_boxes(tmp_path / "val.mat", "7.3", {"2007_000002": one, "2007_000003": one})
    assert {k: v.file.name for k, v in find_boxes(tmp_path, NAMES).items()} == {
        "2007_000001": "train.mat",
        "2007_000002": "val.mat",
        "2007_000003": "val.mat",
    }
    write_boxes(tmp_path / "test.mat", "5", {"2007_000002": one})
    with pytest.raises(InputError, match=r"val\.mat has boxes of image '2007_000002', which .*test\.mat also has"):
        find_boxes(tmp_path, NAMES)


WRONG = {
    "beyond the right edge": [[1, 1, 5, WIDTH + 1]],
    "beyond the lower edge": [[1, 1, 5, 5], [1, 1, HEIGHT + 1, 5]],
    "counted from 0": [[0, 1, 5, 5]],
    "of no width": [[1, 5, 5, 4]],
    "not whole": [[1.5, 1, 5, 5]],
}


@pytest.mark.parametrize("case", WRONG)
def test_a_box_that_is_none_in_the_picture_is_refused(tmp_path, case):
    rows = np.array(WRONG[case], np.float64)
    path = write_mat(tmp_path / "train.mat", "5", {"images": cell(["2007_000001"]), "boxes": cell([rows])})
    with pytest.raises(InputError) as caught:
        read_boxes(find_boxes(path, NAMES)["2007_000001"], HEIGHT, WIDTH, 0)
    text = str(caught.value)
    assert f"{path}: image '2007_000001' (element 1) is 40x30 pixels, but box {len(rows)} (y1, x1, y2, x2) is" in text


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("rows", [np.ones((2, 5)), "text", cell(["a"]), np.full((1, 4), np.nan)])
def test_what_are_no_boxes_is_refused(tmp_path, rows, version):
    path = write_mat(tmp_path / "train.mat", version, {"images": cell(["2007_000001"]), "boxes": cell([rows])})
    with pytest.raises(InputError, match=r"train\.mat.*(no boxes of four numbers|finite numbers)"):
        read_boxes(find_boxes(path, NAMES)["2007_000001"], HEIGHT, WIDTH, 0)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_table_that_does_not_fit_together_is_refused(tmp_path, version):
    box = np.ones((1, 4))
    path = write_mat(tmp_path / "a.mat", version, {"images": cell(["x", "y"]), "boxes": cell([box])})
    with pytest.raises(InputError, match="has boxes of 1 images but names of 2"):
        find_boxes(path, NAMES)
    path = write_mat(tmp_path / "b.mat", version, {"images": cell(["x", box]), "boxes": cell([box, box])})
    with pytest.raises(InputError, match="element 2 of its 'images' is not a name"):
        find_boxes(path, NAMES)
    path = write_mat(tmp_path / "c.mat", version, {"images": cell(["x"]), "boxes": box})
    with pytest.raises(InputError, match="its 'boxes' is not a cell array"):
        find_boxes(path, NAMES)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["boxScores", "scores"])
def test_scores_beside_boxes_decide_which_are_best(tmp_path, version, name):
    rows, scores = np.array([[1, 1, 5, 5], [2, 2, 9, 9], [3, 3, 4, 4]]), np.array([[0.2], [0.9], [0.5]])
    variables = {"images": cell(["2007_000001"]), "boxes": cell([rows]), name: cell([scores])}
    found = find_boxes(write_mat(tmp_path / "train.mat", version, variables), NAMES)["2007_000001"]
    best = read_boxes(found, HEIGHT, WIDTH, 2)
    assert best.boxes.tolist() == [[1, 1, 9, 9], [2, 2, 4, 4]]
    np.testing.assert_allclose(best.scores, [0.9, 0.5])
    few = write_mat(tmp_path / "few.mat", version, {**variables, name: cell([scores[:2]])})
    with pytest.raises(InputError, match="has 3 boxes but 2 scores"):
        read_boxes(find_boxes(few, NAMES)["2007_000001"], HEIGHT, WIDTH, 0)
    none = write_mat(tmp_path / "none.mat", version, {**variables, name: cell([])})
    with pytest.raises(InputError, match=f"'{name}' of 0 images but names of 1"):
        find_boxes(none, NAMES)


@pytest.mark.parametrize("version", VERSIONS)
def test_unknown_variables_are_refused_or_ignored_as_told(tmp_path, version):
    variables = {"images": cell(["2007_000001"]), "boxes": cell([np.array([[1, 1, 5, 5]])])}
    path = write_mat(tmp_path / "t.mat", version, {**variables, "gt": np.ones((1, 1))})
    with pytest.raises(InputError, match="has an unknown variable 'gt'; known are boxScores, boxes, images"):
        find_boxes(path, NAMES)
    assert list(find_boxes(path, NAMES, ["gt"])) == ["2007_000001"]
    both = {name: cell([np.ones((1, 1))]) for name in ("boxScores", "scores")}
    path = write_mat(tmp_path / "both.mat", version, {**variables, **both})
    with pytest.raises(InputError, match="two variables of scores: boxScores and scores"):
        find_boxes(path, NAMES)


def test_the_pictures_tell_the_order_of_all_files_of_a_folder(tmp_path):
    """Of the first file alone nothing could be told."""
    for name, row in (("2007_000001", [1, 1, 9, 9]), ("2007_000002", [1, 1, WIDTH, HEIGHT])):
        variables = {"images": cell([name]), "boxes": cell([np.array([row])])}
        write_mat(tmp_path / f"{name}.mat", "5", variables)
    found = find_boxes(tmp_path, NAMES)
    settled, doubts = settle_boxes(found, dict.fromkeys(found, (HEIGHT, WIDTH)))
    assert [read_boxes(one, HEIGHT, WIDTH, 0).boxes.tolist() for one in settled.values()] == [
        [[0, 0, 9, 9]],
        [[0, 0, WIDTH, HEIGHT]],
    ]
    assert f"{tmp_path}: its boxes are read as x1, y1, x2, y2 from 1" in doubts[0]
    assert "would fit their pictures as 'x, y, width, height', too" in doubts[1]  # of so few
