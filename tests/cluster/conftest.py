"""The workflow on the SLURM that `tests/cluster/slurm.sh up` started: `make test-cluster`."""

import shutil
import time
from pathlib import Path

import pytest
from slurm_runs import STATE, Queued, Run, queue


def pytest_collection_modifyitems(items: list) -> None:
    if not STATE.exists():
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="no SLURM of our own is up: make test-cluster"))


@pytest.fixture(scope="session")
def watched(tmp_path_factory) -> tuple[Run, list[list[Queued]]]:
    """A finished run of the whole small workflow, and what the queue was while it ran."""
    run, seen = Run(tmp_path_factory.mktemp("cluster") / "whole"), []
    snakemake = run.start()
    while snakemake.poll() is None:
        seen.append(queue())
        time.sleep(0.3)
    assert snakemake.returncode == 0, run.said
    return run, seen


@pytest.fixture
def run(watched, tmp_path) -> Run:
    """A copy of the finished run in which one training has to run again, for longer."""
    folder = tmp_path / "run"
    shutil.copytree(watched[0].folder, folder)
    return Run(folder, changed={"iterations": 200})
