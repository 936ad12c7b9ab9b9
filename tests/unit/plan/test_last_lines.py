"""A run ends with the worst that there is to say of its results, and never by saying it."""

import json
import os
from pathlib import Path

import pytest
from artifacts import provenance, squares
from test_runs import bestie, runs

from wsis_steps.engine.provenance import Provenance
from wsis_steps.plan.last_lines import MOST, last_lines, say_last_lines, where_results_are
from wsis_steps.plan.listing import judged
from wsis_steps.vision.contracts.instances import write_instances

LABELS = Path("results/d/one/labels/round00.h5")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """What a run leaves lies below the working directory."""
    monkeypatch.chdir(tmp_path)


def write_labels(path: Path, found, run: str, *steps: str, without: int = 3, labels: int = 9, **more: int) -> None:
    """Labels of nine pictures, made by these steps, the nearest first, with the settings that they have in a run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name, *before = steps
    settings = {step: found.settings(run, step) for step in before}
    made = Provenance(name, found.settings(run, name), "", "", {}, provenance().class_names, before=settings)
    counts = {"images": 9, "expected": 9, "without": without, "labels": labels, **more}
    write_instances(path, made, ["image0"], [32], [32], [squares(0)], counts)


def test_the_worst_is_said_first_with_where_it_is_and_what_to_try():
    found = runs(one=bestie(rounds=2), two=bestie())  # two has the files of one
    assert last_lines(found) == []
    write_labels(LABELS, found, "one", "bestie_label", "postprocess_refine_with_crf", undersized=3, bare=0, accepted=6,
                 crowded=0, uncued=0, ambiguous=0, empty=0)  # fmt: skip
    of_round, sound = ("one", "bestie_infer"), {"without": 0, "before": 9, "again": 9}
    write_labels(LABELS.with_name("round01.h5"), found, *of_round, labels=270, **sound)
    write_labels(LABELS.with_name("round02.h5"), found, *of_round, labels=9, **sound)
    heading, *lines = last_lines(found)
    assert heading == "Doubtful, the worst first:"
    assert lines == [
        "  one, labels/round01: 30.0 labels per image, where the previous round had 1.0: the network may cut objects "
        "into pieces, as it does if it had too little to learn from. Try bestie_infer: {min_center: 0.3} (now 0.1).",
        "  one, labels/round00: 3 of 9 tagged images (33 %) have no label; in 3 of them all components of the "
        "semantic map are too small. Try bestie_label: {min_area: 25} (now 50).",
    ]


MADE = ("bestie_label", "postprocess_refine_with_crf", "classifier_infer", "classifier_find_peaks")


@pytest.mark.parametrize(
    ("values", "stays"),
    [
        ({}, True),
        ({"steps": {"bestie_train": {"iterations": 9}}}, True),  # which has no part in the labels
        ({"steps": {"bestie_label": {"min_area": 9}}}, False),
        ({"steps": {"classifier_infer": {"stride": 2}}}, False),
        ({"semantic": "learning_to_segment"}, False),  # no CRF any more
    ],
)
def test_results_of_another_configuration_are_passed_over(values, stays):
    write_labels(LABELS, runs(one=bestie()), "one", *MADE)
    assert bool(last_lines(runs(one=bestie(**values)))) == stays


def test_what_was_taken_of_another_run_has_the_settings_of_that_run():
    other = {"postprocess_refine_with_crf": {"foreground": 0.4}, "classifier_find_peaks": {"min_value": 0.7}}
    found = runs(one=bestie(takes={"semantic": "two"}), two=bestie(steps=other))
    write_labels(LABELS, found, "two", "bestie_label", "postprocess_refine_with_crf")
    assert any("one, labels/round00" in line for line in last_lines(found))
    write_labels(LABELS, found, "two", "bestie_label", "classifier_find_peaks")  # of which one has its own
    assert last_lines(found) == []


@pytest.mark.parametrize("name", ["one/classifier/peaks.h5", "shared/data/images.h5", "one/classifier/model.pt"])
def test_results_of_something_that_is_newer_are_passed_over(name):
    found, path = runs(one=bestie()), Path("results/d", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    os.utime(path, (10**9, 10**9))
    write_labels(LABELS, found, "one", "bestie_label")
    assert len(last_lines(found)) == 2
    os.utime(path, (4 * 10**9, 4 * 10**9))
    assert last_lines(found) == []


def test_tags_are_judged_by_the_settings_of_the_audit_and_of_the_classifier():
    data = {"data_import_dataset": {"format": "folder", "root": "x"}}
    found = runs(data, one=bestie(), two=bestie(maskrcnn=False))
    steps = ("classifier_audit_tags", "classifier_train")
    audit, training = (found.settings("one", step) for step in steps)
    scores = {name: {"cat": 0.1} for name in ("average_precision", "chance", "chance_limit")}
    made = {"step": steps[0], "settings": audit, "before": {steps[1]: training}}
    path = Path("results/d/one/classifier/tag_audit.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"images": 9, "tagged": {"cat": 1}, **scores, "provenance": made}))
    assert "  one, tags: The classifier recognizes 1 of 1 classes hardly better" in last_lines(found)[1]
    assert last_lines(runs(data, one=bestie(steps={"classifier_train": {"epochs": 3}}))) == []


def test_a_broken_result_is_passed_over():
    found = runs(one=bestie())
    for name in ("classifier/peaks.h5", "semantic/train.h5", "labels/round01.h5"):
        path = Path("results/d/one", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("none")
    write_labels(LABELS, found, "one", "bestie_label")
    said: list[str] = []
    say_last_lines(found, said.append)
    (text,) = said
    assert text.count("\n") == 1 and "one, labels/round00" in text


def test_more_than_a_screen_is_counted():
    found = runs(**{f"run{k}": bestie(seed=k) for k in range(MOST + 3)})
    for name in found.runs:
        write_labels(Path(f"results/d/{name}/labels/round00.h5"), found, name, "bestie_label", without=9)
    lines = last_lines(found)
    assert len(lines) == 1 + MOST + 1
    assert lines[-1] == ("  ... and 3 more; a whole run lists all of them in results/d/summary.json and report.html.")


def test_where_all_is_well_nothing_is_said():
    found = runs(one=bestie())
    write_labels(LABELS, found, "one", "bestie_label", without=0)
    said: list[str] = []
    say_last_lines(found, said.append)
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


def test_the_last_lines_name_the_pages_and_a_model_that_are_there():
    real = {"data_import_dataset": {"format": "folder", "root": "data"}}
    found = runs(real, one=bestie(maskrcnn=False), two=bestie(), three=bestie(rounds=2))
    assert where_results_are(found) == []
    for path in ("report.html", "one/classifier/tag_audit.json", "one/classifier/tag_audit.html",
                 "two/maskrcnn/model.pt", "three/maskrcnn/model.pt"):  # fmt: skip
        Path("results/d", path).parent.mkdir(parents=True, exist_ok=True)
        Path("results/d", path).touch()
    assert where_results_are(found) == [
        "report: results/d/report.html",
        "tag audit: results/d/one/classifier/tag_audit.html",
        "new images: wsis predict FOLDER --model results/d/two/maskrcnn/model.pt --out found",
    ]
