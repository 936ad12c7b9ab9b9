"""Which steps a run needs and in whose folder its results lie."""

import itertools
import json

import pytest
from PIL import Image

from wsis_steps.data.settings import DataImportDataset
from wsis_steps.data.watched import LISTS, watched_files, watched_lists
from wsis_steps.engine.errors import InputError
from wsis_steps.plan.config import load
from wsis_steps.plan.faults import check
from wsis_steps.plan.graph import Node, Product
from wsis_steps.plan.listing import figures, first, models, proposals, recommended, shown, stages, trainings
from wsis_steps.plan.runs import Runs
from wsis_steps.plan.systems import OWN_STAGES, STAGES

CLASSIFIER = {"classifier_train", "classifier_infer", "classifier_find_peaks"}


def runs(steps=None, **chosen) -> Runs:
    return Runs(load({"dataset": "d", "runs": chosen, "steps": steps or {}}))


def bestie(**values) -> dict:
    return {"system": "bestie", **values}


def owners(found: Runs, name: str) -> dict[str, str]:
    return {step: found.owner(name, step) for step in found.steps(name)}


def made(found: Runs, name: str, role: str, number: int | None = None) -> str:
    """Path of what a run makes in a role in a round, by default the last."""
    return found.path(name, found.graphs[name].written(role, number))


def test_a_run_needs_its_chain_of_steps():
    found = runs(a=bestie(), b={"system": "supervised"}, c=bestie(maskrcnn=False))
    chain = CLASSIFIER | {"postprocess_refine_with_crf", "bestie_label", "bestie_train", "bestie_infer"}
    assert found.steps("a") == chain | {"maskrcnn_train", "maskrcnn_infer"}
    assert found.steps("b") == {"maskrcnn_train", "maskrcnn_infer"}
    assert found.steps("c") == chain


def test_points_need_no_peaks_and_imported_maps_no_classifier():
    found = runs(a=bestie(supervision="points"), b=bestie(supervision="points", semantic="imported"))
    assert "classifier_find_peaks" not in found.steps("a") and "classifier_infer" in found.steps("a")
    assert not CLASSIFIER & found.steps("b") and "data_import_semantic" in found.steps("b")


def test_weights_of_the_classifier_need_it():
    found = runs({"maskrcnn_train": {"weights": "classifier"}}, a={"system": "supervised"})
    assert found.steps("a") == {"maskrcnn_train", "maskrcnn_infer", "classifier_train"}


BACKBONE = {"backbone": "timm/vit_small_patch14_dinov2", "weights": "dinov2.pth", "output_stride": "own"}


def frozen(**values) -> dict:
    return {"classifier_train": {**BACKBONE, "frozen": True, **values}}


def test_a_frozen_classifier_learns_from_features_and_makes_its_maps_of_them():
    found = runs(a=bestie(), b=bestie(steps=frozen()))
    assert "classifier_extract" not in found.steps("a")
    assert found.steps("b") == found.steps("a") | {"classifier_extract"}
    for step in ("classifier_train", "classifier_infer"):
        assert found.reads("a", step, "features") is None
        assert found.reads("b", step, "features") == "b/classifier/features.h5"
        assert (found.gpus("a", step), found.gpus("b", step)) == (1, 0)
    assert found.gpus("b", "classifier_extract") == found.gpus("b", "classifier_audit_tags") == 1


def test_features_are_made_with_the_settings_of_the_training_and_shared():
    more = frozen(l2_penalty=1.0, seed=3)
    found = runs(a=bestie(steps=frozen()), b=bestie(steps=more), c=bestie(steps=frozen(long_sides=[640])))
    values = found.values("c", "classifier_extract")
    assert {key: getattr(values, key) for key in BACKBONE} == BACKBONE and values.long_sides == (640,)
    assert [found.owner(run, "classifier_extract") for run in "abc"] == ["a", "a", "c"]
    assert found.owner("b", "classifier_train") == "b"
    check(found)


def test_features_of_another_backbone_than_the_training_s_are_told():
    found = runs(a=bestie(steps={**frozen(), "classifier_extract": {"backbone": "vgg16", "output_stride": "own"}}))
    with pytest.raises(InputError) as caught:
        check(found)
    name = BACKBONE["backbone"]
    assert str(caught.value) == f"Run a: backbone is {name} in classifier_train and vgg16 in classifier_extract."
    with pytest.raises(InputError, match="Run a sets classifier_extract, but its steps are"):
        check(runs(a=bestie(steps={"classifier_extract": {}})))


