"""The presets are valid, hold what they promise, and those that are laid over another file cannot drift from it."""

import pytest
from presets import NAMES, merged, preset

from wsis_steps.evaluation.text_table import base_name
from wsis_steps.plan.config import load
from wsis_steps.plan.faults import check
from wsis_steps.plan.listing import figures
from wsis_steps.plan.runs import Runs
from wsis_steps.plan.steps import STEPS
from wsis_steps.plan.systems import published


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_gives_every_run_its_steps(name):
    runs = Runs(preset(name))
    for run in runs.runs:
        assert {step for step in runs.steps(run) if runs.settings(run, step)}


def test_voc2012_has_the_papers_values_which_are_the_defaults():
    configuration = preset("voc2012")
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
    return a == pytest.approx(b, rel=1e-6) if isinstance(b, float) else a == b


def test_voc2012_and_its_ablations_have_the_names_under_which_the_papers_figures_stand():
    runs = set(preset("voc2012_ablations").runs)
    bestie = {run for run, *_ in published("voc2012") if run.startswith(("bestie", "superv"))}
    assert bestie <= runs


def test_voc2012_has_the_ablations_of_annotation_consistency_that_shapes_have():
    """The same runs, each with the same terms and diversities left out."""
    name, switches = "annotation_consistency", ("pairwise", "higher_order", "self_diversity")
    found = []
    for ablations in ("voc2012_ablations", "shapes_ablations"):
        runs = Runs(preset(ablations))
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


@pytest.mark.parametrize("name", NAMES)
def test_every_box_is_an_object_and_labels_from_tags_weigh_by_their_scores(name):
    runs, step = Runs(preset(name)), "annotation_consistency_train_prediction"
    for run in (run for run in runs.runs if step in runs.steps(run)):
        values = runs.values(run, step)
        boxes = runs.runs[run].supervision == "boxes"
        assert (values.use_scores, values.min_score) == ((False, 0) if boxes else (True, 0.05)), run
        assert STEPS[step].model_validate_json(runs.settings(run, step)) == values  # what the job is told


def test_a_configuration_may_weigh_boxes_by_their_scores():
    step = "annotation_consistency_train_prediction"
    run = {"system": "annotation_consistency", "supervision": "boxes", "steps": {step: {"use_scores": True}}}
    values = Runs(load({"dataset": "x", "runs": {"a": run}})).values("a", step)
    assert (values.use_scores, values.min_score) == (True, 0)


def test_coco_has_annotation_consistency_from_tags_and_boxes():
    runs = Runs(preset("coco2017"))
    assert {"annotation_consistency", "annotation_consistency_boxes"} <= set(runs.runs)
    check(runs)


def test_an_ablation_shares_what_it_has_in_common():
    runs = Runs(preset("voc2012_ablations"))
    assert runs.owner("bestie_no_iag", "bestie_label") == "bestie"
    assert runs.owner("bestie_no_iag", "bestie_train", 0) == "bestie_no_iag"
    assert runs.owner("bestie_alpha07", "classifier_train") == "bestie_alpha07"
    assert runs.owner("bestie_points", "classifier_train") == "bestie"


def test_ablations_of_the_classifier_keep_the_semantic_maps_and_the_initial_weights():
    voc = Runs(preset("voc2012_ablations"))
    changed = [
        run for run in voc.runs if voc.runs[run].system == "bestie" and "classifier_train" in voc.runs[run].steps
    ]
    assert len(changed) == 3 + 7  # tables 2 and 3
    shapes = Runs(preset("shapes_ablations"))
    for runs, name, seeds in ((voc, changed, [""]), (shapes, ["bestie_cam"], ["_seed0", "_seed2"])):
        for run, seed in ((run, seed) for run in name for seed in seeds):
            check(runs)
            assert runs.owner(f"{run}{seed}", "classifier_find_peaks") == f"{run}{seed}"
            assert runs.reads(f"{run}{seed}", "bestie_train", "semantic") == f"bestie{seed}/semantic/train.h5"
            pretrained = runs.reads(f"{run}{seed}", "bestie_train", "pretrained")
            assert pretrained == (None if runs is voc else f"bestie{seed}/classifier/model.pt")


def test_voc2012_has_the_papers_thresholds_of_cues():
    runs = Runs(preset("voc2012_ablations"))
    for run, value in (("bestie_cues03", 0.3), ("bestie", 0.5), ("bestie_cues07", 0.7)):
        assert runs.values(run, "classifier_find_peaks").min_value == value
        assert runs.owner(run, "classifier_infer") == "bestie" and runs.owner(run, "bestie_label") == run


