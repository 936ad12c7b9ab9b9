"""Estimates the remaining time of the workflow after each job, from the durations of the last run's jobs."""

import csv
import logging
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from wsis_steps.engine.documents import check_table
from wsis_steps.engine.errors import InputError


def read_costs(path: Path) -> dict[str, float]:
    """Average seconds per job for each step, from a cost.csv; empty if there is no such table, or it is damaged."""
    minutes, jobs = Counter(), Counter()
    for _, step, count, took in _rows(path):
        minutes[step] += took
        jobs[step] += count
    return {step: 60 * minutes[step] / jobs[step] for step in jobs if jobs[step]}


def read_run_costs(path: Path) -> dict[tuple[str, str], float]:
    """Seconds of all jobs of each run and step together; empty as for `read_costs`."""
    return {(run, step): 60 * took for run, step, _, took in _rows(path)}


def _rows(path: Path) -> list[tuple[str, str, int, float]]:
    """Run, step, number of jobs and minutes; empty if there is no such table, or it is damaged."""
    if not path.is_file():
        return []
    document = path.with_suffix(".json")
    try:
        if document.exists():
            check_table(path, document)
        with path.open(newline="", encoding="utf-8") as file:
            return [(row["run"], row["step"], int(row["jobs"]), float(row["minutes"])) for row in csv.DictReader(file)]
    except (InputError, OSError, KeyError, ValueError, TypeError, csv.Error):
        return []  # a damaged or edited table must not stop the workflow


class TimeLeft(logging.Handler):
    """Follows Snakemake's log and estimates after each job how long the rest will take.

    Each job is expected to take the average of its step (`costs`, in seconds). The speed of this machine and the number
    of parallel jobs follow from how much of the expected time is done already.
    """

    def __init__(self, costs: dict[str, float], say: Callable[[str], None]) -> None:
        super().__init__()
        self.costs, self.say = costs, say
        self.started = time.monotonic()
        self.waiting: Counter[str] = Counter()
        self.running: dict[int, tuple[str, float]] = {}  # job -> its step, and when it started
        self.done = 0.0  # expected seconds of the finished jobs

    def emit(self, record: logging.LogRecord) -> None:
        """Reads Snakemake's messages about its jobs."""
        try:
            self._note(record)
        except (AttributeError, KeyError, TypeError):  # a Snakemake version with other messages, which this would stop
            logger.removeHandler(self)

    def _note(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self.started = time.monotonic()
            self.waiting = Counter({step: count for step, count in record.stats.items() if step != "total"})
        elif event == LogEvent.JOB_INFO:
            if record.jobid not in self.running:  # retries are announced again
                self.waiting[record.rule_name] -= 1
            self.running[record.jobid] = record.rule_name, time.monotonic()
        elif event == LogEvent.JOB_FINISHED and record.job_id in self.running:
            step, _ = self.running.pop(record.job_id)
            self.done += self.costs.get(step, 0)
        elif event == LogEvent.PROGRESS and record.done < record.total:
            self._tell()

    def seconds_left(self) -> float | None:
        """None until a job with a known cost has finished or made progress."""
        now, done = time.monotonic(), self.done
        waiting = [(self.costs.get(step, 0), count) for step, count in self.waiting.items() if count > 0]
        rest, longest = sum(cost * count for cost, count in waiting), max((cost for cost, _ in waiting), default=0.0)
        for step, began in self.running.values():
            cost = self.costs.get(step, 0)
            part = min(now - began, cost)
            done, rest, longest = done + part, rest + cost - part, max(longest, cost - part)
        return max(rest * (now - self.started) / done, longest) if done > 0 else None

    def _tell(self) -> None:
        from wsis_steps.engine.progress import duration

        left = self.seconds_left()
        unknown = {step for step, count in self.waiting.items() if count > 0} - set(self.costs)
        # costs are written before the report is rendered, so it has none; it takes only a moment
        least = any(step not in ("all", "first_look") and not step.startswith("report_") for step in unknown)
        if left:
            self.say(f"{'at least' if least else 'about'} {duration(left)} left, as the jobs of the last run took")


def follow(path: Path) -> None:
    """Adds the remaining time to Snakemake's progress messages, if there is a cost.csv with the costs of jobs."""
    if costs := read_costs(path):
        logger.addHandler(TimeLeft(costs, logger.info))