def test_a_stride_that_a_vision_transformer_cannot_have_is_told_before_anything_runs():
    for output_stride in (8, 16):
        with pytest.raises(InputError) as caught:
            check(runs(a=bestie(steps={"classifier_train": {**BACKBONE, "output_stride": output_stride}})))
        assert str(caught.value) == (
            f"Run a: output_stride of classifier_train is {output_stride}, which backbone "
            f"{BACKBONE['backbone']} cannot have; set output_stride: own, which is 14."
        )
    for values in (BACKBONE, {"backbone": "timm/vit_tiny_patch16_224", "output_stride": 16}, {"backbone": "vgg16"}):
        check(runs(a=bestie(steps={"classifier_train": values})))


REGIONS = {"semantic": "regions", "steps": {"bestie_label": {"instances": "regions"}}}


def test_regions_are_pooled_from_activation_or_from_learned_maps():
    found = runs(a=bestie(**REGIONS), b=bestie(**REGIONS, class_maps="learned"))
    assert found.steps("b") - found.steps("a") == {"classifier_extract", "classifier_learn_pixels"}
    for step in ("postprocess_pool_over_regions", "bestie_label"):
        assert found.reads("a", step, "maps") == "a/classifier/train.h5"
        assert found.reads("b", step, "maps") == "b/classifier/probabilities.h5"
    assert found.reads("b", "classifier_learn_pixels", "maps") == "a/classifier/train.h5"
    assert found.reads("a", "classifier_train", "features") is found.reads("b", "classifier_train", "features") is None
    check(found)


def test_features_that_only_pixels_read_may_be_others_than_the_classifier_has():
    steps = {**REGIONS["steps"], "classifier_extract": {"backbone": "vgg16", "long_sides": [480, 768]}}
    found = runs(a=bestie(semantic="regions", class_maps="learned", steps={**steps, "classifier_train": BACKBONE}))
    check(found)
    assert found.values("a", "classifier_extract").long_sides == (480, 768)


def test_a_frozen_classifier_and_its_pixels_share_features():
    found = runs(a=bestie(semantic="regions", class_maps="learned", steps=frozen()))
    assert found.reads("a", "classifier_learn_pixels", "features") == found.reads("a", "classifier_train", "features")


def test_learned_maps_that_nothing_reads_are_told():
    with pytest.raises(InputError) as caught:
        check(runs(a=bestie(class_maps="learned")))
    said = (
        "Run a has class_maps: learned, but none of its steps reads these maps; use steps that work on "
        "regions, for instance semantic: regions."
    )
    assert str(caught.value) == said


def test_the_semantic_network_is_a_system_and_a_source():
    network = {"learning_to_segment_train", "learning_to_segment_infer"}
    found = runs(
        a={"system": "learning_to_segment"},
        b=bestie(semantic="learning_to_segment", supervision="points"),
        c={"system": "supervised_semantic"},
    )
    assert found.steps("a") == found.steps("c") == network
    assert network < found.steps("b") and "classifier_infer" not in found.steps("b")
    assert owners(found, "b")["learning_to_segment_infer"] == "a" and owners(found, "c")[min(network)] == "c"
    assert found.values("b", "learning_to_segment_train").supervision == "tags"
    assert found.values("c", "learning_to_segment_train").supervision == "masks"


REPLACE = "postprocess_replace_with_proposals"
COMMUNITY = {"system": "community_learning"}
CONSISTENCY = {"system": "annotation_consistency"}


def test_community_learning_ends_in_proposals_for_its_masks_or_in_a_mask_rcnn():
    own = {"community_learning_train", "community_learning_infer"}
    found = runs(a=COMMUNITY, b={**COMMUNITY, "maskrcnn": True})
    assert found.steps("a") == own | {"postprocess_replace_with_proposals"}
    assert found.steps("b") == own | {"maskrcnn_train", "maskrcnn_infer"}
    assert {owners(found, "b")[step] for step in own} == {"a"} and found.reads(
        "b", "maskrcnn_train", "labels"
    ) == "a/labels/round00.h5"
    with_classifier = runs({"community_learning_train": {"weights": "classifier"}}, a=COMMUNITY)
    assert "classifier_train" in with_classifier.steps("a")


def test_proposals_of_a_run_are_those_that_its_steps_name():
    imported = {name: {"proposals": "imported"} for name in ("community_learning_train", REPLACE)}
    found = runs(a=COMMUNITY, b={**COMMUNITY, "steps": imported}, c={"system": "bestie"})
    assert [proposals(found, name) for name in "abc"] == [["selective_search", "mcg"], ["imported"], []]
    assert not [row for row in figures(found, ()) if row[2].startswith("proposals")]


