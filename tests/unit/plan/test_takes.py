"""Runs that take the semantic maps or the initial weights of another run."""

import re

import pytest

from wsis_steps.engine.errors import InputError
from wsis_steps.plan.config import load
from wsis_steps.plan.faults import check
from wsis_steps.plan.listing import figures
from wsis_steps.plan.runs import Runs

PLAIN = {"steps": {"classifier_train": {"attention": "none"}}}
MAPS = "postprocess_refine_with_crf"


def bestie(**values) -> dict:
    return {"system": "bestie", "maskrcnn": False, **values}


def runs(seeds=(0,), steps=None, **chosen) -> Runs:
    found = Runs(load({"dataset": "d", "seeds": list(seeds), "runs": chosen, "steps": steps or {}}))
    check(found)
    return found


def test_semantic_maps_are_those_of_the_named_run_and_nothing_makes_others():
    found = runs(a=bestie(), b=bestie(takes={"semantic": "a"}, **PLAIN))
    for step in ("bestie_label", "bestie_train"):
        assert found.reads("b", step, "semantic") == "a/semantic/train.h5"
    assert found.reads("b", "bestie_label", "peaks") == "b/classifier/peaks.h5"
    assert MAPS not in found.steps("b") and found.owners(MAPS) == "a"
    assert {run for run, _, stage, _ in figures(found, ("train",)) if stage == "semantic"} == {"a"}


def test_maps_lie_where_the_named_run_has_them_from():
    """The named run shares its maps with the first, and a third takes what the second takes."""
    found = runs(a=bestie(), b=bestie(steps={"bestie_train": {"sigma": 3}}), c=bestie(takes={"semantic": "b"}, **PLAIN),
                 d=bestie(takes={"semantic": "c"}, steps={"classifier_train": {"alpha": 0.2}}))  # fmt: skip
    assert {found.reads(run, "bestie_label", "semantic") for run in "abcd"} == {"a/semantic/train.h5"}
    assert found.owners(MAPS) == "a"


def test_maps_of_a_semantic_network_can_be_taken():
    found = runs(a={"system": "learning_to_segment"}, b=bestie(takes={"semantic": "a"}))
    assert found.reads("b", "bestie_train", "semantic") == "a/semantic/train.h5"


def test_a_run_that_takes_what_it_would_make_is_the_same_run():
    found = runs(a=bestie(), b=bestie(takes={"semantic": "a"}))
    assert {found.owner("b", step) for step in found.steps("b")} == {"a"}


def test_what_the_maps_are_made_of_decides_on_what_is_computed_again():
    """By digest: two settings of the named run's maps give two labels of the run that takes them."""

    def label(**values):
        found = runs(a=bestie(steps={MAPS: values}), b=bestie(takes={"semantic": "a"}, **PLAIN))
        return found.identity("b", found.graphs["b"].node("bestie_label"))

    assert label() == label(foreground=0.30) != label(foreground=0.2)


def test_initial_weights_of_another_run():
    weights = {"bestie_train": {"weights": "classifier", "backbone": "vgg16"}}
    found = runs(steps=weights, a=bestie(), b=bestie(takes={"pretrained": "a"}, **PLAIN), c=bestie(**PLAIN))
    assert found.reads("b", "bestie_train", "pretrained") == "a/classifier/model.pt"
    assert found.reads("b", "classifier_infer", "model") == "b/classifier/model.pt"
    assert found.reads("c", "bestie_train", "pretrained") == "b/classifier/model.pt"


def test_repeated_runs_take_of_the_same_seed():
    found = runs(seeds=(0, 4), a=bestie(), b=bestie(takes={"semantic": "a"}, **PLAIN))
    assert found.reads("b_seed4", "bestie_label", "semantic") == "a_seed4/semantic/train.h5"
    assert found.reads("b_seed0", "bestie_label", "semantic") == "a_seed0/semantic/train.h5"


FAULTS = {
    "uns.b.takes.semantic: there is no run 'aa', the nearest is 'a'": {
        "a": bestie(), "b": bestie(takes={"semantic": "aa"})
    },
    "uns: a takes from b takes from a, which is a circle": {
        "a": bestie(takes={"semantic": "b"}), "b": bestie(takes={"pretrained": "a"})
    },
    "uns: a takes from a, which is a circle": {"a": bestie(takes={"semantic": "a"})},
    "it takes the semantic maps of run a; remove semantic": {
        "a": bestie(), "b": bestie(semantic="imported", takes={"semantic": "a"})
    },
    "Run b takes semantic from run a, which does not make it: its steps are maskrcnn_infer, maskrcnn_train.": {
        "a": {"system": "supervised"}, "b": bestie(takes={"semantic": "a"})
    },
    "un b takes semantic from run a, but none of its steps reads it": {
        "a": bestie(), "b": {"system": "supervised", "takes": {"semantic": "a"}}
    },
    "un b takes pretrained from run a, but none of its steps reads it": {
        "a": bestie(), "b": bestie(takes={"pretrained": "a"}, **PLAIN)
    },
    "takes.labels": {"a": bestie(), "b": bestie(takes={"labels": "a"})},
}  # fmt: skip


@pytest.mark.parametrize("sentence", FAULTS)
def test_what_cannot_be_taken_is_told_in_one_sentence(sentence):
    with pytest.raises(InputError, match=re.escape(sentence)) as error:
        runs(**FAULTS[sentence])
    assert "\n" not in str(error.value)


def test_a_training_starts_from_a_classifier_with_its_own_backbone_only():
    start = {"bestie_train": {"weights": "classifier", "backbone": "resnet50"}}
    same = {**start, "classifier_train": {"backbone": "resnet50"}}
    with pytest.raises(InputError) as caught:
        runs(a=bestie(steps=start, rounds=2), b=bestie(steps=same))
    assert str(caught.value) == (
        "Run a: bestie_train has weights: classifier and backbone resnet50, but the backbone of "
        "classifier_train is vgg16; set weights: imagenet or the same backbone."
    )
    with pytest.raises(InputError, match=r"^Run b: bestie_train .* the backbone of classifier_train is vgg16"):
        runs(a=bestie(), b=bestie(steps=same, takes={"pretrained": "a"}))
    runs(a=bestie(steps=same), b=bestie(steps=start, takes={"pretrained": "a"}))  # what is read is what counts
    tagged = {"bestie_train": {"weights": "classifier", "backbone": "timm/resnet18"}}
    runs(a=bestie(steps={**tagged, "classifier_train": {"backbone": "timm/resnet18.a1_in1k"}}))
