"""The verdicts on all results of some runs, and the figures behind them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from wsis_steps.engine.verdicts import Verdict, figures, read_counts, verdicts_of

Row = Sequence[str]  # run, stage, file


def worst_first(rows: Iterable[Row]) -> list[tuple[Row, Verdict]]:
    """Rows and verdicts on them, worst first; ties in the order of the rows.

    Raises InputError if a file is missing or cannot be read.
    """
    found = [(row, verdict) for row in rows for verdict in verdicts_of(Path(row[2]))]
    return sorted(found, key=lambda pair: -pair[1].beyond)


def verdict_rows(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """`worst_first` as JSON values."""
    return [
        {"run": run, "stage": stage, "file": path, **verdict.row()} for (run, stage, path), verdict in worst_first(rows)
    ]


def document(rows: Sequence[Row]) -> dict[str, Any]:
    """`summary.json`: verdicts, worst first, and all figures that need no ground truth, as JSON values.

    A row is identified by file and figure, since a stage of a run may have one file per split.
    """
    return {
        "verdicts": verdict_rows(rows),
        "figures": [
            {"run": run, "stage": stage, "file": path, "figure": figure.name, "value": round(figure.value, 4)}
            for run, stage, path in rows
            for figure in figures(*read_counts(Path(path)))
        ],
    }