def test_figures_of_community_learning():
    found = runs(a=COMMUNITY, b={**COMMUNITY, "maskrcnn": True})
    rows = [(run, stage, path.removeprefix("results/d/")) for run, _, stage, path in figures(found, ("train", "val"))]
    assert rows == [
        ("a", "proposals/selective_search", "shared/evaluation/proposals_selective_search.json"),
        ("a", "proposals/mcg", "shared/evaluation/proposals_mcg.json"),
        ("a", "labels/round00", "a/evaluation/labels_round00.json"),
        ("a", "predictions", "a/evaluation/predictions_direct.json"),
        ("a", "predictions_mcg", "a/evaluation/predictions_direct_mcg.json"),
        ("b", "proposals/selective_search", "shared/evaluation/proposals_selective_search.json"),
        ("b", "labels/round00", "a/evaluation/labels_round00.json"),
        ("b", "predictions_direct", "a/evaluation/predictions_direct.json"),
        ("b", "predictions", "b/evaluation/predictions_val.json"),
    ]
    names = [
        "community_learning/metrics.jsonl",
        "labels/round00.h5",
        "predictions/direct.h5",
        "predictions/direct_mcg.h5",
    ]
    assert [path.removeprefix("results/d/") for run, _, path in shown(found) if run == "a"] == [f"a/{n}" for n in names]


def test_an_ablation_of_the_masks_for_community_learning_replaces_its_own():
    found = runs(a=COMMUNITY, b={**COMMUNITY, "steps": {"postprocess_replace_with_proposals": {"min_overlap": 0.5}}})
    assert owners(found, "b")["community_learning_infer"] == "a"
    assert owners(found, "b")["postprocess_replace_with_proposals"] == "b"


def test_community_learning_has_one_round_and_learns_from_tags():
    with pytest.raises(InputError, match="community_learning has one round, not 2"):
        runs(a={**COMMUNITY, "rounds": 2})
    with pytest.raises(InputError, match="learns from tags, not from points; bestie and region_classifier can"):
        runs(a={**COMMUNITY, "supervision": "points"})


def test_figures_and_pictures_of_a_run_lie_where_they_are_computed():
    found = runs(
        a={"system": "learning_to_segment"}, b=bestie(semantic="learning_to_segment"), c={"system": "supervised"}
    )
    rows = [(run, stage, path.removeprefix("results/d/")) for run, _, stage, path in figures(found, ("train", "val"))]
    assert rows == [
        ("a", "semantic", "a/evaluation/semantic_val.json"),
        ("a", "semantic", "a/evaluation/semantic_train.json"),
        ("b", "semantic", "a/evaluation/semantic_train.json"),
        ("b", "labels/round00", "b/evaluation/labels_round00.json"),
        ("b", "labels/round01", "b/evaluation/labels_round01.json"),
        ("b", "predictions_direct", "b/evaluation/predictions_round01.json"),
        ("b", "predictions", "b/evaluation/predictions_val.json"),
        ("c", "predictions", "c/evaluation/predictions_val.json"),
    ]
    assert figures(found, ()) == []
    rows = [path.removeprefix("results/d/") for run, _, path in shown(found) if run in "ac"]
    assert rows == [
        *(f"a/{name}" for name in ("learning_to_segment/metrics.jsonl", "semantic/val.h5", "semantic/train.h5")),
        *(f"c/{name}" for name in ("maskrcnn/metrics.jsonl", "predictions/val.h5")),
    ]


@pytest.mark.parametrize(
    ("truth", "expected"),
    [(["train", "val"], {"val", "train"}), (["val"], {"val"}), ([], {"val", "train"})],
)
def test_maps_of_training_images_are_shown_where_they_are_scored_or_nothing_is(truth, expected):
    found = runs({"data_import_dataset": {"truth": truth}}, a={"system": "learning_to_segment"})
    assert {path.removesuffix(".h5") for _, stage, path in shown(found) if stage == "semantic"} == {
        f"results/d/a/semantic/{split}" for split in expected
    }
    bound = runs({"data_import_dataset": {"truth": ["train", "val"]}}, a={"system": "supervised_semantic"})
    assert [path for _, stage, path in shown(bound) if stage == "semantic"] == ["results/d/a/semantic/val.h5"]


