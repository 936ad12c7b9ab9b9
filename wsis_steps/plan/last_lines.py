"""The last lines of a run of the workflow: what is doubtful about its results, and where the results are."""

from collections.abc import Callable
from pathlib import Path

from wsis_steps.engine.errors import InputError
from wsis_steps.plan.listing import judged
from wsis_steps.plan.outdated import Origins
from wsis_steps.plan.runs import Runs

MOST = 10  # lines
PAGES = {"report": "report.html", "first look": "first_look.html"}


def last_lines(runs: Runs) -> list[str]:
    """A heading, and one line for each of the worst verdicts on existing results; empty if nothing is doubtful.

    Leaves out results that the current configuration would not make, and files that cannot be read: the steps that
    read them report that.
    """
    from wsis_steps.engine.verdicts import judge, read_counts  # loads HDF5, which would slow down dry runs

    found, origins = [], Origins(runs)
    for run, stage, name in judged(runs):
        path = Path(name)
        try:
            made, counts = read_counts(path) if path.is_file() else ((), {})
            if counts and not origins.is_outdated(path, made):
                found += [(run, stage, verdict) for verdict in judge(made, counts)]
        except (InputError, OSError, ValueError, LookupError, TypeError):
            continue
    found.sort(key=lambda row: -row[2].beyond)
    if not found:
        return []
    lines = [f"  {run}, {stage}: {verdict.sentence()}" for run, stage, verdict in found[:MOST]]
    if len(found) > MOST:
        end = f"{runs.folder}/summary.json"
        lines.append(f"  ... and {len(found) - MOST} more; a whole run lists all of them in {end} and report.html.")
    return ["Doubtful, the worst first:", *lines]


def where_results_are(runs: Runs) -> list[str]:
    """One line for each page that exists, and for the first model, with the command that predicts new images."""
    folder = Path(runs.folder)
    pages = {name: folder / page for name, page in PAGES.items()}
    audits = (folder / path for _, path in runs.audits())
    pages["tag audit"] = next((path.with_suffix(".html") for path in audits if path.is_file()), Path("none"))
    lines = [f"{name}: {page}" for name, page in pages.items() if page.is_file()]
    models = (folder / runs.reads(name, graph.end, "model") for name, graph in runs.graphs.items() if graph.predicts)
    if model := next((path for path in models if path.is_file()), None):
        lines.append(f"new images: wsis predict FOLDER --model {model} --out found")
    return lines


def say_last_lines(runs: Runs, say: Callable[[str], None]) -> None:
    """Says what is doubtful and where the results are, if there are any."""
    if lines := [*last_lines(runs), *where_results_are(runs)]:
        say("\n".join(lines))
