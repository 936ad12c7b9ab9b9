"""Runs that name what they are compared with: faults, seeds, and which stages are compared."""

import json

import pytest
from calls import call

from wsis_steps.engine.documents import read_document, write_document
from wsis_steps.engine.errors import InputError
from wsis_steps.plan.config import load
from wsis_steps.plan.faults import check
from wsis_steps.plan.listing import digest, listing
from wsis_steps.plan.runs import Runs

PARTS = {"system": "bestie", "against": "full", "steps": {"bestie_train": {"refinement": False}}}


def configured(seeds=(0,), **runs):
    full = {"system": "bestie", "maskrcnn": False}
    return load({"dataset": "x", "seeds": list(seeds), "runs": {"full": full, **runs}})


def pairs_of(configuration):
    return listing(Runs(configuration))["pairs"]


WRONG = {
    "no such run": ({"less": {**PARTS, "against": "fall"}}, "there is no run 'fall', the nearest is 'full'"),
    "a run that is left out": ({"full": None, "other": {"system": "bestie"}, "less": PARTS}, "there is no run 'full'"),
    "itself": ({"less": {**PARTS, "against": "less"}}, "runs.less.against: a run cannot be compared with itself"),
    "another seed": ({"less": {**PARTS, "seed": 4}}, "less has seed 4, but full has seed 0; they must be equal"),
    "with a number": ({"less": {**PARTS, "against": 3}}, "'runs.less.against' is 3 but should be a valid string"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_name_is_one_sentence(case):
    runs, words = WRONG[case]
    with pytest.raises(InputError) as error:
        configured(**runs)
    text = str(error.value)
    assert words.lower() in text.lower() and text.count(". ") == 0 and text.endswith(".")


@pytest.mark.parametrize(
    "run",
    [
        {"system": "bestie", "maskrcnn": False, "against": "full"},
        {"system": "learning_to_segment", "against": "full"},
    ],
    ids=["an equal run", "a run of other stages"],
)
def test_a_pair_without_anything_to_compare_is_a_fault(run):
    with pytest.raises(InputError, match=r"Run less is compared with full \('against'\), but there is nothing"):
        check(Runs(configured(less=run, **({} if run["system"] == "bestie" else {"full": {"system": "supervised"}}))))


def test_stages_that_both_share_are_not_compared():
    less = {**PARTS, "maskrcnn": False}
    assert pairs_of(configured(less=less)) == [
        ("less", "full", "labels/round01", "train"),
        ("less", "full", "predictions_direct", "val"),
    ]
    assert pairs_of(configured()) == []


def test_seeds_are_compared_with_their_own():
    found = pairs_of(configured((3, 1), less={**PARTS, "maskrcnn": False}))
    assert {pair[:2] for pair in found} == {("less_seed3", "full_seed3"), ("less_seed1", "full_seed1")}


def test_what_a_run_is_compared_with_computes_nothing_anew():
    compared = Runs(configured(less=PARTS))
    alone = Runs(configured(less={key: value for key, value in PARTS.items() if key != "against"}))
    nodes = compared.graphs["less"].nodes
    assert nodes == alone.graphs["less"].nodes
    assert [compared.identity("less", node) for node in nodes] == [alone.identity("less", node) for node in nodes]
    assert digest(compared) != digest(alone)


def test_only_splits_with_true_masks_are_compared():
    values = {"dataset": "x", "runs": {"full": {"system": "bestie"}, "less": PARTS}}
    for truth, splits in (([], set()), (["val"], {"val"}), (["train", "val"], {"train", "val"})):
        runs = Runs(load({**values, "steps": {"data_import_dataset": {"truth": truth}}}))
        check(runs)
        assert {split for *_, split in listing(runs)["pairs"]} == splits


def test_the_summary_of_a_workflow_has_the_paired_differences(tmp_path):
    """From the configuration to the table, through the files of the steps."""
    values = {
        "dataset": "x",
        "seeds": [0, 1],
        "runs": {"full": {"system": "bestie", "maskrcnn": False}, "less": {**PARTS, "maskrcnn": False}},
    }
    path = tmp_path / "listing.json"
    assert call("evaluation.list_results", configuration=json.dumps(values), listing=path).status == 0
    document = read_document(path)
    for k, (run, _, stage, _) in enumerate(rows := document["figures"]):
        value = {"less": 0.4, "full": 0.5}[run.split("_")[0]] + (0.01 * int(run[-1]) if run.startswith("less") else 0)
        split = "val" if stage.startswith("predictions") else "train"
        file = tmp_path / f"{k}.json"
        file.write_text(
            json.dumps({"split": split, "supervision": ["tags"], "metrics": {"mask_ap50": value}, "per_class": {}})
        )
        rows[k][3] = str(file)
    write_document(path, {**document, "judged": [], "recommended": []})
    names = {"table": "summary.csv", "text": "summary.md", "verdicts": "summary.json"}
    outputs = {name: tmp_path / file for name, file in names.items()}
    files = [tmp_path / f"{k}.json" for k in range(len(rows))]
    assert call("evaluation.summarise", figures=files, listing=path, **outputs).status == 0
    table = outputs["text"].read_text().split("\n\n")[1].splitlines()
    assert [[cell.strip() for cell in row.strip("|").split("|")] for row in table[2:]] == [
        ["less", "full", "labels/round01", "train", "2", "-9.5 ± 0.5"],
        ["less", "full", "predictions_direct", "val", "2", "-9.5 ± 0.5"],
    ]
    assert outputs["table"].read_text().splitlines()[0] == "run,system,supervision,stage,split,metric,value"