def test_settings_are_global_ones_with_the_overrides_of_the_run():
    found = runs(
        {"classifier_train": {"epochs": 7, "seed": 1}, "bestie_label": {"min_area": 9}},
        a=bestie(seed=5, supervision="points", steps={"classifier_train": {"epochs": 8}}),
        b=bestie(seed=5),
    )
    assert found.values("a", "classifier_train").epochs == 8 and found.values("b", "classifier_train").epochs == 7
    assert found.values("shared", "classifier_train").epochs == 7
    assert found.values("a", "bestie_train").seed == 5 and found.values("a", "classifier_train").seed == 1
    assert found.values("a", "bestie_label").supervision == "points" and found.values("a", "bestie_label").min_area == 9
    assert '"supervision":"tags"' in found.settings("b", "bestie_infer")


def test_what_two_runs_configure_alike_lies_with_the_first():
    found = runs(a=bestie(), b=bestie(), c=bestie(steps={"bestie_label": {"min_area": 7}}))
    assert set(owners(found, "b").values()) == {"a"}
    shared = CLASSIFIER | {"postprocess_refine_with_crf"}
    for step, owner in owners(found, "c").items():
        assert owner == ("a" if step in shared else "c")


def test_all_that_follows_a_difference_differs():
    found = runs(a=bestie(), b=bestie(steps={"classifier_train": {"epochs": 1}}))
    assert set(owners(found, "b").values()) == {"b"}
    found = runs(a=bestie(), b=bestie(steps={"maskrcnn_infer": {"nms": 0.3}}))
    assert {step for step, owner in owners(found, "b").items() if owner == "b"} == {"maskrcnn_infer"}
    found = runs(a=bestie(), b=bestie(seed=1))
    assert found.owner("b", "classifier_train") == "b"


def test_a_setting_written_out_at_its_default_is_no_difference():
    found = runs(a=bestie(), b=bestie(steps={"classifier_train": {"epochs": 15}}))
    assert set(owners(found, "b").values()) == {"a"}


def test_a_global_setting_is_the_same_as_one_of_the_run():
    found = runs({"bestie_label": {"min_area": 7}}, a=bestie(), b=bestie(steps={"bestie_label": {"min_area": 7}}))
    assert set(owners(found, "b").values()) == {"a"}


def test_rounds_are_shared_as_far_as_both_have_them():
    found = runs(a=bestie(), b=bestie(rounds=3))
    paths = [made(found, "b", "labels", number) for number in range(4)]
    assert paths == ["a/labels/round00.h5", "a/labels/round01.h5", "b/labels/round02.h5", "b/labels/round03.h5"]
    # Mask R-CNN trains on the last labels, which are others
    assert found.owner("b", "maskrcnn_train") == "b" and found.owner("b", "bestie_label") == "a"


def test_without_a_round_a_mask_rcnn_learns_from_the_first_labels():
    found = runs(a=bestie(rounds=0), b=bestie())
    steps = found.graphs["a"].steps
    assert "bestie_label" in steps and not steps & {"bestie_train", "bestie_infer"}
    node = Node("maskrcnn_train")
    assert found.graphs["a"].reads(node)["labels"] == Product(Node("bestie_label", 0), "labels")
    assert found.graphs["b"].reads(node)["labels"] == Product(Node("bestie_infer", 1), "labels")


def test_more_rounds_come_from_the_first_run_that_has_them():
    found = runs(a=bestie(), b=bestie(rounds=2), c=bestie(rounds=2))
    assert made(found, "c", "labels", 1).startswith("a/") and made(found, "c", "labels", 2).startswith("b/")
    assert found.owner("c", "maskrcnn_infer") == "b"


def test_another_system_shares_only_what_is_the_same():
    weights = {"maskrcnn_train": {"weights": "classifier"}}
    found = runs(weights, a=bestie(), b={"system": "supervised"})
    assert found.owner("b", "classifier_train") == "a" and found.owner("b", "maskrcnn_train") == "b"


def test_points_share_the_classifier_and_the_maps_but_not_the_labels():
    found = runs(a=bestie(), b=bestie(supervision="points"))
    own = {step for step, owner in owners(found, "b").items() if owner == "b"}
    assert own == {"bestie_label", "bestie_train", "bestie_infer", "maskrcnn_train", "maskrcnn_infer"}


CHOICES = {
    "a": bestie(),
    "b": bestie(rounds=2),
    "c": bestie(supervision="points", maskrcnn=False),
    "d": bestie(steps={"bestie_train": {"refinement": False}}),
    "e": {"system": "supervised"},
    "f": bestie(seed=3),
}


@pytest.mark.parametrize("added", ["b", "d", "e", "f"])
def test_adding_a_run_moves_no_result_of_the_others(added):
    others = {name: run for name, run in CHOICES.items() if name != added}
    before, after = runs(**others), runs(**others, **{added: CHOICES[added]})
    for name in others:
        assert owners(before, name) == owners(after, name)
        for number in range(before.runs[name].rounds + 1):
            if before.runs[name].system == "bestie":
                assert made(before, name, "labels", number) == made(after, name, "labels", number)


