"""Killed and run again: a step ends bit for bit as if nothing had happened, and the whole workflow ends whole."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from calls import call, files
from patience import PATIENCE
from tiny_workflow import ROOT
from trainings import STEPS, paths, settings_of

ITERATIONS = 60

# Three threads: one process loads the pictures, another trains. Results are equal for equal numbers of threads only.
THREADS = {step: 3 if step == "classifier.train" else 1 for step in STEPS}


def start(step: str, arguments: dict[str, Path], log: Path) -> subprocess.Popen:
    """The step as a process group of its own that saves a checkpoint at every iteration."""
    words = [word for name, path in arguments.items() for word in (f"--{name}", str(path))]
    words += ["--threads", str(THREADS[step]), "--settings", json.dumps(settings_of(step, ITERATIONS))]
    command, variables = [sys.executable, "-m", f"wsis_steps.{step}", *words], {"WSIS_CHECKPOINT_SECONDS": "0"}
    with log.open("w") as said:
        return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **variables}, stderr=said, start_new_session=True)


def send(process: subprocess.Popen, checkpoint: Path, after: int, which: signal.Signals) -> int:
    """Signals the process group, as SLURM does, at a random moment after it has saved a checkpoint newer than `after`.

    Returns the exit status.
    """
    while process.poll() is None and not (checkpoint.exists() and checkpoint.stat().st_mtime_ns > after):
        time.sleep(0.005)
    time.sleep(random.uniform(0, 0.2))
    os.killpg(process.pid, which)
    return process.wait(timeout=PATIENCE)


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_training_ends_as_an_uninterrupted_one(inputs, tmp_path, step):
    arguments, checkpoint = paths(inputs, step, tmp_path / "cut"), tmp_path / "cut/work/checkpoint.pt"
    log = tmp_path / "log"
    assert send(start(step, arguments, log), checkpoint, 0, signal.SIGKILL) == -signal.SIGKILL
    before = checkpoint.stat().st_mtime_ns
    assert [path for path in files(tmp_path / "cut/out") if path.suffix != ".lock"] == []
    if step == "classifier.train":  # once is enough: what a signal does is the loop's, not the step's
        assert send(start(step, arguments, log), checkpoint, before, signal.SIGTERM) == 143
        said = log.read_text()
        assert "resuming after iteration" in said and "ended by a signal" in said
        assert [path for path in files(tmp_path / "cut/out") if path.suffix != ".lock"] == []

    resumed = call(step, settings_of(step, ITERATIONS), threads=THREADS[step], **arguments)
    whole = call(step, settings_of(step, ITERATIONS), threads=THREADS[step], **paths(inputs, step, tmp_path / "whole"))
    assert resumed.status == whole.status == 0
    assert any("resuming after iteration" in line for line in resumed.log)
    assert not any("resuming" in line for line in whole.log)
    states = [
        torch.load(tmp_path / name / "out/model.pt", map_location="cpu", weights_only=True)["model"]
        for name in ("cut", "whole")
    ]
    assert states[0].keys() == states[1].keys()
    assert [name for name in states[0] if not torch.equal(states[0][name], states[1][name])] == []
    metrics = [(tmp_path / name / "out/metrics").read_text() for name in ("cut", "whole")]
    assert metrics[0] == metrics[1] and len(metrics[0].splitlines()) == ITERATIONS
    assert files(tmp_path / "cut/work") == []


@pytest.fixture(scope="session")
def story(finished) -> dict:
    return json.loads((finished / "story.json").read_text())


def test_a_killed_workflow_goes_on_where_it_was(story):
    assert story["locked"] and story["unlock"] == 0 and not story["model_when_killed"]
    assert "bestie_train bestie 00" in story["first"] and "bestie_train bestie 00" in story["second"]
    assert "resuming after iteration" in story["log"]
    done = {"data_import_dataset", "classifier_train bestie", "classifier_infer bestie", "bestie_label bestie"}
    assert done <= set(story["first"]) and not done & set(story["second"])


def test_and_ends_whole(tiny):
    found = files(tiny.results)
    assert not [path for path in (*found, *files(tiny.run / "work")) if "partial" in path.name]
    assert files(tiny.run / "work") == [] and files(tiny.run / ".snakemake/incomplete") == []
    names = {path.relative_to(tiny.results).as_posix() for path in found}
    assert {"summary.csv", "report.html", "bestie/predictions/val.h5", "bestie_points/labels/round01.h5"} <= names
    assert tiny.planned() == set()


def test_every_job_has_a_log_and_a_benchmark(tiny, story):
    ran = {job.split()[0] for job in (*story["first"], *story["second"])} - {"all"}
    for kind, suffix in (("logs", "log"), ("benchmarks", "tsv")):
        stems = {path.stem for path in (tiny.run / kind / "tiny").rglob(f"*.{suffix}")}
        assert {rule for rule in ran if not any(stem.startswith(rule) for stem in stems)} == set()
