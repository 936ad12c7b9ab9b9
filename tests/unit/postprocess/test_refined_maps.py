"""Semantic maps from activation maps: which pixels enter the CRF as what."""

from pathlib import Path

import numpy as np
import pytest
from artifacts import SIZE, provenance, square_mask, write_images
from calls import call, files

from wsis_steps.postprocess.refine_with_crf import POSSIBLE, refine
from wsis_steps.postprocess.settings import PostprocessRefineWithCrf
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.dense_crf import DenseField
from wsis_steps.vision.thresholds import likely_thresholds


def refined(maps: np.ndarray, **settings) -> np.ndarray:
    picture = np.zeros((*maps.shape[1:], 3), np.uint8)
    return refine(picture, maps, np.array([4, 7]), PostprocessRefineWithCrf(**settings))


@pytest.fixture(autouse=True)
def crf_that_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DenseField, "refine_labels", lambda self, labels, certainty: labels)


@pytest.fixture
def maps() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.random((2, 12, 10)).astype(np.float32) ** np.array([2, 5])[:, None, None]


def test_constants_are_compared_with_the_largest_activation(maps: np.ndarray) -> None:
    largest, category = maps.max(axis=0), np.array([5, 8])[maps.argmax(axis=0)]
    expected = np.where(largest > 0.4, category, np.where(largest > 0.1, 255, 0))
    assert (refined(maps, foreground=0.4, background=0.1) == expected).all()


def test_expected_thresholds_are_each_map_s_own(maps: np.ndarray) -> None:
    own = likely_thresholds(maps)
    assert own[1] < own[0]
    labels = refined(maps, foreground="expected", background="expected")
    over = maps > own[:, None, None]
    assert (labels[over[0] & ~over[1]] == 5).all() and (labels[over[1] & ~over[0]] == 8).all()
    assert (np.isin(labels, (5, 8)) == over.any(axis=0)).all()
    assert ((labels == 0) == (maps <= POSSIBLE * own[:, None, None]).all(axis=0)).all()


def test_a_sure_object_is_found_with_its_expected_threshold() -> None:
    two_values = np.full((2, 20, 20), 0.02, np.float32)
    two_values[0, :10], two_values[1, 14:] = 1, 0.9
    labels = refined(two_values, foreground="expected", background="expected")
    assert (labels[:10] == 5).all() and (labels[14:] == 8).all() and (labels[10:14] == 0).all()


@pytest.mark.parametrize("count", [254, 255])
def test_bytes_hold_254_classes_and_more_are_refused_before_anything_is_written(tmp_path: Path, count: int) -> None:
    """The last class of 254 is label 254; that of 255 would be 255, which means unsure."""
    names = [f"class {k}" for k in range(count)]
    images = write_images(tmp_path / "images.h5", train=2, val=0, class_names=names)
    with create(tmp_path / "maps.h5", Maps.schema, provenance(names)) as file:
        writer = MapsWriter(file, (SIZE, SIZE), np.float16)
        for k in range(2):
            writer.add(f"image{k}", SIZE, SIZE, square_mask(k)[None].astype(np.float16), (count - 1,))
        writer.close()
    before, found = files(tmp_path), tmp_path / "semantic.h5"
    done = call("postprocess.refine_with_crf", {}, images=images, maps=tmp_path / "maps.h5", semantic=found)
    if count == 254:
        assert done.status == 0
        for k in range(2):
            assert (Maps(found).semantic(k) == 254 * square_mask(k)).all()
        return
    assert done.status == 2 and not done.traceback and files(tmp_path) == before
    assert done.errors == [
        f"{tmp_path / 'maps.h5'} has 255 classes, but label maps are bytes and hold at most 254; use a run without "
        "semantic maps."
    ]
