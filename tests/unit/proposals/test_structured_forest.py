"""Edges by OpenCV's structured forest: the errors of its file, and a forest of one stump that knows one feature.

The real model file is not part of the project.
"""

import gzip
import re

import cv2
import numpy as np
import pytest

from wsis_steps.engine.errors import InputError
from wsis_steps.proposals.structured_forest import forest_edges, load_forest

OPTIONS = {
    "stride": 2, "shrinkNumber": 2, "patchSize": 32, "patchInnerSize": 16, "numberOfGradientOrientations": 4,
    "gradientSmoothingRadius": 0, "regFeatureSmoothingRadius": 2, "ssFeatureSmoothingRadius": 8,
    "gradientNormalizationRadius": 4, "selfsimilarityGridSize": 5, "numberOfTrees": 1, "numberOfTreesToEvaluate": 1,
}  # fmt: skip
CELLS = OPTIONS["patchSize"] // OPTIONS["shrinkNumber"]
MAGNITUDE = 3  # channel, after three of color


def write_stump(path, **changed):
    """A tree that asks for the gradient in the middle of the patch; its right leaf marks the middle four pixels."""
    options = {**OPTIONS, **changed}
    middle = [y * 16 + x for y in (7, 8) for x in (7, 8)]
    tables = {
        "childs": [2, 0, 0],
        "featureIds": [MAGNITUDE * CELLS**2 + (CELLS // 2) * CELLS + CELLS // 2, 0, 0],
        "thresholds": [0.05, 0.0, 0.0],
        "edgeBoundaries": [0, 0, 0, len(middle)],
        "edgeBins": middle,
    }
    lines = ["%YAML:1.0", "---", "options:", *(f"    {name}: {value}" for name, value in options.items())]
    for name, values in tables.items():
        lines += [f"{name}:", f"    - {values}"]
    path.write_text("\n".join(lines) + "\n")
    return path


def step_picture(height, width, column):
    picture = np.full((height, width, 3), 40, np.uint8)
    picture[:, column:] = 200
    return picture


@pytest.mark.parametrize(("height", "width"), [(120, 160), (121, 163), (64, 65), (20, 90), (8, 8)])
def test_a_stump_on_the_gradient_finds_a_step_where_it_is(tmp_path, height, width):
    column = width // 2
    edges = forest_edges(load_forest(write_stump(tmp_path / "model.yml")), step_picture(height, width, column))
    assert edges.shape == (height, width) and edges.dtype == np.float32
    assert edges.min() >= 0 and 0 < edges.max() <= 1
    if width > 64:  # smaller pictures are mirrored, and so is their step
        inside = edges[height // 3 : -height // 3]
        middle = (inside * np.arange(0.5, width)).sum() / inside.sum()
        assert abs(middle - column) <= 2  # the cell asked for lies a pixel off the middle
        assert inside[:, : column - 10].max() == inside[:, column + 10 : -10].max() == 0


def test_a_missing_file_says_what_is_wanted(tmp_path):
    with pytest.raises(InputError, match=r"none.yml.gz does not exist; .* OpenCV's model.yml.gz"):
        load_forest(tmp_path / "none.yml.gz")


BROKEN = {
    "empty": b"",
    "text": b"no model\n",
    "binary": bytes(range(256)) * 9,
    "another YAML": b"%YAML:1.0\n---\nfoo: 3\n",
    "options that are a number": b"%YAML:1.0\n---\noptions: 3\n",
    "options alone": b"%YAML:1.0\n---\noptions:\n    numberOfTrees: 8\n",
    "zipped YAML": gzip.compress(b"%YAML:1.0\n---\nfoo: 3\n"),
    "zip cut short": gzip.compress(b"%YAML:1.0\n---\nfoo: 3\n" * 99)[:20],
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_is_no_forest_is_told_in_a_sentence(tmp_path, content):
    path = tmp_path / "model.yml.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(f"{path} is damaged or not an OpenCV structured forest")):
        load_forest(path)


@pytest.mark.parametrize("change", [{"numberOfTrees": 2}, {"stride": 0}])
def test_options_that_would_crash_opencv_are_refused(tmp_path, change):
    with pytest.raises(InputError, match="not an OpenCV structured forest"):
        load_forest(write_stump(tmp_path / "model.yml", **change))


def test_a_forest_that_breaks_off_is_refused(tmp_path):
    path = write_stump(tmp_path / "model.yml")
    whole = path.read_bytes()
    for share in (0.3, 0.6, 0.8):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError, match="not an OpenCV structured forest"):
            load_forest(path)


def test_opencv_reads_a_zipped_forest_alike(tmp_path):
    plain = write_stump(tmp_path / "model.yml")
    zipped = tmp_path / "model.yml.gz"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    picture = cv2.GaussianBlur(step_picture(80, 90, 30), (0, 0), 1)
    np.testing.assert_array_equal(forest_edges(load_forest(plain), picture), forest_edges(load_forest(zipped), picture))
