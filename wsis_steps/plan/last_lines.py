"""The last lines of a run of the workflow: what is doubtful about the results that there are, and where to see more."""

from collections.abc import Callable
from pathlib import Path

from wsis_steps.plan.listing import judged
from wsis_steps.plan.runs import Runs

MOST = 10  # lines


def last_lines(runs: Runs) -> list[str]:
    """One line for each of the worst verdicts on the results that are there, after a heading; none where nothing is
    doubtful. A result that cannot be read is passed over: what reads it in earnest says so."""
    from wsis_steps.engine.errors import InputError  # the rest loads HDF5, which no dry run should wait for
    from wsis_steps.evaluation.verdicts import worst_first

    found = []
    for row in judged(runs):
        try:
            found += worst_first([row] if Path(row[2]).is_file() else [])
        except (InputError, OSError, ValueError, LookupError, TypeError):
            continue
    found.sort(key=lambda pair: -pair[1].beyond)
    if not found:
        return []
    lines = [f"  {run}, {stage}: {verdict.sentence()}" for (run, stage, _), verdict in found[:MOST]]
    if len(found) > MOST:
        end = f"results/{runs.configuration.dataset}/summary.json"
        lines.append(f"  ... and {len(found) - MOST} more; a whole run lists all of them in {end} and report.html.")
    return ["Doubtful, the worst first:", *lines]


def say_last_lines(runs: Runs, say: Callable[[str], None]) -> None:
    """Says the last lines, if there are any."""
    if lines := last_lines(runs):
        say("\n".join(lines))
