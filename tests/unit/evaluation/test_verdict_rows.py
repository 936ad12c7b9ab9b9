"""What is doubtful about the results of runs, as it stands in summary.json."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from artifacts import provenance, squares
from calls import call

from wsis_steps.engine.documents import digest_of_file, read_document
from wsis_steps.engine.errors import InputError
from wsis_steps.evaluation.figures import read_verdicts
from wsis_steps.evaluation.verdicts import document, worst_first
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.instances import write_instances
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.contracts.points import write_points
from wsis_steps.vision.counts import count_map

ROUND = {"images": 2, "expected": 2, "without": 0, "labels": 54, "before": 2, "again": 2}


@pytest.fixture
def rows(tmp_path):
    """Cues of which there are too many by a factor of 2, labels by a factor of 9, and sound ones without counts."""
    ids, sizes = ["image0", "image1"], [32, 32]
    counts = {"images": 2, "tagged": 3, "with_cue": 3, "cues": 30}
    write_points(tmp_path / "peaks.h5", provenance(), ids, sizes, sizes, [np.zeros((0, 4))] * 2, counts)
    found = [squares(0), squares(1)]
    write_instances(tmp_path / "round01.h5", provenance(), ids, sizes, sizes, found, ROUND)
    write_instances(tmp_path / "val.h5", provenance(), ids, sizes, sizes, found)
    names = (("cues", "peaks.h5"), ("labels/round01", "round01.h5"), ("predictions", "val.h5"))
    return [["one", stage, str(tmp_path / name)] for stage, name in names]


def test_the_worst_comes_first_with_its_run_stage_and_file(rows):
    found = document(rows)
    assert [(row["stage"], row["figure"], row["value"]) for row in found["verdicts"]] == [
        ("labels/round01", "labels a picture", 27.0),
        ("cues", "cues of a tag", 10.0),
    ]
    first = found["verdicts"][0]
    assert first["run"] == "one" and first["file"] == rows[1][2] and "previous round had 1.0" in first["says"]
    assert first["setting"] is None  # the step that made it has no settings here
    figures = {(row["stage"], row["figure"]): row["value"] for row in found["figures"]}
    assert figures["cues", "tags without a cue"] == 0.0 and figures["labels/round01", "labels found again"] == 1.0
    assert not any(stage == "predictions" for stage, _ in figures)


def test_files_of_both_splits_are_told_apart(tmp_path):
    paths = [str(tmp_path / f"semantic/{split}.h5") for split in ("train", "val")]
    (tmp_path / "semantic").mkdir()
    for path, inside in zip(paths, (20, 30), strict=True):
        counts = Counter()
        count_map(np.arange(100).reshape(10, 10) < inside, True, counts)
        with create(Path(path), Maps.schema, provenance(), counts) as file:
            MapsWriter(file, (10, 10), np.uint8).close()
    rows = document([["one", "semantic", path] for path in paths])["figures"]
    assert {row["file"]: row["value"] for row in rows if row["figure"] == "share of classes"} == {
        paths[0]: 0.2, paths[1]: 0.3,
    }  # fmt: skip
    assert len({(row["file"], row["figure"]) for row in rows}) == len(rows)


def test_a_result_that_is_not_there_is_told(rows, tmp_path):
    with pytest.raises(InputError, match="absent.h5 does not exist"):
        worst_first([*rows, ["one", "cues", str(tmp_path / "absent.h5")]])


@pytest.mark.parametrize("figures", [[], [["one", "toy", "predictions"]]])
def test_the_step_writes_them_with_true_masks_and_without(rows, tmp_path, figures):
    scores = tmp_path / "scores.json"
    scores.write_text(json.dumps({"split": "val", "supervision": [], "metrics": {"mask_ap50": 0.5}, "per_class": {}}))
    listing = {"dataset": "d", "figures": [[*row, str(scores)] for row in figures], "results": rows, "judged": rows}
    listing |= {name: [] for name in ("first", "trainings", "stages", "pairs", "published", "recommended")}
    (tmp_path / "listing.json").write_text(json.dumps(listing))
    outputs = {
        name: tmp_path / f"summary.{end}" for name, end in (("table", "csv"), ("text", "md"), ("verdicts", "json"))
    }
    inputs = {"figures": [scores] if figures else [], "listing": tmp_path / "listing.json"}
    done = call("evaluation.summarise", **inputs, **outputs)
    assert done.status == 0, done.errors
    assert read_document(outputs["verdicts"]) == {
        **document(rows), "recommended": [], "table": digest_of_file(outputs["table"]),
    }  # fmt: skip
    assert read_verdicts(outputs["verdicts"]) == document(rows)["verdicts"]
    header, *lines = outputs["table"].read_text().splitlines()
    assert header == "run,system,supervision,stage,split,metric,value" and len(lines) == len(figures)


def test_a_file_that_holds_no_verdicts_is_told(tmp_path):
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(InputError, match="summary.json holds no verdicts"):
        read_verdicts(tmp_path / "summary.json")