def test_an_owner_computes_what_it_owns():
    for names in itertools.permutations("abcdf", 3):
        found = runs(**{name: CHOICES[name] for name in names})
        for name in names:
            for step, owner in owners(found, name).items():
                assert step in found.steps(owner) and found.settings(owner, step) == found.settings(name, step)
                assert names.index(owner) <= names.index(name)
                assert owner in found.owners(step).split("|")


def test_a_step_that_no_run_needs_has_no_owner():
    found = runs(b={"system": "supervised"})
    assert found.owners("bestie_train") == "no_run" and found.owners("maskrcnn_train") == "b"
    assert found.owner("shared", "data_import_dataset") == "shared"


def test_a_second_round_is_shared_only_where_the_first_was_segmented_alike():
    plain = {"system": "bestie", "rounds": 2}
    strict = {**plain, "steps": {"bestie_infer": {"min_center": 0.5}}}
    runs = Runs(load({"dataset": "x", "runs": {"a": plain, "b": strict}}))
    assert runs.owner("b", "bestie_train", 0) == "a"
    assert runs.owner("b", "bestie_train", 1) == "b"


def test_the_report_shows_what_a_run_makes_in_the_order_in_which_it_makes_it():
    found = runs(a=bestie(supervision="points"), b=bestie())
    stages = [stage for run, stage, _ in shown(found) if run == "b"]
    assert stages == ["classifier", "activation maps", "cues", "semantic", "labels/round00", "bestie/round00",
                      "labels/round01", "predictions_direct", "maskrcnn", "predictions"]  # fmt: skip
    assert [stage for run, stage, _ in shown(found) if run == "a"][:4] == [
        "points",
        "classifier",
        "activation maps",
        "semantic",
    ]


def test_what_a_stage_is_is_told_for_each_system_of_which_it_is_something_else():
    found = runs(a=bestie(), b=CONSISTENCY, c=bestie(maskrcnn=False), d=COMMUNITY)
    rows = [(about, systems) for stage, about, systems in stages(found) if stage == "labels/round00"]
    assert [systems for _, systems in rows] == ["bestie, community_learning", "annotation_consistency"]
    assert len({about for about, _ in rows}) == 2


def test_a_step_of_another_system_may_be_asked_for_by_name():
    found = runs(a=bestie())
    step = "postprocess_replace_with_proposals"
    assert found.reads("a", step, "proposals") == "shared/proposals/mcg.h5"
    assert found.located("a", "predictions/val.h5") == "a/predictions/val.h5"


def test_a_run_that_sets_a_step_it_lacks_is_refused():
    check(runs(a=bestie(steps={"bestie_train": {"iterations": 5}})))
    found = runs(a={"system": "supervised", "steps": {"bestie_train": {"iterations": 5}}})
    with pytest.raises(InputError, match=r"Run a sets bestie_train, but its steps are .*maskrcnn_train"):
        check(found)


def test_an_upper_bound_without_masks_is_refused():
    steps = {"data_import_dataset": {"format": "class_folders", "val_root": "voc", "truth": ["val"]}}
    check(runs(steps, a={"system": "learning_to_segment"}))
    for system in ("supervised", "supervised_semantic"):
        found = runs(steps, a={"system": system})
        with pytest.raises(InputError, match=r"Run a learns from the ground-truth masks .*truth is \[val\]"):
            check(found)


def test_points_that_a_folder_lacks_are_missed_before_any_training(tmp_path):
    steps = {"data_import_dataset": {"format": "folder", "root": str(tmp_path)}}
    found = runs(steps, a=bestie(supervision="points"))
    with pytest.raises(InputError, match=r"Run a is supervised by points, but .*points\.csv does not exist"):
        check(found)
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "tags.csv").write_text("a.png,x\n")
    check(runs(steps, a=bestie(), b={"system": "learning_to_segment"}))
    (tmp_path / "points.csv").write_text("a.png,1,2,x\n")
    check(found)


def test_a_table_is_refused_before_snakemake_deletes_the_last_import(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "tags.csv").write_text("b.png,x\n")
    steps = {"data_import_dataset": {"format": "folder", "root": str(tmp_path)}}
    with pytest.raises(InputError, match=r"no picture 'b\.png'"):
        check(runs(steps, a=bestie()))


