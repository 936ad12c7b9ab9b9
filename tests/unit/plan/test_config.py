"""The configuration: every mistake is one sentence with the nearest valid value; shipped files are valid."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.engine.settings import REMOVED, RENAMED, canonical
from wsis_steps.plan.config import load
from wsis_steps.plan.runs import Runs
from wsis_steps.plan.steps import STEPS

ROOT = Path(__file__).parents[3]
SHIPPED = [ROOT / "config.yaml", *sorted(ROOT.glob("tests/*.yaml"))]  # presets have tests of their own


def plain(**values) -> dict:
    return {"dataset": "shapes", "runs": {"one": {"system": "bestie"}}, **values}


def with_run(**values) -> dict:
    return plain(runs={"one": {"system": "bestie", **values}})


WRONG = {
    "an unknown key": (plain(datset="x"), "there is no key 'datset', the nearest is 'dataset'"),
    "no data set": ({"runs": {"one": {"system": "bestie"}}}, "'dataset' is missing"),
    "a data set that is a path": (plain(dataset="a/b"), "'dataset' is 'a/b' but"),
    "no runs": ({"dataset": "x"}, "'runs' is missing"),
    "empty runs": (plain(runs={}), "runs is empty"),
    "only dropped runs": (plain(runs={"one": None}), "runs is empty"),
    "a reserved name": (plain(runs={"shared": {"system": "bestie"}}), "'shared' is a reserved name"),
    "a name with a space": (plain(runs={"my run": {"system": "bestie"}}), "my run"),
    "no system": (plain(runs={"one": {}}), "'runs.one.system' is missing"),
    "an unknown system": (
        with_run(system="bestei"),
        "'runs.one.system': there is no system 'bestei', the nearest is 'bestie'",
    ),
    "an unknown key of a run": (with_run(sytem="bestie"), "there is no key 'runs.one.sytem', the nearest is 'system'"),
    "rounds below zero": (with_run(rounds=-1), "'runs.one.rounds' is -1 but should be greater than or equal to 0"),
    "no round of a system that needs one": (
        with_run(system="annotation_consistency", rounds=0),
        "annotation_consistency has at least one round, not 0",
    ),
    "neither a round nor a Mask R-CNN": (
        with_run(rounds=0, maskrcnn=False),
        "rounds: 0 leaves only a Mask R-CNN on the first labels",
    ),
    "a split that is no list": (
        plain(steps={"data_import_dataset": {"format": "yolo", "truth": "val"}}),
        "'truth' is 'val' but should be a list: [val]",
    ),
    "rounds that are a word": (with_run(rounds="two"), "'runs.one.rounds' is 'two' but should be a valid integer"),
    "supervision of a step": (
        with_run(steps={"bestie_label": {"supervision": "points"}}),
        "runs.one.steps.bestie_label: supervision belongs to the run",
    ),
    "unknown supervision": (with_run(supervision="masks"), "'runs.one.supervision' is 'masks' but should be 'tags'"),
    "supervision that a system cannot use": (
        with_run(supervision="boxes"),
        "bestie learns from tags or points, not from boxes; annotation_consistency can",
    ),
    "an unknown step": (
        plain(steps={"classifer_train": {}}),
        "Steps: there is no step 'classifer_train', the nearest is 'classifier_train'",
    ),
    "an unknown step of a run": (
        with_run(steps={"bestie_trian": {}}),
        "Runs.one.steps: there is no step 'bestie_trian', the nearest is 'bestie_train'",
    ),
    "an unknown setting": (
        plain(steps={"classifier_train": {"learn_rate": 1}}),
        "In steps.classifier_train: there is no key 'learn_rate', the nearest is 'learning_rate'",
    ),
    "an unknown setting of a run": (
        with_run(steps={"classifier_train": {"epoch": 1}}),
        "In runs.one.steps.classifier_train: there is no key 'epoch', the nearest is 'epochs'",
    ),
    "a setting out of range": (
        plain(steps={"classifier_find_peaks": {"min_value": 1.5}}),
        "'min_value' is 1.5 but should be less than or equal to 1",
    ),
    "a step that all runs share, in a run": (
        with_run(steps={"proposals_search_selectively": {"mode": "quality"}}),
        "runs.one.steps.proposals_search_selectively applies to all runs; set it under the top-level 'steps'",
    ),
    "an unknown backbone": (
        plain(steps={"classifier_train": {"backbone": "resnet"}}),
        "'backbone': there is no backbone 'resnet', the nearest is 'resnet50' (or a timm network",
    ),
    "a normalization of other weights for a network of timm": (
        plain(steps={"classifier_train": {"backbone": "timm/resnet18", "normalization": "half"}}),
        "In steps.classifier_train: normalization: half is not for timm/resnet18, whose "
        "normalization timm defines; set normalization: imagenet",
    ),
    "seeds that are one number": (plain(seeds=3), "'seeds' is 3 but"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_one_sentence_with_the_nearest_valid_value(case):
    values, words = WRONG[case]
    with pytest.raises(InputError) as caught:
        load(values)
    text = str(caught.value)
    assert words.lower() in text.lower(), text
    assert "\n" not in text and text.endswith(".") and text[0].isupper() and "pydantic" not in text


@pytest.mark.parametrize(
    "step", [step for step, kind in STEPS.items() if {"backbone", "normalization"} <= kind.model_fields.keys()]
)
def test_no_step_takes_a_network_of_timm_with_another_normalization(step):
    values = {"backbone": "timm/resnet18", "normalization": "half"}
    with pytest.raises(ValidationError, match="set normalization: imagenet"):
        STEPS[step].model_validate(values)
    STEPS[step].model_validate(values | {"normalization": "imagenet"})
    STEPS[step].model_validate(values | {"backbone": "resnet50_gn"})


NOW_CALLED = [
    ("annotation_consistency_sample", "least_share", "min_share"),
    ("annotation_consistency_sample", "pairwise_steps", "pairwise_iterations"),
    ("annotation_consistency_train_conditional", "pairwise_steps", "pairwise_iterations"),
    ("annotation_consistency_train_conditional", "turns", "rot90"),
    ("annotation_consistency_train_prediction", "minimal_score", "min_score"),
    ("bestie_infer", "threshold", "min_center"),
    ("bestie_infer", "cluster_value", "min_cluster_center"),
    ("bestie_train", "cluster_value", "min_cluster_center"),
    ("bestie_train", "refine_threshold", "min_refined_center"),
    ("bestie_train", "head_factor", "head_lr_factor"),
    ("classifier_find_peaks", "threshold", "min_value"),
    ("classifier_train", "head_factor", "head_lr_factor"),
    ("community_learning_train", "ignore_below", "min_seed_overlap"),
    ("community_learning_infer", "score_threshold", "min_score"),
    ("community_learning_train", "bias_factor", "bias_lr_factor"),
    ("community_learning_train", "foreground_share", "min_foreground_share"),
    ("community_learning_train", "offset_deviations", "offset_std"),
    ("learning_to_segment_train", "kernel_normalisation", "kernel_normalization"),
    ("learning_to_segment_train", "normalisation", "normalization"),
    ("learning_to_segment_train", "turns", "rot90"),
    ("maskrcnn_infer", "score_threshold", "min_score"),
    ("maskrcnn_train", "minimal_score", "min_score"),
    ("proposals_train_ranker", "smallest_segment", "min_segment"),
]


@pytest.mark.parametrize(("step", "old", "new"), NOW_CALLED)
def test_the_old_name_of_a_key_leads_to_the_new_one(step, old, new):
    with pytest.raises(InputError) as caught:
        load(plain(steps={step: {old: 1}}))
    assert str(caught.value) == f"In steps.{step}: '{old}' is now called '{new}'."


def test_every_new_name_is_a_key_and_no_old_one_is_where_it_was_renamed():
    named = {(old, new) for _, old, new in NOW_CALLED}
    assert named == {(old, new) for old, names in RENAMED.items() for new in names}
    for step in STEPS.values():
        assert not RENAMED.keys() & step.model_fields.keys()


def test_a_removed_key_is_to_be_left_out():
    step = "annotation_consistency_sample"
    with pytest.raises(InputError) as caught:
        load(plain(steps={step: {"pairwise_clip": False}}))
    assert (
        str(caught.value) == f"In steps.{step}: 'pairwise_clip' was removed: gains are no longer limited; leave it out."
    )
    for model in STEPS.values():
        assert not REMOVED.keys() & model.model_fields.keys()


def test_an_old_name_that_a_step_never_had_is_unknown():
    with pytest.raises(InputError, match=r"there is no key 'threshold', "):
        load(plain(steps={"bestie_label": {"threshold": 1}}))


def test_all_mistakes_are_told_at_once():
    with pytest.raises(InputError) as caught:
        load(plain(dataset="a/b", datset=1, runs={"one": {"system": "x"}}))
    assert all(word in str(caught.value) for word in ("'a/b'", "'datset'", "'x'"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configurations_are_valid(path):
    configuration = load(yaml.safe_load(path.read_text()))
    runs = Runs(configuration)
    for name in runs.runs:
        for step in runs.steps(name):
            assert runs.owner(name, step) in runs.runs
    # a step that no run takes would be a section that does nothing
    used = set().union(*(runs.steps(name) for name in runs.runs))
    others = {step for step in STEPS if step.split("_")[0] in ("data", "proposals", "evaluation", "report")}
    assert set(configuration.steps) <= used | others


def test_defaults_are_valid_in_every_step():
    for step in STEPS.values():
        assert step.model_validate_json(canonical(step().model_dump(mode="json"))) == step()


def test_several_seeds_repeat_every_run():
    runs = load(plain(seeds=[3, 5], runs={"a": {"system": "bestie"}, "b": {"system": "supervised"}})).runs
    assert {name: run.seed for name, run in runs.items()} == {"a_seed3": 3, "b_seed3": 3, "a_seed5": 5, "b_seed5": 5}
    assert runs["b_seed5"].system == "supervised"


def test_one_seed_is_that_of_the_runs_without_one():
    runs = load(plain(seeds=[3], runs={"a": {"system": "bestie"}, "b": {"system": "bestie", "seed": 7}})).runs
    assert {name: run.seed for name, run in runs.items()} == {"a": 3, "b": 7}


def test_nearest_names_what_is_near_and_lists_the_rest():
    assert nearest("bestei", ["bestie", "supervised"]) == "the nearest is 'bestie'"
    assert nearest("xyz", ["bestie", "supervised"]) == "valid: bestie, supervised"
    assert nearest("xyz", []) == "there is no valid value"


def test_canonical_text_is_equal_where_settings_are():
    assert canonical({"a": 1, "b": {"d": 2, "c": 3}}) == canonical({"b": {"c": 3, "d": 2}, "a": 1})
    assert re.fullmatch(r"\S+", canonical({"a": [1, 2], "b": None}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"runs": {"a": {"system": "bestie", "steps": {"evaluation_score_instances": {}}}}}, "top-level 'steps'"),
        ({"seeds": [1, 2], "runs": {"a": {"system": "bestie", "seed": 0}}}, "drop one of the two"),
        ({"steps": {"classifier_train": {"weights": "classifier"}}}, "cannot start from itself"),
    ],
)
def test_what_would_be_ignored_is_refused(change, said):
    with pytest.raises(InputError, match=said):
        load({"dataset": "x", "runs": {"a": {"system": "bestie"}}, **change})


def test_a_seed_of_zero_is_a_seed():
    runs = load(
        {"dataset": "x", "seeds": [7], "runs": {"a": {"system": "bestie", "seed": 0}, "b": {"system": "bestie"}}}
    )
    assert [run.seed for run in runs.runs.values()] == [0, 7]
