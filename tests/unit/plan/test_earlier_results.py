"""Results of other fingerprints are recognised by what the import wrote."""

import json
from pathlib import Path

import pytest
from calls import call

from wsis_steps.engine import RESULTS
from wsis_steps.plan.earlier_results import made_anew
from wsis_steps.plan.fingerprint import fingerprint


@pytest.fixture
def summary(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("results/shapes/shared/data/summary.json")
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.parametrize("code", [None, "0123456789abcdef"])
def test_results_from_before_are_told_in_one_sentence(summary, code):
    summary.write_text(json.dumps({"class_names": []} | ({} if code is None else {"code": code})))
    assert made_anew(summary) == (
        "results/shapes was made by a version without results versions "
        f"(now results version {RESULTS}), so everything is recomputed once."
    )


def test_results_of_another_version_are_told(summary):
    summary.write_text(json.dumps({"code": f"{RESULTS}1-0123456789abcdef"}))
    assert f"results/shapes was made with results version {RESULTS}1 (now" in made_anew(summary)


@pytest.mark.parametrize("code", ["", f"{RESULTS}-0123456789abcdef", fingerprint("wsis_steps.data.import_dataset")])
def test_results_of_this_version_or_an_unknown_one_are_not(summary, code):
    summary.write_text(json.dumps({"code": code}))
    assert made_anew(summary) is None


def test_the_import_says_under_which_fingerprint_it_ran(summary):
    assert call("data.draw_shapes", {"train": 3, "val": 2, "image_size": 48}, tree="tree").status == 0
    outputs = {name: summary.with_name(f"{name}.h5") for name in ("images", "instances_train", "instances_val")}
    for code in ("", "0123456789abcdef"):
        arguments = {"source": "tree", "code": code, "summary": summary, **outputs}
        assert call("data.import_dataset", {"format": "shapes"}, **arguments).status == 0
        assert (made_anew(summary) is None) == (not code)


@pytest.mark.parametrize("text", [None, "", "{", "[]", "\xff"])
def test_a_file_that_says_nothing_does_not_stop_the_workflow(summary, text):
    if text is not None:
        summary.write_text(text, encoding="latin-1")
    assert made_anew(summary) is None