def test_a_training_that_runs_share_is_told_once_with_what_differs_from_the_defaults():
    found = runs(
        {"bestie_train": {"iterations": 5}},
        a=bestie(),
        b=bestie(maskrcnn=False),
        c=bestie(steps={"bestie_train": {"sigma": 3.0}}),
    )
    rows = {(run, step): json.loads(settings) for run, _, step, settings in trainings(found)}
    assert set(rows) == {("a", "bestie_train"), ("a", "classifier_train"), ("a", "maskrcnn_train"),
                         ("c", "bestie_train"), ("c", "maskrcnn_train")}  # fmt: skip
    assert rows["a", "bestie_train"] == {"iterations": 5} and rows["c", "bestie_train"] == {"iterations": 5, "sigma": 3}


CONSISTENCY = {"system": "annotation_consistency"}


def of_consistency(*steps: str) -> set[str]:
    return {f"annotation_consistency_{step}" for step in steps}


def test_annotation_consistency_is_two_networks_in_turn():
    found = runs(a=CONSISTENCY, b={**CONSISTENCY, "rounds": 3}, c={**CONSISTENCY, "rounds": 2, "supervision": "boxes"})
    first = of_consistency("initialise", "sample", "train_prediction") | {"maskrcnn_infer"}
    assert found.steps("a") == first
    assert found.steps("b") == found.steps("c") == first | of_consistency("train_conditional")
    assert found.reads("a", "maskrcnn_infer", "model") == "a/annotation_consistency/round00/prediction.pt"
    assert found.reads("b", "maskrcnn_infer", "model") == "b/annotation_consistency/round02/prediction.pt"
    # more rounds redo nothing; boxes share the start only
    assert made(found, "b", "conditional", 0) == made(found, "c", "conditional", 0)
    assert made(found, "b", "detector", 0) == "a/annotation_consistency/round00/prediction.pt"
    assert made(found, "b", "conditional", 1) == "b/annotation_consistency/round01/conditional.pt"
    assert made(found, "c", "samples", 0) == "c/annotation_consistency/round00/samples.h5"
    steps = {"annotation_consistency_initialise": {"backbone": "small", "weights": "classifier"}}
    with_classifier = runs(steps, a=CONSISTENCY)
    assert "classifier_train" in with_classifier.steps("a")


def test_a_change_of_what_leads_to_the_next_round_leaves_the_first():
    changed = {"annotation_consistency_train_conditional": {"epsilon": -1}}
    found = runs(a={**CONSISTENCY, "rounds": 2}, b={**CONSISTENCY, "rounds": 2, "steps": changed})
    for role in ("conditional", "samples", "detector"):
        assert made(found, "b", role, 0).startswith("a/")
        assert made(found, "b", role, 1).startswith("b/")
    assert found.owner("b", "maskrcnn_infer") == "b"


def test_figures_and_results_of_annotation_consistency():
    found = runs(a={**CONSISTENCY, "rounds": 2})
    assert [stage for _, _, stage, _ in figures(found, ("train", "val"))] == [
        "proposals/mcg",
        "labels/round00",
        "labels/round01",
        "predictions",
    ]
    rows = [path.removeprefix("results/d/a/") for _, _, path in shown(found)]
    assert rows == [
        "annotation_consistency/round00/conditional.jsonl",
        "labels/round00.h5",
        "annotation_consistency/round00/prediction.jsonl",
        "annotation_consistency/round01/conditional.jsonl",
        "labels/round01.h5",
        "annotation_consistency/round01/prediction.jsonl",
        "predictions/val.h5",
    ]
    assert {step for _, _, step, _ in trainings(found)} == of_consistency(
        "initialise", "train_prediction", "train_conditional"
    )


def test_both_users_of_a_score_have_the_same():
    steps = {"annotation_consistency_sample": {"pairwise": False}}
    check(runs(steps, a=CONSISTENCY))  # one round: only one of them runs
    with pytest.raises(InputError, match="pairwise is False in annotation_consistency_sample and True in"):
        check(runs(steps, a={**CONSISTENCY, "rounds": 2}))


def test_supervision_that_a_system_cannot_use_is_refused():
    with pytest.raises(InputError, match="learns from tags or boxes, not from points"):
        runs(a={**CONSISTENCY, "supervision": "points"})
    with pytest.raises(InputError, match="ends in a Mask R-CNN of its own"):
        runs(a={**CONSISTENCY, "maskrcnn": True})
    with pytest.raises(InputError, match="learns from tags, not from boxes; annotation_consistency can"):
        runs(a={"system": "community_learning", "supervision": "boxes"})


