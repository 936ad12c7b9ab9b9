"""Which score to choose: precision, recall and F1 by score, errors, and which class is taken for which."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from wsis_steps.evaluation.error_kinds import KINDS
from wsis_steps.evaluation.figures import read_figures
from wsis_steps.evaluation.recommendation import BASES
from wsis_steps.report.curves import Series, training_charts
from wsis_steps.report.tables import html_table

Thresholds = Mapping[str, Any]
TERMS = {"precision": "precision", "recall": "recall", "f1": "F1"}
MOST_CLASSES = 20  # of a confusion matrix; with more, the most frequent confusions are listed
MOST_CONFUSIONS = 30
WHAT = (
    "<code>wsis predict</code> uses the recommended score unless <code>--score</code> gives another. An instance is "
    "right if it overlaps a true one of its class by half (mask IoU), each true one counts once."
)
ERRORS = (
    "Numbers of instances at the score with the best F1. Wrong class: on an object of another class. Coarse outline: "
    "on an object of its class, with an IoU of 0.1 to 0.5. Doubled: on an object that another instance has. "
    "Background: all others. Missed: true instances without any of the first three."
)


def scores_html(
    rows: Sequence[tuple[str, str, Path]], recommended: Sequence[Mapping[str, Any]], runs: Sequence[str]
) -> str:
    """The section; empty if there is nothing to say. rows: run, stage and file of the evaluation steps; recommended:
    rows of `summary.json`."""
    found: dict[str, tuple[str, str, Thresholds]] = {}
    for run, stage, path in rows:
        if thresholds := read_figures(path).get("thresholds"):
            found[run] = run, stage, thresholds  # of the last stage
    if not found and not recommended:
        return ""
    text = f'<p class="note">{WHAT}</p>' + recommended_html(recommended)
    if found:
        series = [_series(f"{run}, {stage}", runs.index(run), known["pooled"], known["scores"])
                  for run, stage, known in found.values()]  # fmt: skip
        text += training_charts("By score, in percent", series, linear=True)
        text += _errors_html([*found.values()])
        text += "".join(_details(*one) for one in found.values())
    return text


def recommended_html(recommended: Sequence[Mapping[str, Any]]) -> str:
    """A table of the recommended scores, with what they are based on."""
    if not recommended:
        return ""
    rows = []
    for row in recommended:
        cells = ["-"] * 4 if row["score"] is None else [f"{row[name]:.2f}" for name in ("score", *TERMS)]
        basis = BASES.get(row["basis"], "none: nothing right was found")
        rows.append([escape(row["run"]), escape(row["stage"]), escape(basis), *cells])
    header = ["run", "stage", "based on", "recommended score", *TERMS.values()]
    return html_table(header, rows, 3, "recommended scores")


def _series(name: str, place: int, pooled: Mapping[str, Any], scores: Sequence[float]) -> Series:
    terms = {title: np.array([np.nan if v is None else v for v in pooled[key]]) for key, title in TERMS.items()}
    return Series(name, place, np.rint(100 * np.array(scores)).astype(np.int64), terms)


def _errors_html(found: Sequence[tuple[str, str, Thresholds]]) -> str:
    """Numbers of instances of every kind, one line per result."""
    rows = []
    for run, stage, thresholds in found:
        if errors := thresholds.get("errors"):
            numbers = [*(errors["predicted"][kind] for kind in KINDS), errors["true"]["missed"]]
            score = f"{thresholds['pooled']['best']['score']:.2f}"
            rows.append([escape(run), escape(stage), score, *(f"{number:,}" for number in numbers)])
    if not rows:
        return ""
    header = ["run", "stage", "score", *KINDS, "missed"]
    return f'<h3>Errors</h3><p class="note">{ERRORS}</p>' + html_table(header, rows, 2, "kinds of errors")


def _details(run: str, stage: str, thresholds: Thresholds) -> str:
    """Class by class, and the confusions, folded away."""
    title = f"{run}, {stage}: class by class, and which class is taken for which"
    text = _classes_html(thresholds, f"{run}, {stage}: F1 of each class by score")
    if errors := thresholds.get("errors"):
        text += _confusion_html(errors["confusion"], list(thresholds["classes"]), f"{run}, {stage}: confusions")
    return f"<details><summary>{escape(title)}</summary>{text}</details>"


def _classes_html(thresholds: Thresholds, caption: str) -> str:
    """The best score of each class with its figures, and the F1 at some scores."""
    places = [thresholds["scores"].index(score) for score in (0.1, 0.3, 0.5, 0.7, 0.9)]
    rows = []
    for name, known in thresholds["classes"].items():
        best = known["best"] or {}
        cells = [_number(best.get(key)) for key in ("score", *TERMS)]
        rows.append([escape(name), *cells, *(_number(known["f1"][place]) for place in places)])
    header = ["class", "best score", *(f"{title}<br><small>there</small>" for title in TERMS.values())]
    header += [f"F1<br><small>at {thresholds['scores'][place]:.1f}</small>" for place in places]
    return html_table(header, rows, 1, caption)


def _confusion_html(cells: Sequence[Sequence[Any]], names: list[str], caption: str) -> str:
    if len(names) > MOST_CLASSES:
        wrong = [cell for cell in cells if None not in cell and cell[0] != cell[1]]
        wrong.sort(key=lambda cell: -cell[2])
        rows = [[escape(true), escape(predicted), str(number)] for true, predicted, number in wrong[:MOST_CONFUSIONS]]
        return html_table(["true class", "predicted class", "number"], rows, 2, caption)
    numbers = {(true, predicted): number for true, predicted, number in cells}
    columns = [*names, None]
    rows = []
    for true in columns:
        values = [numbers.get((true, predicted), 0) for predicted in columns]
        marked = [f"<b>{v}</b>" if true == predicted and v else str(v or "") for v, predicted in
                  zip(values, columns, strict=True)]  # fmt: skip
        rows.append(["<i>nothing</i>" if true is None else escape(true), *marked])
    header = ["true, below; predicted, right", *map(escape, names), "<i>nothing</i>"]
    return html_table(header, rows, 1, caption)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
