"""The time left is what a run of jobs of known costs will really take."""

import logging

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from wsis_steps.plan import time_left
from wsis_steps.plan.time_left import TimeLeft, read_costs


class Run:
    """A run of jobs on so many cores, as Snakemake tells it, with a clock of its own."""

    def __init__(self, monkeypatch, costs, jobs, speed=1.0):
        self.now, self.said = 0.0, []
        monkeypatch.setattr(time_left.time, "monotonic", lambda: self.now)
        self.handler = TimeLeft(costs, self.said.append)
        self.took, self.jobs = {step: cost / speed for step, cost in costs.items()}, list(jobs)
        stats = {step: self.jobs.count(step) for step in self.jobs}
        self.tell(LogEvent.RUN_INFO, stats={**stats, "total": len(jobs)})

    def tell(self, event, **values):
        record = logging.LogRecord("snakemake", logging.INFO, "", 0, "", None, None)
        record.__dict__.update(event=event, **values)
        self.handler.handle(record)

    def go(self, cores):
        """Yields (what is said to be left, what is left) after each job but the last."""
        ends, running, waiting, left = [], {}, list(enumerate(self.jobs)), []
        while waiting or running:
            while waiting and len(running) < cores:
                number, step = waiting.pop(0)
                self.tell(LogEvent.JOB_INFO, jobid=number, rule_name=step)
                running[number] = self.now + self.took[step]
            number = min(running, key=running.get)
            self.now = running.pop(number)
            self.tell(LogEvent.JOB_FINISHED, job_id=number)
            ends.append(self.now)
            left.append(self.handler.seconds_left())
            self.tell(LogEvent.PROGRESS, done=len(ends), total=len(self.jobs))
        return [(said, ends[-1] - end) for said, end in zip(left, ends, strict=True)][:-1]


@pytest.mark.parametrize("cores, speed", [(1, 1.0), (2, 1.0), (1, 0.5), (4, 3.0)])
def test_equal_jobs_side_by_side_end_when_it_says(cores, speed, monkeypatch):
    run = Run(monkeypatch, {"train": 60.0}, ["train"] * 16, speed)
    for said, real in run.go(cores)[cores - 1 :: cores]:  # whenever all that ran side by side is done
        assert said == pytest.approx(max(real, 60.0))  # a slow job is not known to be one before it ends


def test_jobs_of_one_core_end_when_it_says_whatever_their_costs(monkeypatch):
    run = Run(monkeypatch, {"a": 5.0, "b": 600.0, "c": 60.0}, ["a", "b", "c", "a"])
    assert [said for said, _ in run.go(1)] == pytest.approx([665.0, 65.0, 5.0])
    assert run.said == [f"about {text} left, as the jobs of the last run took" for text in
                        ("11 min 5 s", "1 min 5 s", "5.0 s")]  # fmt: skip


def test_a_long_job_at_the_end_is_not_shared_and_steps_without_costs_are_said(monkeypatch):
    run = Run(monkeypatch, {"a": 10.0, "b": 100.0}, ["a", "a", "b"])
    assert run.go(2)[1][0] == pytest.approx(100.0)
    run = Run(monkeypatch, {"a": 10.0, "new": 0.0}, ["a", "a", "new", "a"])
    del run.handler.costs["new"]
    run.go(1)
    assert run.said[0].startswith("at least ") and run.said[-1].startswith("about ")


def test_costs_are_means_over_the_runs(tmp_path):
    (tmp_path / "cost.csv").write_text(
        "run,step,jobs,minutes,cpu_minutes\na,train,2,3,9\nb,train,1,3,9\nb,infer,1,0.5,1\n"
    )
    assert read_costs(tmp_path / "cost.csv") == {"train": 120.0, "infer": 30.0}
    assert read_costs(tmp_path / "no.csv") == {}


def test_a_table_that_somebody_changed_and_events_of_another_snakemake_stop_nothing(tmp_path, monkeypatch):
    (tmp_path / "cost.csv").write_text("run;step;jobs;minutes\na;train;2;3\n")
    assert read_costs(tmp_path / "cost.csv") == {}
    run = Run(monkeypatch, {"a": 10.0}, ["a", "a"])
    time_left.logger.addHandler(run.handler)
    run.tell(LogEvent.JOB_FINISHED, job=0)  # it is `job_id` in the one that this was written for
    assert run.handler not in time_left.logger.handlers
