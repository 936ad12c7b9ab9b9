"""A run ends with the worst that there is to say of its results, and never by saying it."""

import json
from pathlib import Path

import pytest
from artifacts import provenance, squares
from test_runs import bestie, runs

from wsis_steps.engine.provenance import Provenance
from wsis_steps.plan.last_lines import MOST, last_lines, say_last_lines
from wsis_steps.plan.listing import judged
from wsis_steps.vision.contracts.instances import write_instances

LABELS = Path("results/d/one/labels/round00.h5")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """What a run leaves lies below the working directory."""
    monkeypatch.chdir(tmp_path)


def write_labels(path: Path, without: int, labels: int = 9, **more: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = json.dumps({"min_center": 0.1})
    made = Provenance("bestie_infer", settings, "", "", {}, provenance().class_names)
    counts = {"images": 9, "expected": 9, "without": without, "labels": labels, **more}
    write_instances(path, made, ["image0"], [32], [32], [squares(0)], counts)


def test_the_worst_is_said_first_with_where_it_is_and_what_to_try():
    found = runs(one=bestie(rounds=2), two=bestie())  # two has the files of one
    assert last_lines(found) == []
    write_labels(LABELS, 3)
    write_labels(LABELS.with_name("round01.h5"), 0, labels=270, before=9, again=9)
    write_labels(LABELS.with_name("round02.h5"), 0, labels=9, before=9, again=9)
    heading, *lines = last_lines(found)
    assert heading == "Doubtful, the worst first:"
    assert lines == [
        "  one, labels/round01: 30.0 labels a picture, where the round before had 1.0: the network may cut objects "
        "into pieces, as one does that had too little to learn from. Try bestie_infer: {min_center: 0.3} (now 0.1).",
        "  one, labels/round00: 3 of 9 tagged pictures (33 %) have no label. "
        "Try bestie_infer: {min_center: 0.067} (now 0.1).",
    ]


def test_a_broken_result_is_passed_over():
    found = runs(one=bestie())
    write_labels(LABELS, 3)
    for name in ("classifier/peaks.h5", "semantic/train.h5", "labels/round01.h5"):
        path = Path("results/d/one", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("none")
    said: list[str] = []
    say_last_lines(found, said.append)
    (text,) = said
    assert text.count("\n") == 1 and "one, labels/round00" in text


def test_more_than_a_screen_is_counted():
    several = {f"run{k}": bestie(seed=k) for k in range(MOST + 3)}
    for name in several:
        write_labels(Path(f"results/d/{name}/labels/round00.h5"), 9)
    lines = last_lines(runs(**several))
    assert len(lines) == 1 + MOST + 1
    assert lines[-1] == ("  ... and 3 more; a whole run lists all of them in results/d/summary.json and report.html.")


def test_where_all_is_well_nothing_is_said():
    write_labels(LABELS, 0)
    said: list[str] = []
    say_last_lines(runs(one=bestie()), said.append)
    assert said == []


def test_every_file_is_judged_once():
    data = {"data_import_dataset": {"format": "folder", "root": "x"}}
    rows = judged(runs(data, one=bestie(), two=bestie(maskrcnn=False), three=bestie(seed=1)))
    assert len({path for *_, path in rows}) == len(rows)
    assert {run for run, *_ in rows} == {"one", "three"}  # two has all of one
    stages = [stage for run, stage, _ in rows if run == "one"]
    assert stages == [
        "tags", "activation maps", "cues", "semantic", "labels/round00", "labels/round01", "predictions_direct",
        "predictions",
    ]  # fmt: skip
