"""The presets are valid, hold what they promise, and those that are laid over another file cannot drift from it."""

from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from wsis_steps.plan.config import load
from wsis_steps.plan.faults import check
from wsis_steps.plan.listing import figures
from wsis_steps.plan.runs import Runs
from wsis_steps.plan.steps import STEPS
from wsis_steps.plan.systems import published

ROOT = Path(__file__).parents[3]
PRESETS = ROOT / "workflow/presets"


def _load(*paths: Path):
    merged: dict = {}
    for path in paths:  # as Snakemake merges several files after --configfile
        update_config(merged, yaml.safe_load(path.read_text()))
    return load(merged)


LAID_OVER = {
    "voc2012_ablations": PRESETS / "voc2012.yaml",
    "voc2012_imagenet": PRESETS / "voc2012.yaml",
    "shapes_ablations": ROOT / "config.yaml",
    "shapes_annotation_consistency": ROOT / "config.yaml",
    "shapes_community_learning": ROOT / "config.yaml",
}


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_preset_gives_every_run_its_steps(path):
    below = [LAID_OVER[path.stem]] if path.stem in LAID_OVER else []
    runs = Runs(_load(*below, path))
    for run in runs.runs:
        assert {step for step in runs.steps(run) if runs.settings(run, step)}


def test_voc2012_has_the_papers_values_which_are_the_defaults():
    configuration = _load(PRESETS / "voc2012.yaml")
    for step, values in configuration.steps.items():
        if step.startswith("data_"):
            continue
        default = STEPS[step]().model_dump(mode="json")
        given = STEPS[step].model_validate(values).model_dump(mode="json")
        assert _close(given, default), step


