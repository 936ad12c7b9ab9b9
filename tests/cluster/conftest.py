"""The workflow on the SLURM that `tests/cluster/slurm.sh around` started: `make test-cluster`."""

import fcntl
import json
import shutil
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from slurm_runs import STATE, Queued, Run


def pytest_collection_modifyitems(items: list) -> None:
    if not STATE.exists():
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="no SLURM of our own is up: make test-cluster"))


@dataclass
class Finished:
    """A run of the small workflow through SLURM, the queue while it ran, and a run without SLURM."""

    run: Run
    local: Run
    queues: list[list[Queued]]


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Finished:
    """Made once for all test processes: the first makes it, the others wait."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "popen" in folder.name else folder  # of xdist's processes
    run, local, queues = Run(folder / "cluster"), Run(folder / "local"), folder / "queues.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not queues.exists():
            queues.write_text(json.dumps([[asdict(job) for job in jobs] for jobs in watch(run, local)]))
    return Finished(run, local, [[Queued(**job) for job in jobs] for jobs in json.loads(queues.read_text())])


def watch(run: Run, local: Run) -> list[list[Queued]]:
    """Runs the workflow through SLURM and, in parallel, without it; returns the queue, sampled twice a second."""
    seen, snakemake, other = [], run.start(), local.start(slurm=False)
    try:
        while snakemake.poll() is None:
            seen.append(run.queue())
            time.sleep(0.5)
        assert snakemake.returncode == 0, run.said
        assert other.wait(timeout=1200) == 0, local.said
    finally:
        for process in (snakemake, other):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait()
    return seen


@pytest.fixture
def run(finished, tmp_path) -> Run:
    """A copy of the finished run in which one training must run again, and longer."""
    folder = tmp_path / "run"
    shutil.copytree(finished.run.folder, folder)
    return Run(folder, changed={"iterations": 200})
