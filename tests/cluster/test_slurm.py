"""What a user of a cluster sees: jobs that share its GPUs, failures told in a line and put right, equal results."""

import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import torch
from slurm_runs import MODEL, STATE, Run, slurm, wait


def on_a_gpu(job) -> bool:
    return bool(re.search(r"(train|infer)", job.rule))


def failures(run: Run, number: str) -> list[str]:
    """The lines that say how a job of SLURM ended badly."""
    return [line.strip() for line in run.said.splitlines() if f"SLURM-job '{number}' failed" in line]


def check_resumed(run: Run) -> None:
    assert "resuming after iteration" in run.log
    assert (run.folder / MODEL).exists() and not run.checkpoint.exists()


def test_the_whole_workflow_runs_through_the_profile(finished):
    run = finished.run
    assert (run.results / "summary.csv").exists() and (run.results / "report.html").exists()
    assert run.call("--dry-run") == 0 and "Nothing to be done" in run.said


def test_scores_share_jobs(finished):
    rules = {job.number: job.rule for jobs in finished.queues for job in jobs}
    assert 0 < sum("scores" in rule or "evaluation_score" in rule for rule in rules.values()) < 6


def test_two_jobs_with_a_gpu_run_side_by_side_and_a_third_waits(finished):
    states = [[job for job in jobs if on_a_gpu(job)] for jobs in finished.queues]
    running = [[job for job in jobs if job.state == "RUNNING"] for jobs in states]
    assert max(map(len, running)) == 2
    full = [jobs for jobs, now in zip(states, running, strict=True) if len(now) == 2]
    assert all({job.node for job in jobs if job.state == "RUNNING"} == {"n0", "n1"} for jobs in full)
    assert any(job.state == "PENDING" and job.reason == "Resources" for jobs in full for job in jobs)


def test_results_are_those_of_a_local_run(finished):
    run, local = finished.run, finished.local
    names = sorted(path.relative_to(local.results) for path in local.results.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(run.results) for path in run.results.rglob("*") if path.is_file())
    for name in names:
        one, two = local.results / name, run.results / name
        if name.suffix == ".pt":
            first, second = (torch.load(path, weights_only=True) for path in (one, two))
            assert all(torch.equal(value, second["model"][key]) for key, value in first["model"].items()), name
        elif name.name not in ("cost.csv", "cost.json", "report.html"):  # each run took its own time
            assert one.read_bytes() == two.read_bytes(), name


def test_a_cancelled_job_is_told_in_a_line_and_resumes(run):
    with run.caught_training() as (snakemake, job, _):
        slurm("scancel", job.number)
        assert snakemake.wait(timeout=600) == 0, run.said
    (line,) = failures(run, job.number)
    assert "SLURM status is: 'CANCELLED'" in line
    check_resumed(run)


def test_a_job_beyond_its_time_is_told_in_a_line_and_resumes_with_more(run):
    with run.caught_training() as (snakemake, job, _):
        slurm("scontrol", "update", f"JobId={job.number}", "TimeLimit=1")  # now: a slow machine has got as far, too
        assert snakemake.wait(timeout=600) == 0, run.said
    (line,) = failures(run, job.number)
    assert "SLURM status is: 'TIMEOUT'" in line
    assert (job.limit, run.queue()[-1].limit) == ("20:00", "40:00")
    check_resumed(run)


def test_a_job_beyond_its_memory_is_told_in_a_line_and_gets_more(run):
    run.resources = {"mem_mb": "300 if attempt == 1 else 8000"}
    assert run.call(MODEL) == 0, run.said
    first, second = run.queue()
    (line,) = failures(run, first.number)
    assert "SLURM status is: 'FAILED'" in line or "SLURM status is: 'OUT_OF_MEMORY'" in line
    (told,) = [line for line in run.said.splitlines() if line.strip().startswith("log:") and "slurm" in line]
    (log,) = re.findall(rf"\S+/{first.number}\.log", told)
    assert "exceeded memory limit" in Path(log).read_text()
    assert (first.memory, second.memory) == ("300M", "8000M")
    assert (run.folder / MODEL).exists()


def test_a_job_whose_node_dies_is_told_in_a_line_and_resumes_on_another(run):
    with run.caught_training() as (snakemake, job, training):
        kill_node(job, training)
        try:
            assert snakemake.wait(timeout=600) == 0, run.said
        finally:
            subprocess.run(["slurmd", "-N", job.node], check=True)
    (line,) = failures(run, job.number)
    assert "node failure" in line and "'NODE_FAIL'" in line
    lost, again = run.queue()
    assert lost.number == job.number and {lost.node, again.node} == {"n0", "n1"}
    check_resumed(run)
    wait(lambda: {*slurm("sinfo", "-h", "-N", "-o", "%T").split()} <= {"idle", "mixed", "allocated"}, 120)


def kill_node(job, training: psutil.Process) -> None:
    """Ends all that a node runs: SLURM's own daemon first, then the job's processes from above."""
    daemon = int((STATE / f"slurmd.{job.node}.pid").read_text())
    of_job = [*training.parents(), training]
    everything = psutil.process_iter(["name", "cmdline"])  # the command line of one that has just ended is None
    daemons = [process for process in everything if process.info["name"] == "slurmstepd"]
    steps = [process for process in daemons if f"[{job.number}." in " ".join(process.info["cmdline"] or [])]
    above = {os.getpid(), 1, *(process.pid for process in psutil.Process().parents())}
    os.kill(daemon, signal.SIGKILL)
    for process in [*steps, *of_job]:
        if process.pid not in above:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def test_after_snakemake_itself_was_killed_nothing_is_lost(run):
    with run.caught_training() as (snakemake, job, _):
        os.killpg(snakemake.pid, signal.SIGKILL)
        snakemake.wait()
        assert run.states(job.number) == ["RUNNING"]  # it lives on
        slurm("scancel", job.number)  # as docs/cluster.md says
        wait(lambda: run.states(job.number) == ["CANCELLED"], 60)
        assert run.call(MODEL) != 0 and "locked" in run.said
        assert run.call("--unlock") == 0
        assert run.call(MODEL) == 0, run.said
    check_resumed(run)


def test_interrupting_snakemake_cancels_its_jobs(run):
    with run.caught_training() as (snakemake, job, _):
        os.killpg(snakemake.pid, signal.SIGINT)
        snakemake.wait(timeout=120)
        wait(lambda: run.states(job.number) == ["CANCELLED"], 60)
    assert run.checkpoint.exists()