def test_shapes_ablations_are_config_yaml_with_other_runs_and_shorter_trainings():
    below, found = load(merged("config")), preset("shapes_ablations")
    changed = {}
    for step in found.steps:
        before = below.steps.get(step, {})
        changed[step] = {key: value for key, value in found.steps[step].items() if before.get(key) != value}
    shorter = {step for step, values in changed.items() if set(values) == {"iterations"}}
    assert all(changed[step]["iterations"] < below.steps[step]["iterations"] for step in shorter)
    others = {step: values for step, values in changed.items() if values and step not in shorter}
    assert others == {
        "community_learning_infer": {"flip": False, "crf_iterations": 0},
        "maskrcnn_infer": {"crf_iterations": 0},
        "report_render_report": {"images": 60},
    }
    assert {step.split("_")[0] for step in shorter} == {"bestie", "learning", "annotation", "community"}
    assert {base_name(run) for run in found.runs} & {"supervised", "supervised_semantic"} == set()
    assert not any(run.retrains for run in found.runs.values())
    check(Runs(found))


@pytest.mark.parametrize("name", ["shapes_ablations", "voc2012_ablations"])
def test_every_ablation_names_what_it_is_compared_with(name):
    runs = preset(name).runs
    ablations = {
        run for run in runs if any(run.startswith(f"{one}_") and runs[one].system == runs[run].system for one in runs)
    }
    beside = {"bestie_points", "annotation_consistency_boxes", "community_learning_maskrcnn"}  # of voc2012.yaml
    assert {run for run in ablations if runs[run].against is None} <= (beside if name.startswith("voc") else set())
    for run, values in runs.items():
        assert values.against is None or runs[values.against].system == values.system, run


def test_parts_of_community_learning_on_shapes_are_those_of_the_paper():
    found = {
        name: {run for run in preset(name).runs if "community" in run}
        for name in ("shapes_ablations", "voc2012_ablations")
    }
    own = {base_name(run) for run in found["shapes_ablations"]}
    assert own == found["voc2012_ablations"] - {"community_learning_maskrcnn"}


def test_all_systems_of_the_ablations_share_the_data_and_the_classifier_of_a_seed():
    runs = Runs(preset("shapes_ablations"))
    trained = {(runs.owner(run, "classifier_train"), seed) for run, seed in ((r, r[-1]) for r in runs.runs)}
    assert trained == {(f"bestie{part}_seed{seed}", str(seed)) for part in ("", "_cam") for seed in range(3)}


def test_training_images_are_evaluated_on_where_a_paper_does():
    found = Runs(preset("voc2012_train"))
    data = found.values("shared", "data_import_dataset")
    assert (data.train_list, data.val_list, data.images_in_both) == ("trainaug", "train", True)
    assert set(found.runs) == {"community_learning"}


def test_imagenet_pictures_are_evaluated_on_voc_by_masks_of_val_only():
    found = Runs(preset("voc2012_imagenet"))
    truth = found.values("shared", "data_import_dataset").truth
    assert set(found.runs) == {"learning_to_segment"} and truth == ("val",)
    assert [stage for _, _, stage, _ in figures(found, truth)] == ["semantic"]


@pytest.mark.parametrize("above", [[], ["voc2012_imagenet"]])
def test_the_sweep_of_learning_to_segment_goes_from_0_to_1_with_either_mean(above):
    names = ["voc2012", *above, "voc2012_learning_to_segment"]
    runs = Runs(load(merged(*names)))
    check(runs)
    values = [runs.values(run, "learning_to_segment_train") for run in runs.runs if "learning_to_segment" in run]
    for mean in ("exponentiated", "weighted"):
        swept = sorted({one.neighbourhood_weight for one in values if one.mean == mean})
        assert swept == ([0] if mean == "exponentiated" else []) + [0.1, 0.3, 0.5, 0.7, 1]  # at 0 no mean is taken
    assert {one.kernel_reading for one in values} == {"nips2011", "later"}
    printed = {run for run, stage, _ in published(runs.configuration.dataset) if stage == "semantic"}
    weighted = {"learning_to_segment_weighted"} if above else set()  # 50.7 is of a training on ImageNet pictures
    assert printed == {"learning_to_segment"} | weighted and printed <= set(runs.runs)


def test_a_run_that_is_null_is_left_out():
    run = {"system": "bestie"}
    assert set(load({"dataset": "x", "runs": {"a": run, "b": None}}).runs) == {"a"}


def test_ablations_of_annotation_consistency_share_what_they_have_in_common():
    runs = Runs(preset("shapes_ablations"))
    name = "annotation_consistency"
    assert {base_name(run) for run in runs.runs if run.startswith(name)} == {
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
