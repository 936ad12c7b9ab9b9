"""Inputs of the workflow tests: one valid artifact of each kind, and a finished run of tests/tiny.yaml.

The run is made once for all tests and processes. It is killed in the middle and run again, so every test also checks
the results of an interrupted run.
"""

import fcntl
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from artifacts import SIZE, write_images, write_labels, write_semantic
from calls import call
from mistakes import Place
from tiny_settings import CLASSIFIER
from tiny_workflow import Tiny, make
from trainings import make_inputs

from wsis_steps.data.settings import DataDrawShapes
from wsis_steps.data.shapes import draw_voc_tree


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """The folder of the finished run; the first process makes it, the others wait."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (shared / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "tiny/story.json").exists():
            shutil.rmtree(shared / "tiny", ignore_errors=True)
            story = make(shared / "tiny")
            (shared / "tiny/story.json").write_text(json.dumps(story))
    return shared / "tiny"


@pytest.fixture(scope="session")
def tiny(finished, tmp_path_factory) -> Tiny:
    """This process's copy of the finished run and of the code; tests may change both and must restore them."""
    folder = tmp_path_factory.mktemp("tiny") / "own"
    shutil.copytree(finished, folder, symlinks=True)
    return Tiny(folder)


@pytest.fixture(scope="session")
def inputs(tmp_path_factory) -> dict[str, Path]:
    """The inputs of the training steps."""
    return make_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> SimpleNamespace:
    """One valid artifact of each kind."""
    folder = tmp_path_factory.mktemp("made")
    images, labels = write_images(folder / "images.h5"), write_labels(folder / "labels.h5")
    model, maps = folder / "classifier.pt", folder / "maps.h5"
    write_semantic(folder / "semantic.h5")
    done = [
        call("classifier.train", CLASSIFIER, images=images, model=model, metrics=folder / "metrics"),
        call("classifier.infer", {"size": SIZE, "stride": 2}, images=images, model=model, maps=maps),
        call("classifier.find_peaks", maps=maps, peaks=folder / "peaks.h5"),
    ]
    assert [outcome.status for outcome in done] == [0, 0, 0]
    draw_voc_tree(folder / "tree", DataDrawShapes(image_size=48, train=4, val=2))
    paths = {path.stem: path for path in folder.iterdir()}
    return SimpleNamespace(**{**paths, "labels": labels, "tree": folder / "tree"})


@pytest.fixture
def place(made, tmp_path) -> Place:
    shutil.copytree(made.tree, tmp_path / "tree")
    return Place(made, tmp_path / "tree", tmp_path)
