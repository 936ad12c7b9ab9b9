"""Regions of MCG's files are the unions of superpixels that their labels name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proposal_sets import boxes_of
from published_proposals import VERSIONS, cell, write_mat, write_regions

from wsis_steps.engine.errors import InputError
from wsis_steps.proposals.importers.image_names import ImageNames
from wsis_steps.proposals.importers.mat_regions import find_regions, read_regions


def random_regions(seed: int, height: int, width: int, count: int):
    """Superpixels from 1, with gaps in their numbers; labels and scores of `count` regions."""
    rng = np.random.default_rng(seed)
    numbers = rng.choice(np.arange(1, 60), 8, replace=False)
    superpixels = rng.choice(numbers, (height, width))
    present = np.unique(superpixels)
    labels = [rng.permutation(present)[: rng.integers(1, len(present) + 1)].tolist() for _ in range(count)]
    return superpixels, labels, rng.integers(0, 4, count) / 4


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 999),
    size=st.sampled_from([(7, 9), (1, 1), (1, 12), (10, 1)]),
    count=st.integers(0, 7),
    cap=st.integers(0, 4),
)
def test_regions_are_their_superpixels_best_first(tmp_path_factory, version, seed, size, count, cap):
    superpixels, labels, scores = random_regions(seed, *size, count)
    path = tmp_path_factory.mktemp("mcg") / "a.mat"
    write_regions(path, version, superpixels, labels, scores, bboxes=np.ones((1, 4)))
    found = read_regions(path, *size, cap)
    order = sorted(range(count), key=lambda k: (-scores[k], k))[: cap or None]
    masks = np.array([np.isin(superpixels, labels[k]) for k in order], np.uint8).reshape(-1, *size)
    np.testing.assert_array_equal(found.masks(slice(None)), masks)
    np.testing.assert_array_equal(found.scores, scores[order].astype(np.float32))
    np.testing.assert_array_equal(found.boxes, boxes_of(masks))
    assert found.superpixels.max() + 1 == found.members.shape[1]
    assert {found.boxes.dtype, found.scores.dtype} == {np.dtype(np.float32)}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_superpixel_that_is_named_twice_counts_once(tmp_path, version):
    path = write_regions(tmp_path / "a.mat", version, np.array([[1, 2], [2, 3]]), [[2, 2, 3]], [1])
    found = read_regions(path, 2, 2, 0)
    assert found.areas.tolist() == [3] and found.masks(slice(None))[0].tolist() == [[0, 1], [1, 1]]


def test_scores_that_are_whole_numbers_are_sorted_too(tmp_path):
    variables = {
        "superpixels": np.array([[1, 2]], np.uint16),
        "labels": cell([np.array([[1]], np.uint16), np.array([[2]], np.uint16)]),
        "scores": np.array([[3], [200]], np.uint8),
    }
    found = read_regions(write_mat(tmp_path / "a.mat", "5", variables), 1, 2, 0)
    assert found.scores.tolist() == [200, 3] and found.boxes.tolist() == [[1, 0, 2, 1], [0, 0, 1, 1]]


MAP = np.array([[1, 2], [3, 3]])
WRONG = {
    "a superpixel beyond the map": ((MAP, [[1], [2, 4]], [1, 1]), "name superpixel 4, which"),
    "a superpixel 0": ((MAP, [[0, 1]], [1]), "name superpixel 0, which"),
    "a map from 0": ((MAP - 1, [[1]], [1]), "must be numbered from 1"),
    "half a superpixel": ((MAP, [[1.5]], [1]), "'labels' holds numbers that are not integers"),
    "a region of nothing": ((MAP, [[1], []], [1, 1]), "holds no superpixel"),
    "a score too many": ((MAP, [[1]], [1, 2]), "has 1 labels but 2 scores"),
    "a score that is none": ((MAP, [[1]], [np.nan]), "'scores' is not an array of finite numbers"),
    "another size": ((np.ones((3, 2)), [[1]], [1]), "its superpixel map is 2x3 pixels, but its image 2x2"),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused(tmp_path, case, version):
    content, words = WRONG[case]
    with pytest.raises(InputError, match=words) as caught:
        read_regions(write_regions(tmp_path / "a.mat", version, *content), 2, 2, 0)
    assert str(tmp_path / "a.mat") in str(caught.value)


def test_more_superpixels_than_a_map_can_number_are_refused(tmp_path):
    superpixels = np.arange(1, 70_001, dtype=np.float64).reshape(280, 250)
    variables = {"superpixels": superpixels, "labels": cell([np.array([[1.0]])]), "scores": np.ones((1, 1))}
    with pytest.raises(InputError, match="at most 65536"):
        read_regions(write_mat(tmp_path / "a.mat", "5", variables), 280, 250, 0)


def test_files_lie_in_the_folder_or_below_it(tmp_path):
    for name in ("COCO_val2014_0000/COCO_val2014_000000000139", "000000000140", "other"):
        write_regions(tmp_path / f"{name}.mat", "5", MAP, [[1]], [1])
    found = find_regions(tmp_path, ImageNames(["000000000139", "000000000140"]))
    assert {identity: path.stem for identity, path in found.items()} == {
        "000000000139": "COCO_val2014_000000000139",
        "000000000140": "000000000140",
    }
    write_regions(tmp_path / "139.mat", "5", MAP, [[1]], [1])
    with pytest.raises(InputError, match=r"139\.mat .* are both of image '000000000139'"):
        find_regions(tmp_path, ImageNames(["000000000139"]))


@pytest.mark.parametrize("version", VERSIONS)
def test_unknown_variables_are_refused_or_ignored_as_told(tmp_path, version):
    known = {"bboxes": np.ones((1, 4)), "bboxes_scores": np.ones((1, 1))}
    for name, more in (("x/2007_000001", known), ("y/2007_000002", {**known, "boxScores": np.ones((1, 1))})):
        write_regions(tmp_path / f"{name}.mat", version, np.ones((3, 4)), [[1]], [1], **more)
    names = ImageNames(["2007_000001", "2007_000002"])
    with pytest.raises(InputError, match=r"y/2007_000002\.mat has an unknown variable 'boxScores'"):
        find_regions(tmp_path, names)
    assert len(find_regions(tmp_path, names, ["boxScores"])) == len(find_regions(tmp_path / "x", names)) + 1
