"""A few of the faults that `make faults` tries: kills, full disks and pairs of writers, of some steps of a run."""

import random
import shutil

import pytest
from tiny_workflow import CONFIGURATION, Tiny

from tests.faults.cases import commands_of, steps_of
from tests.faults.full_disks import can_mount, fill_file_systems, limit_files
from tests.faults.kills import kill_in_workflow, kill_step
from tests.faults.outcomes import Outcome, table
from tests.faults.two_writers import write_twice

CASES = ("data_draw_shapes", "bestie_train", "wsis predict")  # a folder, a training, a folder that files are added to


@pytest.fixture(scope="module")
def cases(finished, tmp_path_factory):
    """The cases, in a copy of the finished run of their own: what they remake is newer than what other tests expect."""
    folder = tmp_path_factory.mktemp("faults") / "own"
    shutil.copytree(finished, folder, symlinks=True)
    found = {case.name: case for make in (steps_of, commands_of) for case in make(Tiny(folder), CONFIGURATION)}
    for name in CASES:
        found[name].measure()
    return found


def check(outcome: Outcome, runs: int) -> None:
    assert not outcome.failures
    assert outcome.same + outcome.sentence >= runs


@pytest.mark.parametrize("name", CASES)
def test_a_killed_step_leaves_nothing_broken_and_ends_as_another(cases, name):
    check(kill_step(cases[name], 3, random.Random(name)), 3)


@pytest.mark.parametrize("name", CASES)
def test_on_a_full_disk_a_step_ends_in_a_sentence(cases, name):
    outcome = limit_files(cases[name], 3, random.Random(name))
    check(outcome, 3)
    assert outcome.sentence >= 2


@pytest.mark.skipif(not can_mount(), reason="this user may mount nothing")
def test_on_a_full_file_system_too(cases):
    check(fill_file_systems(cases["bestie_train"], 1, random.Random(0)), 1)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_on_one_output_never_break_it(cases, name):
    check(write_twice(cases[name], 1, random.Random(name)), 1)


def test_an_orphaned_job_and_its_restart_never_break_their_output(cases):
    for name in CASES:
        cases[name].put_back_times()  # or Snakemake would remake all that follows from the data
    check(kill_in_workflow(cases["bestie_train"], "snakemake", random.Random(0)), 1)


def test_every_step_of_a_finished_run_is_a_case(tiny):
    steps = {case.name for case in steps_of(tiny, CONFIGURATION)}
    assert {"data_import_dataset", "bestie_train", "maskrcnn_infer", "evaluation_summarise"} <= steps
    assert all((tiny.run / path).exists() for case in steps_of(tiny, CONFIGURATION) for path in case.outputs)


def test_the_table_adds_up():
    outcomes = [Outcome("a", "x", 2, 1), Outcome("a", "y", 1, 0, ["broke"]), Outcome("b", "x", 0, 4)]
    assert table(outcomes).splitlines() == [
        "| fault | cases | runs | same bytes | a sentence | failures |",
        "| --- | --- | --- | --- | --- | --- |",
        "| a | 2 | 5 | 3 | 1 | 1 |",
        "| b | 1 | 4 | 0 | 4 | 0 |",
        "",
        "- a, y: broke",
    ]
