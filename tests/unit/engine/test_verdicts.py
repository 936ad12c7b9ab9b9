"""Verdicts on planted counts: silence where all is well, a word and a value to try where it is not."""

import json

import pytest
from artifacts import edited, nothing, provenance, squares, write_images
from hypothesis import given
from hypothesis import strategies as st

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.provenance import Provenance
from wsis_steps.engine.remedies import TRIALS, find_trial
from wsis_steps.engine.verdicts import figures, judge, read_counts, verdicts_of
from wsis_steps.plan.steps import STEPS
from wsis_steps.vision.contracts.instances import Instances, write_instances
from wsis_steps.vision.samples import check_instances

# What a new user's 120 photographs gave, and the settings of own_images_cpu.yaml that they were made with.
PEAKS, LABEL = ("classifier_find_peaks", {"min_value": 0.3, "kernel": 15}), ("bestie_label", {"min_area": 50})
CRF = ("postprocess_refine_with_crf", {"foreground": 0.2, "background": 0.1})
INFER = ("bestie_infer", {"min_center": 0.1, "min_area": 50})
TRAIN = ("bestie_train", {"iterations": 400})
CUES = {"images": 120, "tagged": 180, "with_cue": 180, "cues": 2206}
OBJECTS = 120 * 100 * 20  # pixels: a fifth of pictures of 100
MAPS = {"images": 120, "expected": 120, "without_class": 0, "filled": 12, "unsure": 0}
MAPS |= {"class": OBJECTS + int(0.58 * 4 * OBJECTS), "background": 4 * OBJECTS - int(0.58 * 4 * OBJECTS)}
FEW, FOUND = {**MAPS, "class": 10**5}, {"images": 24, "expected": 24}
COMPONENTS = {"accepted": 48, "ambiguous": 160, "empty": 60, "small": 20}
CAUSES = {"crowded": 60, "uncued": 18, "undersized": 2, "bare": 3}
LABELS = {"images": 120, "expected": 120, "without": 83, "labels": 48, **COMPONENTS, **CAUSES}
ROUND = {"images": 120, "expected": 120, "without": 0, "labels": 27 * 120, "before": 48, "again": 40}
DOUBTFUL = [
    (
        (PEAKS,), CUES, "cues of a tag", "2,206 cues in 120 images are 12.3 per tag",
        "classifier_find_peaks.min_value", 0.45,
    ),
    (
        (CRF,), MAPS, "share of classes", "66 % of the semantic maps of tagged images is a class",
        "postprocess_refine_with_crf.foreground", 0.3,
    ),
    (
        (LABEL, CRF, PEAKS), LABELS, "pictures without a label",
        "83 of 120 tagged images (69 %) have no label; in 60 of them a component of the semantic map contains several",
        "classifier_find_peaks.min_value", 0.45,
    ),
    (
        (LABEL, CRF, PEAKS), LABELS, "components with several cues", "160 of 268 components contain several cues",
        "classifier_find_peaks.min_value", 0.45,
    ),
    (
        (INFER, TRAIN), ROUND, "labels a picture", "27.0 labels per image, where the previous round had 0.4",
        "bestie_infer.min_center", 0.3,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("made", "counts", "figure", "says", "setting", "value"), DOUBTFUL)
def test_what_a_new_user_met_is_told_with_a_value_to_try(made, counts, figure, says, setting, value):
    (verdict,) = [one for one in judge(made, counts) if one.figure == figure]
    assert says in verdict.says and verdict.says.endswith(".")
    assert (verdict.trial.setting, verdict.trial.value) == (setting, value)
    step, key = setting.split(".")
    assert f"Try {step}: {{{key}: {value}}} (now {dict(made)[step][key]})." in verdict.sentence()
    assert key in STEPS[step].model_fields


SOUND = [  # seed 0 of config.yaml: 480 pictures
    {"images": 480, "tagged": 736, "with_cue": 736, "cues": 1332},
    {"images": 480, "expected": 480, "without_class": 2, "filled": 0, "background": 675, "class": 127, "unsure": 198},
    # small objects, and a picture in twenty that has any: nothing is missed
    {"images": 480, "expected": 24, "without_class": 1, "filled": 0, "background": 990, "class": 9, "unsure": 1},
    {"images": 480, "expected": 480, "without": 58, "labels": 747, "accepted": 747, "empty": 76, "ambiguous": 105,
     "small": 994, "crowded": 40, "uncued": 16, "undersized": 1, "bare": 1},
    {"images": 480, "expected": 480, "without": 12, "labels": 1070, "before": 747, "again": 621},
    {"images": 480, "expected": 480, "without": 0, "labels": 2736, "before": 1837, "again": 1350},
    # a round that finds what the first labels lack, and keeps them
    {"images": 100, "expected": 100, "without": 5, "labels": 320, "before": 100, "again": 95},
    {"images": 120, "expected": 120, "without": 2, "predictions": 252},
    {"images": 120, "expected": 120, "without": 0, "predictions": 5172},
    {"images": 60, "tagged": {"a": 12, "b": 60}, "average_precision": {"a": 0.8, "b": 1.0},
     "chance": {"a": 0.29, "b": None}, "chance_limit": {"a": 0.43, "b": None}},
]  # fmt: skip


@pytest.mark.parametrize("counts", SOUND)
def test_there_is_nothing_to_say_of_the_demo(counts):
    assert judge((("step", {}),), counts) == []
    assert figures((("step", {}),), counts)  # but its figures are known


@pytest.mark.parametrize(
    ("counts", "says", "setting", "value"),
    [
        ({**CUES, "cues": 100, "with_cue": 100}, "80 of 180 tags of images have no cue", "min_value", 0.2),
        ({**FEW, "without_class": 40}, "40 of 120 tagged images have no class", "foreground", 0.13),
        ({**FEW, "filled": 40}, "In 40 of 120 tagged images, classes fill", "foreground", 0.3),
        ({**FEW, "unsure": 10**7}, "is unsure", "background", 0.15),
        ({**LABELS, "uncued": 61}, "in 61 of them no component of the semantic map contains a cue", "min_value", 0.2),
        ({**LABELS, "undersized": 63}, "in 63 of them all components of the semantic map are too", "min_area", 25),
        ({**LABELS, "bare": 63}, "in 63 of them the semantic map contains no class", "foreground", 0.13),
        ({**ROUND, "labels": 12}, "0.1 labels per image, where the previous round had 0.4: obj", "min_center", 0.067),
        ({**ROUND, "labels": 600, "again": 20}, "5.0 labels per image, where the previous round", "min_center", 0.3),
        ({**ROUND, "labels": 60, "again": 12}, "25 % of the previous round's labels are found", "iterations", 800),
        ({**FOUND, "without": 9, "predictions": 9}, "9 of 24 tagged evaluation", "min_center", 0.067),
    ],
)  # fmt: skip
def test_every_fault_has_a_setting_and_a_value(counts, says, setting, value):
    made = (INFER, TRAIN) if "before" in counts or "predictions" in counts else (LABEL, CRF, PEAKS)
    (verdict,) = [one for one in judge(made, counts) if says in one.says]
    assert (verdict.trial.setting.split(".")[1], verdict.trial.value) == (setting, value)


REGIONS = ("bestie_label", {"min_area": 50, "beta": 0.55, "min_share": 0.7, "instances": "regions"})
POOLED = ("postprocess_pool_over_regions", {"missed": 0.5})


@pytest.mark.parametrize(
    ("cause", "min_area", "clause", "setting", "value"),
    [
        ("undersized", 50, "the matching regions are too small", "bestie_label.min_area", 25),
        ("undersized", 1, "the matching regions are too small", "bestie_label.beta", 0.83),
        ("bare", 50, "the maps of its classes are empty", "classifier_train.epochs", 40),
    ],
)
def test_labels_of_regions_have_causes_and_settings_of_their_own(cause, min_area, clause, setting, value):
    regions = (REGIONS[0], {**REGIONS[1], "min_area": min_area})
    labels = {"images": 9, "expected": 9, "without": 6, "labels": 3, **dict.fromkeys(CAUSES, 0), cause: 6}
    (verdict,) = judge((regions, POOLED, ("classifier_train", {"epochs": 20})), labels)
    assert verdict.says == f"6 of 9 tagged images (67 %) have no label; in 6 of them {clause}."
    assert (verdict.trial.setting, verdict.trial.value) == (setting, value)


def test_maps_of_regions_have_a_setting_of_their_own():
    assert find_trial("much class", (POOLED,)).value == 0.33 and find_trial("little class", (POOLED,)).value == 0.75


@pytest.mark.parametrize(("fault", "key"), [("no instance", "iterations"), ("few instances", "min_share")])
def test_a_share_of_the_best_takes_no_picture_its_last_instance(fault, key):
    made = (("annotation_consistency_sample", {"min_share": 0.2}), ("a_train", {"iterations": 10}))
    assert find_trial(fault, made).setting.split(".")[1] == key


@pytest.mark.parametrize(
    ("cause", "clause", "value"),
    [
        ("crowded", "a component of the semantic map contains several points", 0.3),
        ("uncued", "no component of the semantic map contains a point", 0.13),
    ],
)
def test_points_take_the_place_of_cues_so_the_maps_are_to_blame(cause, clause, value):
    made = (("bestie_label", {"supervision": "points", "min_area": 50}), CRF)
    verdicts = judge(made, {**LABELS, cause: 61})
    first = next(one for one in verdicts if one.figure == "pictures without a label")
    assert f"83 of 120 images with a point (69 %) have no label; in 61 of them {clause}." in first.says
    assert (first.trial.setting, first.trial.value) == ("postprocess_refine_with_crf.foreground", value)
    assert not any("cue" in one.says or "cue" in one.figure for one in verdicts)


def test_classes_that_are_hardly_recognised_are_named_the_worst_first():
    names = "abcdefgh"
    precision = {**dict(zip(names, (0.2, 0.25, 0.3, 0.22, 0.21, 0.26, 0.9, 1.0), strict=True)), "i": None}
    chance = {**dict.fromkeys(names, 0.25), "a": 0.1, "h": 0.75, "i": None}  # so that a is the best of the doubted
    limit = {**dict.fromkeys(names, 0.3), "h": 1.0, "i": None}  # h: two pictures, of which one is tagged
    counts = {"images": 60, "tagged": {}, "average_precision": precision, "chance": chance, "chance_limit": limit}
    made = (("classifier_audit_tags", {"size": 32}), ("classifier_train", {"epochs": 20}))
    (verdict,) = judge(made, counts)
    assert "recognizes 6 of 7 classes hardly better than chance" in verdict.says
    assert ": e (AP 0.21, by chance 0.25), d (AP 0.22, by chance 0.25), b (" in verdict.says
    assert verdict.says.endswith("c (AP 0.30, by chance 0.25) and 1 more.")
    assert verdict.row()["setting"] == "classifier_train.epochs" and verdict.row()["try"] == 40
    assert [one.name for one in figures(made, counts)][:-1] == [f"average precision of {name}" for name in names]


def test_a_frozen_classifier_is_not_to_learn_longer():
    counts = {"average_precision": {"a": 0.2}, "chance": {"a": 0.2}, "chance_limit": {"a": 0.4}}
    for frozen, setting in ((False, "classifier_train.epochs"), (True, None)):
        made = (("classifier_audit_tags", {"size": None}), ("classifier_train", {"epochs": 20, "frozen": frozen}))
        (verdict,) = judge(made, counts)
        assert verdict.row()["setting"] == setting


def test_classes_without_a_limit_are_not_judged():
    nothing = {"a": None, "b": 1.0}
    counts = {"images": 9, "tagged": {}, "average_precision": nothing, "chance": nothing, "chance_limit": nothing}
    assert judge((), counts) == [] and len(figures((), counts)) == 1


@pytest.mark.parametrize(
    ("foreground", "background", "value"),
    [
        (0.2, 0.1, 0.13),
        (0.13, 0.123, 0.123),
        (0.1, 0.1, None),
        (0.1, 0.2, None),
        (0.1, "auto", 0.067),
        (0.025, 0.01, 0.02),
    ],
)
def test_no_foreground_is_to_begin_below_the_background(foreground, background, value):
    made = (("postprocess_refine_with_crf", {"foreground": foreground, "background": background}),)
    trial = find_trial("little class", made)
    assert (trial and trial.value) == value


def test_the_worst_comes_first():
    worse = judge((LABEL, CRF, PEAKS), {**LABELS, "without": 100})
    assert [one.beyond for one in worse] == sorted((one.beyond for one in worse), reverse=True)
    assert worse[0].figure == "pictures without a label"


RAISING = {"many cues", "much class", "much unsure", "many instances"}
LOWERING = {"few cues", "little class", "small components"}
values = st.floats(1e-4, 1) | st.integers(1, 1000)
keys = st.sampled_from(sorted({key for trials in TRIALS.values() for key, _ in trials}))


@given(st.sampled_from(sorted(RAISING | LOWERING)), st.dictionaries(keys, values))
def test_a_value_is_changed_in_one_direction_and_stays_of_its_kind(fault, settings):
    trial = find_trial(fault, (("a_step", settings),))
    if trial is None:
        return
    key = trial.setting.removeprefix("a_step.")
    assert trial.now == settings[key] and (type(trial.value) is type(trial.now) or key in ("background", "kernel"))
    if key != "background":  # which is drawn to its neighbour
        assert (trial.value > trial.now) == ((fault in RAISING) != (key == "missed"))  # more of it, more of a class


@given(st.sampled_from(sorted(TRIALS)), st.dictionaries(keys, st.sampled_from([None, True, False, "auto", ()])))
def test_what_a_step_finds_by_itself_is_not_to_be_set(fault, settings):
    assert find_trial(fault, (("a_step", settings),)) is None


def test_the_nearest_step_that_has_a_setting_is_meant():
    made = (("near", {"min_area": 10}), ("far", {"min_area": 90}))
    assert find_trial("small components", made).setting == "near.min_area"


def labels_file(path, without, before=(PEAKS,)):
    made = Provenance("bestie_label", json.dumps({"min_area": 50}), "", "", {}, ("cat", "dog"),
                      before={step: json.dumps(settings) for step, settings in before})  # fmt: skip
    found = [nothing() if k < without else squares(k) for k in range(6)]
    counts = {**LABELS, "expected": 6, "without": without}
    write_instances(path, made, [f"image{k}" for k in range(6)], [32] * 6, [32] * 6, found, counts)
    return Instances(path)


@pytest.mark.parametrize("before", [(PEAKS,), ()])
def test_labels_that_most_pictures_lack_are_refused_with_what_to_try(tmp_path, before):
    labels = labels_file(tmp_path / "labels.h5", 4, before)
    with pytest.raises(InputError) as error:
        check_instances(labels)
    text = str(error.value)
    assert "4 of 6 tagged images (67 %) have no label; in " in text
    assert "; nothing is trained on these labels. " in text
    tried = "Try classifier_find_peaks: {min_value: 0.45} (now 0.3), or set" if before else "Set"
    assert text.endswith(f". {tried} verdict: warn to train anyway.")
    check_instances(labels, "warn")


def test_labels_that_half_of_the_pictures_have_are_learned_from(tmp_path):
    check_instances(labels_file(tmp_path / "labels.h5", 3))


def test_counts_are_read_from_results_and_other_files_have_none(tmp_path):
    labels_file(tmp_path / "labels.h5", 4)
    made, counts = read_counts(tmp_path / "labels.h5")
    assert [step for step, _ in made] == ["bestie_label", "classifier_find_peaks"] and counts["without"] == 4
    assert "pictures without a label" in {one.figure for one in verdicts_of(tmp_path / "labels.h5")}
    write_images(tmp_path / "images.h5")
    (tmp_path / "figures.json").write_text('{"counts": {"predictions": 3}, "provenance": {"step": "x"}}')
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "page.html").write_text("")
    for name in ("images.h5", "figures.json", "list.json", "page.html"):
        assert verdicts_of(tmp_path / name) == []
    with pytest.raises(InputError, match="broken.json holds no document"):
        (tmp_path / "broken.json").write_text("{")
        verdicts_of(tmp_path / "broken.json")


def test_results_of_before_there_were_counts_are_read(tmp_path):
    write_instances(tmp_path / "old.h5", provenance(), ["image0"], [32], [32], [squares(0)])
    with edited(tmp_path / "old.h5") as file:
        del file.attrs["before"]
    assert verdicts_of(tmp_path / "old.h5") == [] and Instances(tmp_path / "old.h5").provenance.before == {}