def test_boxes_of_a_folder_have_a_file(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "tags.csv").write_text("a.png,x\n")
    data = {"data_import_dataset": {"format": "folder", "root": str(tmp_path), "val_share": 0}}
    with pytest.raises(InputError, match="supervised by boxes, but .*boxes.csv does not exist"):
        check(runs(data, a={**CONSISTENCY, "supervision": "boxes"}))


def test_corrections_lead_to_what_follows_and_nowhere_else(tmp_path):
    file = tmp_path / "corrected.json"
    file.touch()
    corrected = {0: str(file), 1: str(file)}
    found = runs(a=bestie(rounds=2), b=bestie(rounds=2, corrections={1: str(file)}), c=bestie(corrections=corrected))
    check(found)
    learnt = [found.reads("b", "bestie_train", "labels", number) for number in (0, 1)]
    assert learnt == ["a/labels/round00.h5", "b/labels/round01_corrected.h5"]
    assert found.reads("b", "maskrcnn_train", "labels") == "b/labels/round02.h5"
    assert [made(found, name, "labels", 1) for name in "abc"] == [f"{name}/labels/round01.h5" for name in "aac"]
    assert (
        found.reads("b", "bestie_infer", "model", 1) == "a/bestie/round00/model.pt"
        and found.reads("b", "bestie_infer", "model", 2) == "b/bestie/round01/model.pt"
    )
    assert (
        made(found, "c", "labels", 0) == "a/labels/round00.h5"
        and found.reads("c", "bestie_infer", "model", 1) == "c/bestie/round00/model.pt"
    )
    assert [found.reads(name, "maskrcnn_infer", "model") for name in "abc"] == [
        f"{name}/maskrcnn/model.pt" for name in "abc"
    ]
    assert ("b", "labels/round01_corrected", "results/d/b/labels/round01_corrected.h5") in shown(found)
    stages = [(run, stage) for run, _, stage, _ in figures(found, ("train",)) if stage.endswith("corrected")]
    assert stages == [("b", "labels/round01_corrected"), *(("c", f"labels/round0{n}_corrected") for n in (0, 1))]


@pytest.mark.parametrize(
    "run, words",
    [
        (bestie(corrections={2: "x"}), "round 2; this run trains on round 0 to 1"),
        (bestie(maskrcnn=False, corrections={1: "x"}), "round 1; this run trains on round 0"),
        ({**COMMUNITY, "corrections": {0: "x"}}, "nothing in this run trains on labels"),
        (
            {"system": "annotation_consistency", "corrections": {0: "x"}},
            "nothing in this run trains on labels",
        ),
        ({**CONSISTENCY, "rounds": 2, "corrections": {0: "x"}}, "nothing in this run trains on labels"),
        ({**COMMUNITY, "maskrcnn": True, "corrections": {0: "absent.xml"}}, "absent.xml does not exist"),
    ],
)
def test_corrections_that_nothing_would_learn_are_refused(run, words):
    with pytest.raises(InputError, match=words):
        check(runs(a=run))


def test_labels_are_compared_with_those_of_the_round_before_as_they_were_made():
    found = runs(a=bestie(rounds=2), b=bestie(rounds=2, corrections={1: "x"}), c={**CONSISTENCY, "rounds": 2})
    assert found.reads("b", "bestie_train", "labels", 1) == "b/labels/round01_corrected.h5"
    assert [found.reads("b", "bestie_infer", "before", n) for n in (1, 2)] == [f"a/labels/round0{n}.h5" for n in (0, 1)]
    compared = [found.reads("c", "annotation_consistency_sample", "before", n) for n in (0, 1)]
    assert compared == [None, "c/labels/round00.h5"]


def test_a_first_look_needs_no_training_but_the_classifiers():
    found = runs(
        a=bestie(),
        b=bestie(supervision="points"),
        c=bestie(semantic="learning_to_segment"),
        d={"system": "learning_to_segment"},
        e=CONSISTENCY,
        f=COMMUNITY,
        g={"system": "supervised"},
    )
    rows = {}
    for run, stage, path in first(found):
        rows.setdefault(run, []).append((stage, path.removeprefix("results/d/")))
    of_a = [
        ("activation maps", "a/classifier/train.h5"),
        ("cues", "a/classifier/peaks.h5"),
        ("semantic", "a/semantic/train.h5"),
        ("labels/round00", "a/labels/round00.h5"),
    ]
    assert sorted(rows["a"]) == sorted(of_a) and sorted(rows["c"]) == sorted(of_a[:2])
    points = [("points", "shared/data/images.h5"), of_a[0], of_a[2], ("labels/round00", "b/labels/round00.h5")]
    assert sorted(rows["b"]) == sorted(points)
    assert rows.keys() == {"a", "b", "c"}