def _close(a, b) -> bool:
    """Equal, but for the last digits of fractions."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_close(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_close, a, b))
    return a == pytest.approx(b, rel=1e-6) if isinstance(a, float) else a == b


def test_voc2012_and_its_ablations_have_the_names_under_which_the_papers_figures_stand():
    runs = set(_load(PRESETS / "voc2012.yaml", PRESETS / "voc2012_ablations.yaml").runs)
    bestie = {run for run, *_ in published("voc2012") if run.startswith(("bestie", "superv"))}
    assert bestie <= runs


def test_voc2012_has_the_ablations_of_annotation_consistency_that_shapes_have():
    """The same runs, each with the same terms and diversities left out."""
    name, switches = "annotation_consistency", ("pairwise", "higher_order", "self_diversity")
    found = []
    for below, preset in (("voc2012", "voc2012_ablations"), ("", "shapes_annotation_consistency")):
        path = PRESETS / f"{below}.yaml" if below else ROOT / "config.yaml"
        runs = Runs(_load(path, PRESETS / f"{preset}.yaml"))
        found.append({})
        for run in sorted(run for run in runs.runs if run.startswith(name) and not run.endswith(("_seed1", "_seed2"))):
            steps = {step: runs.values(run, step) for step in runs.steps(run) if step.startswith(name)}
            found[-1][run.removesuffix("_seed0")] = {
                (step, switch): getattr(values, switch)
                for step, values in steps.items()
                for switch in switches
                if hasattr(values, switch)
            }
    voc, shapes = found
    assert voc.pop(f"{name}_boxes_resnet") == voc[f"{name}_boxes"]
    assert voc == shapes and len(voc) == 8
    assert sum(all(values.values()) for values in voc.values()) == 3  # the system, with boxes, with a ResNet


def test_coco_has_annotation_consistency_from_tags_and_boxes():
    runs = Runs(_load(PRESETS / "coco2017.yaml"))
    assert {"annotation_consistency", "annotation_consistency_boxes"} <= set(runs.runs)
    check(runs)


def test_an_ablation_shares_what_it_has_in_common():
    runs = Runs(_load(PRESETS / "voc2012.yaml", PRESETS / "voc2012_ablations.yaml"))
    assert runs.owner("bestie_no_iag", "bestie_label") == "bestie"
    assert runs.owner("bestie_no_iag", "bestie_train", 0) == "bestie_no_iag"
    assert runs.owner("bestie_alpha07", "classifier_train") == "bestie_alpha07"
    assert runs.owner("bestie_points", "classifier_train") == "bestie"


def test_shapes_ablations_are_config_yaml_with_other_runs():
    below, found = _load(ROOT / "config.yaml"), _load(LAID_OVER["shapes_ablations"], PRESETS / "shapes_ablations.yaml")
    shorter = {**below.steps, "bestie_train": {**below.steps["bestie_train"], "iterations": 600}}
    assert found.steps == shorter
    names = ["bestie", "cam", "no_iag", "no_refinement", "class_agnostic_centers", "points"]
    runs = {name if name == "bestie" else f"bestie_{name}" for name in [*names, "learning_to_segment"]}
    parts = ["no_neighbours", "lambda1", "weighted", "no_prior"]
    runs |= {"learning_to_segment", "supervised_semantic", *(f"learning_to_segment_{part}" for part in parts)}
    assert set(found.runs) == {f"{run}_seed{seed}" for run in runs for seed in range(3)}
    assert not any(run.maskrcnn for run in found.runs.values() if run.system == "bestie")


def test_parts_of_community_learning_are_config_yaml_with_other_runs():
    preset = PRESETS / "shapes_community_learning.yaml"
    below, found = _load(ROOT / "config.yaml"), _load(LAID_OVER[preset.stem], preset)
    assert found.steps == below.steps
    assert all(run.system == "community_learning" for run in found.runs.values())
    own = {
        name for name in yaml.safe_load((PRESETS / "voc2012_ablations.yaml").read_text())["runs"] if "community" in name
    }
    assert {name.removesuffix("_seed0") for name in found.runs if name.endswith("seed0")} == own | {
        "community_learning"
    }


def test_imagenet_pictures_are_evaluated_on_voc_by_masks_of_val_only():
    found = Runs(_load(LAID_OVER["voc2012_imagenet"], PRESETS / "voc2012_imagenet.yaml"))
    truth = found.values("shared", "data_import_dataset").truth
    assert set(found.runs) == {"learning_to_segment"} and truth == ("val",)
    assert [stage for _, _, stage, _ in figures(found, truth)] == ["semantic"]


def test_a_run_that_is_null_is_left_out():
    run = {"system": "bestie"}
    assert set(load({"dataset": "x", "runs": {"a": run, "b": None}}).runs) == {"a"}


def test_ablations_of_annotation_consistency_share_what_they_have_in_common():
    runs = Runs(_load(LAID_OVER["shapes_annotation_consistency"], PRESETS / "shapes_annotation_consistency.yaml"))
    check(runs)
    name = "annotation_consistency"
    assert {run.removesuffix("_seed0") for run in runs.runs if run.endswith("_seed0")} == {
        "supervised",
        name,
        *(f"{name}_{part}" for part in ("resnet", "boxes", "unary", "pairwise")),
        *(f"{name}_no_{part}diversity" for part in ("prediction_", "conditional_", "")),
    }
    first = f"{name}_seed1"
    assert runs.owner(f"{name}_unary_seed1", f"{name}_initialise") == first
    assert runs.owner(f"{name}_resnet_seed1", f"{name}_initialise") == f"{name}_resnet_seed1"
    assert runs.owner(f"{name}_no_conditional_diversity_seed1", f"{name}_train_prediction", 0) == first
    assert runs.owner(f"{name}_no_conditional_diversity_seed1", f"{name}_train_prediction", 1) != first
    assert runs.owner(f"{name}_no_prediction_diversity_seed1", f"{name}_sample", 0) == first
    for part in ("unary", "pairwise", "no_prediction_diversity", "no_conditional_diversity", "no_diversity", "boxes"):
        assert runs.owner(f"{name}_{part}_seed1", f"{name}_initialise") == first
        for step in ("train_prediction", "train_conditional"):  # the same initial weights, order and noise
            assert runs.values(f"{name}_{part}_seed1", f"{name}_{step}").seed == 1
