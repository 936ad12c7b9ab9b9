"""Steps whose images several jobs share: what these make is joined to the bytes that one job would have written."""

import subprocess
import sys

import h5py
import pytest
from artifacts import write_images
from calls import call
from proposal_sets import square_boxes, square_edges, square_regions
from tiny_settings import BESTIE, CLASSIFIER, COMMUNITY_LEARNING, INITIALISE, LEARNING_TO_SEGMENT, MASKRCNN
from tiny_workflow import ROOT
from trainings import write_labels, write_semantic

TRAIN, VAL = 20, 9
JUDGED = {"semantic", "labels", "predictions"}
CRF = {"crf_iterations": 1, "bilateral_sxy": 8}
# step: what it is called with; inputs are files of `trained`, models under the name of the step that trains them
STEPS = {
    "classifier.extract": (
        {"backbone": "small", "weights": "none", "long_sides": [32, 16]},
        {"images": "images"},
        ["features"],
    ),
    "classifier.infer": ({"stride": 2}, {"images": "images", "model": "classifier.train"}, ["maps"]),
    "postprocess.refine_with_crf": (CRF, {"images": "images", "maps": "maps"}, ["semantic"]),
    "postprocess.pool_over_regions": ({}, {"maps": "maps", "proposals": "regions"}, ["semantic"]),
    "learning_to_segment.infer": (CRF, {"images": "images", "model": "learning_to_segment.train"}, ["semantic"]),
    "bestie.infer": (
        {**CRF, "min_area": 4, "window": 5},
        {"images": "images", "model": "bestie.train", "before": "labels"},
        ["labels", "predictions"],
    ),
    "community_learning.infer": (
        {"short_sides": [32], "detections": 5},
        {"images": "images", "proposals": "boxes", "model": "community_learning.train"},
        ["labels", "predictions"],
    ),
    "annotation_consistency.sample": (
        {"samples": 2},
        {
            "images": "images",
            "proposals": "regions",
            "edges": "edges",
            "model": "annotation_consistency.initialise",
            "before": "labels",
        },
        ["samples", "labels"],
    ),
    "maskrcnn.infer": (
        {"min_size": 32, "max_size": 32},
        {"images": "images", "model": "maskrcnn.train"},
        ["predictions"],
    ),
    "proposals.find_edges": ({"edges": "gradient"}, {"images": "images"}, ["edges"]),
}
TRAININGS = {
    "classifier.train": (CLASSIFIER, {}),
    "learning_to_segment.train": (LEARNING_TO_SEGMENT, {}),
    "bestie.train": (BESTIE, {"semantic": "semantic", "labels": "labels"}),
    "community_learning.train": (COMMUNITY_LEARNING, {"proposals": "boxes"}),
    "annotation_consistency.initialise": (INITIALISE, {"proposals": "regions"}),
    "maskrcnn.train": (MASKRCNN, {"labels": "labels"}),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A file for each input, in a folder; an image has no tag, as one without objects."""
    folder = tmp_path_factory.mktemp("trained")
    write_images(folder / "images", train=TRAIN, val=VAL, untagged=(3, 9))
    write_labels(folder / "labels", count=TRAIN)
    write_semantic(folder / "semantic", count=TRAIN)
    square_boxes(folder / "boxes", TRAIN + VAL)
    square_regions(folder / "regions", TRAIN + VAL)
    square_edges(folder / "edges", TRAIN + VAL)
    return folder


def prepare(folder, name: str) -> None:
    """Trains the model of that name, or makes the activation maps, where they are not there yet."""
    if name in TRAININGS and not (folder / name).exists():
        settings, inputs = TRAININGS[name]
        files = {"images": folder / "images", **{key: folder / value for key, value in inputs.items()}}
        done = call(name, settings, **files, model=folder / name, metrics=folder / "metrics")
        assert done.status == 0, done.errors
    if name == "maps" and not (folder / name).exists():
        infer("classifier.infer", folder, {"maps": folder / "maps"})


def infer(step: str, folder, outputs: dict, **more) -> None:
    settings, inputs, _ = STEPS[step]
    for name in inputs.values():
        prepare(folder, name)
    files = {key: folder / name for key, name in inputs.items()}
    done = call(step, settings, **files, **outputs, **more)
    assert done.status == 0, done.errors


@pytest.mark.parametrize(
    ("step", "more"),
    [(step, {}) for step in STEPS if step != "learning_to_segment.infer"]
    + [("learning_to_segment.infer", {"split": split}) for split in ("train", "val")],
)
def test_jobs_that_share_the_images_make_the_bytes_of_one(trained, tmp_path, step, more):
    names = STEPS[step][2]
    infer(step, trained, {name: tmp_path / name for name in names}, **more)
    for k in (1, 2, 3, 4):  # VAL is less than four blocks: some have none of its images
        infer(step, trained, {name: tmp_path / f"{name}{k}" for name in names}, shard=f"{k}/4", **more)
    for name in names:
        shards, merged = [tmp_path / f"{name}{k}" for k in (1, 2, 3, 4)], tmp_path / "merged"
        done = call("postprocess.merge_shards", shards=shards, merged=merged)
        assert done.status == 0, done.errors
        assert merged.read_bytes() == (tmp_path / name).read_bytes(), name
        with h5py.File(merged) as file:  # what is judged of all images
            assert ("counts" in file.attrs) == (name in JUDGED)
            compared = name == "labels" and "before" in STEPS[step][1]
            assert ('"before": 20' in file.attrs.get("counts", b"").decode()) == compared  # a square in each picture


def test_a_part_that_is_none_is_told(trained, tmp_path):
    (tmp_path / "none.h5").write_text("none")
    done = call(
        "postprocess.merge_shards", shards=[tmp_path / "none.h5", trained / "labels"], merged=tmp_path / "merged"
    )
    assert (done.status, done.traceback) == (2, False) and "none.h5 is truncated or not an HDF5 file" in done.errors[0]


def test_a_part_goes_when_it_is_joined_but_not_one_of_two_results(tmp_path):
    """Else a run that asks for the other result later would make both anew, and all that follows."""
    words = ["--directory", tmp_path, "--configfile", ROOT / "tests/tiny.yaml", "--config", "shards=2"]
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    removed = [line for line in said.splitlines() if line.startswith("Would remove temporary output")]
    for one in ("classifier/train", "learning_to_segment/semantic/val"):
        assert any(f"{one}/1_of_2.h5" in line for line in removed)
    assert not any("/predictions/round" in line or "/labels/" in line for line in removed)