def test_tags_are_audited_once_a_classifier():
    chosen = {
        "a": bestie(),
        "b": bestie(rounds=2),
        "c": bestie(steps={"classifier_train": {"alpha": 0.1}}),
        "d": COMMUNITY,
    }
    found = runs({"data_import_dataset": {"format": "folder", "root": "x"}}, **chosen)
    assert found.audits() == [
        (run, f"{owner}/classifier/tag_audit.json") for run, owner in zip("abc", "aac", strict=True)
    ]
    assert runs(**chosen).audits() == []  # of generated pictures, whose tags are right


def test_files_of_labelme_are_watched_where_they_are_what_is_imported(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/1.json", "2.json", "3.txt"):
        (tmp_path / name).touch()
    data = {"format": "drawn", "root": str(tmp_path)}
    watched = watched_files(DataImportDataset(**data))
    assert watched == [str(tmp_path / name) for name in ("2.json", "3.txt", "b/1.json")]
    assert watched_files(DataImportDataset(format="labelme", root=str(tmp_path))) == [watched[0], watched[2]]
    assert watched_files(DataImportDataset(**data, annotations="x.xml")) == []
    assert watched_files(DataImportDataset(format="folder", root=str(tmp_path))) == []


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("folder", "points.csv"),
        ("coco", "x.json"),
        ("coco", "instances_default.json"),
        ("coco", "annotations/instances_train.json"),
        ("coco", "train/_annotations.coco.json"),
        ("yolo", "leaves.yaml"),
        ("voc", "ImageSets/Main/train.txt"),
        ("cvat_masks", "ImageSets/Segmentation/default.txt"),
        ("cvat", "annotations.xml"),
        ("label_studio", "project-1.json"),
        ("labelimg", "ImageSets/Main/test.txt"),
    ],
)
def test_the_annotations_are_watched_wherever_their_layout_has_them(name, file, tmp_path):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    for settings in (DataImportDataset(format=name, root=tmp_path), DataImportDataset(format="drawn", root=tmp_path)):
        assert watched_lists(settings, "") == [str(tmp_path / file)]
    many = [(tmp_path / file).with_name(f"dog_{k}{(tmp_path / file).suffix}") for k in range(30)]  # of classes, or else
    for path in many:
        path.touch()
    assert len(watched_lists(DataImportDataset(format=name, root=tmp_path), "")) <= 20


def test_every_format_says_what_is_watched():
    from wsis_steps.formats.table import FORMATS

    assert LISTS.keys() == FORMATS.keys()


@pytest.mark.parametrize(
    ("wanted", "batch", "accumulation", "gpus"),
    [(1, 16, 1, 1), (4, 16, 1, 4), (4, 5, 1, 1), (4, 6, 1, 3), (8, 6, 2, 3), (8, 2, 2, 1), (0, 16, 1, 0)],
)
def test_a_training_uses_as_many_gpus_as_share_its_batches_evenly(wanted, batch, accumulation, gpus):
    steps = {"community_learning_train": {"batch_size": batch, "accumulation": accumulation}}
    runs = {"one": {"system": "community_learning"}}
    found = Runs(load({"dataset": "toy", "gpus_per_job": wanted, "runs": runs, "steps": steps}))
    assert found.gpus("one", "community_learning_train") == gpus
    assert found.gpus("one", "community_learning_infer") == wanted


def test_the_legend_tells_of_every_picture_and_figure_of_every_system():
    shows = [show for stage in (*STAGES.values(), *OWN_STAGES.values()) for show in stage.shows]
    assert [show.stage for show in shows if not show.about and show.role != "metrics"] == []


def test_a_recommended_score_lies_beside_the_model_in_the_folder_of_the_run_that_predicts():
    found = runs(
        one=bestie(),
        same=bestie(),
        crf=bestie(steps={"maskrcnn_infer": {"crf_iterations": 3}}),  # shares the model of `one`
        own={"system": "annotation_consistency", "rounds": 3},
        none=bestie(maskrcnn=False),
    )
    assert recommended(found) == [
        ("one", "predictions", "results/d/one/maskrcnn/model.json"),
        ("same", "predictions", "results/d/one/maskrcnn/model.json"),
        ("crf", "predictions", "results/d/crf/maskrcnn/model.json"),
        ("own", "predictions", "results/d/own/annotation_consistency/round02/prediction.json"),
    ]
    assert models(found) == [("annotation_consistency/round02", "prediction"), ("maskrcnn", "model")]
    assert recommended(runs(none=bestie(maskrcnn=False))) == [] == models(runs(none=bestie(maskrcnn=False)))
