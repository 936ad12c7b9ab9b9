"""How long a run of the workflow will go on: told after each job, from what the jobs of the last run took."""

import csv
import logging
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent


def read_costs(path: Path) -> dict[str, float]:
    """Seconds that a job of each step took on average, from a cost.csv; none where there is no such table."""
    if not path.is_file():
        return {}
    minutes, jobs = Counter(), Counter()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                minutes[row["step"]] += float(row["minutes"])
                jobs[row["step"]] += int(row["jobs"])
        return {step: 60 * minutes[step] / jobs[step] for step in jobs}
    except (OSError, KeyError, ValueError, TypeError, ZeroDivisionError, csv.Error):
        return {}  # a table that somebody changed must not keep the workflow from running


class TimeLeft(logging.Handler):
    """Follows Snakemake's log and says after each job how long the rest will take.

    A job is expected to take what those of its step took on average (`costs`, seconds); how many run side by side, and
    how fast this machine is, shows in how much of what was expected is done already.
    """

    def __init__(self, costs: dict[str, float], say: Callable[[str], None]) -> None:
        super().__init__()
        self.costs, self.say = costs, say
        self.started = time.monotonic()
        self.waiting: Counter[str] = Counter()
        self.running: dict[int, tuple[str, float]] = {}  # job: its step and when it began
        self.done = 0.0  # seconds that the finished jobs were expected to take

    def emit(self, record: logging.LogRecord) -> None:
        """Takes note of what Snakemake says of its jobs."""
        try:
            self._note(record)
        except (AttributeError, KeyError, TypeError):  # another Snakemake that says it otherwise; it would stop by this
            logger.removeHandler(self)

    def _note(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self.started = time.monotonic()
            self.waiting = Counter({step: count for step, count in record.stats.items() if step != "total"})
        elif event == LogEvent.JOB_INFO:
            if record.jobid not in self.running:  # a retry is told again
                self.waiting[record.rule_name] -= 1
            self.running[record.jobid] = record.rule_name, time.monotonic()
        elif event == LogEvent.JOB_FINISHED and record.job_id in self.running:
            step, _ = self.running.pop(record.job_id)
            self.done += self.costs.get(step, 0)
        elif event == LogEvent.PROGRESS and record.done < record.total:
            self._tell()

    def seconds_left(self) -> float | None:
        """None until something is done whose cost was known."""
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
        # the costs are listed before the report is made, which takes a moment
        least = any(step not in ("all", "first_look") and not step.startswith("report_") for step in unknown)
        if left:
            self.say(f"{'at least' if least else 'about'} {duration(left)} left, as the jobs of the last run took")


def follow(path: Path) -> None:
    """Adds the time left to what Snakemake says of its progress, where a cost.csv tells what jobs take."""
    if costs := read_costs(path):
        logger.addHandler(TimeLeft(costs, logger.info))
