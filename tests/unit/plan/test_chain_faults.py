"""Faults of a chain.py are one sentence, and a graph never passes over what a chain says."""

from dataclasses import replace

import pytest

from wsis_steps.engine.chain import Agreement, Chain, Read, Show, Stage, each_round
from wsis_steps.engine.errors import InputError
from wsis_steps.plan import graph as module
from wsis_steps.plan.chain_faults import check_chains, of_chain, of_stage
from wsis_steps.plan.config import Run
from wsis_steps.plan.graph import Graph, Node
from wsis_steps.plan.steps import STEPS
from wsis_steps.plan.systems import CHAINS, STAGES

LABELS = Stage("bestie_label", writes={"labels": "labels/round00.h5"})
WRONG = {
    "a step without settings": (replace(LABELS, step="bestie_lable"), "defines BestieLable"),
    "rounds in one file": (replace(LABELS, rounds=each_round), "add {round}"),
    "a role that it does not write": (replace(LABELS, shows=(Show("label", "x"),)), "the nearest is 'labels'"),
    "a split that is none": (replace(LABELS, shows=(Show("labels", "x", scored="test"),)), "is scored on 'test'"),
    "what no rule scores": (
        replace(LABELS, writes={"labels": "a/b/c.h5"}, shows=(Show("labels", "x", scored="train"),)),
        "a/b/c.h5 cannot be scored",
    ),
    "a setting that the other step lacks": (
        replace(LABELS, settings_of=("maskrcnn_infer", ("supervision",))),
        "maskrcnn_infer has no setting supervision",
    ),
    "a setting that it lacks": (replace(LABELS, settings_of=("bestie_infer", ("window",))), "has no setting window"),
}


def test_the_chains_of_the_package_have_no_fault():
    check_chains()
    assert not [fault for stage in STAGES.values() for fault in of_stage(stage)]


@pytest.mark.parametrize("case", WRONG)
def test_a_fault_of_a_stage(case):
    stage, words = WRONG[case]
    (fault,) = of_stage(stage)
    assert words in fault


def test_faults_of_a_chain():
    chain = CHAINS["annotation_consistency"]
    (fault,) = of_chain(replace(chain, ends="maskrcnn_infr"))
    assert "the nearest is 'maskrcnn_infer'" in fault
    (fault,) = of_chain(replace(chain, supervision=("tag",)))
    assert "learns from 'tag', the nearest is 'tags'" in fault
    wrong = Agreement(("annotation_consistency_sample",), ("pairwize",))
    (fault,) = of_chain(replace(chain, agreements=(wrong,)))
    assert "has no setting pairwize, the nearest is 'pairwise'" in fault


def graph_of(monkeypatch, *stages: Stage, ends: str = "bestie_infer", **run) -> Graph:
    """The graph of a run of a system with these stages."""
    chain = Chain("bestie", about="", ends=ends, ends_in="", stages=stages, rounds=True, maskrcnn=True)
    monkeypatch.setitem(module.CHAINS, "bestie", chain)
    return Graph("a", Run(system="bestie", maskrcnn=False, **run), lambda step: STEPS[step]())


@pytest.mark.parametrize("when", [{}, {"when": lambda run, settings: True}])
def test_a_role_that_nothing_writes_is_told_also_where_some_runs_may_lack_it(monkeypatch, when):
    with pytest.raises(InputError, match="Run a: bestie_infer reads peeks, but no step makes it"):
        graph_of(monkeypatch, Stage("bestie_infer", reads=(Read("peeks", **when),)))
    assert graph_of(monkeypatch, Stage("bestie_infer", reads=(Read("peeks", when=lambda r, s: False),))).nodes


def test_stages_that_stand_on_each_other_are_told(monkeypatch):
    train = Stage("bestie_train", reads=(Read("b"),), writes={"a": "a.h5"})
    with pytest.raises(InputError, match="depends on its own b"):
        graph_of(monkeypatch, train, Stage("bestie_infer", reads=(Read("a"),), writes={"b": "b.h5"}))


def test_the_last_is_what_the_chain_writes_last_with_rounds_or_without(monkeypatch):
    stages = (
        replace(LABELS, rounds=lambda run: (0,)),
        Stage("bestie_train", reads=(Read("labels"),), writes={"labels": "labels/refined.h5"}),
        Stage("bestie_infer", reads=(Read("labels", last=True),)),
    )
    graph = graph_of(monkeypatch, stages[0], replace(stages[1], reads=()), stages[2])
    assert graph.nodes == (Node("bestie_train"), Node("bestie_infer"))


def test_a_round_that_a_run_does_not_have_is_told():
    graph = Graph("a", Run(system="bestie", rounds=2), lambda step: STEPS[step]())
    assert graph.node("bestie_infer", 2) == Node("bestie_infer", 2)
    with pytest.raises(InputError, match="Run a has no round 3 of bestie_infer"):
        graph.node("bestie_infer", 3)
