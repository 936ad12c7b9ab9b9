"""Figures as HTML tables: the summary as it is printed, every figure, and one metric class by class."""

import math
import re
from collections.abc import Sequence
from html import escape
from itertools import groupby
from pathlib import Path

import pandas as pd

from wsis_steps.engine.errors import InputError

Row = Sequence[str]


def read_table(path: Path, what: str, texts: Sequence[str], numbers: Sequence[str]) -> pd.DataFrame:
    """A CSV file with columns of text and of numbers, NaN if empty; InputError if it is no such file. what: its name in
    the message."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        if missing := [name for name in (*texts, *numbers) if name not in table]:
            raise ValueError(f"it has no column '{missing[0]}'")
        for name in numbers:
            table[name] = pd.to_numeric(table[name].mask(table[name] == ""))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} holds no table of {what} ({' '.join(str(error).split())}); run again.") from error
    return table


def html_table(header: Row, rows: Sequence[Row], text_columns: int, caption: str) -> str:
    """A table that scrolls sideways if it is too wide; cells are HTML, the first columns text, the rest numbers."""

    def line(row: Row, tag: str) -> str:
        cells = [f"<{tag}>{cell}</{tag}>" for cell in row[:text_columns]]
        cells += [f'<{tag} class="number">{cell}</{tag}>' for cell in row[text_columns:]]
        return f"<tr>{''.join(cells)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead>{line(header, 'th')}</thead><tbody>{body}</tbody></table></div>"
    )


def summary_html(markdown: str, caption: str) -> str:
    """The tables of `summary.md` and the notes under them.

    markdown: consecutive lines that begin with `|` are a table whose second line aligns the columns (`---:` for
    numbers); the other lines are notes. A table without rows is left out.
    """
    lines = markdown.splitlines()
    blocks = [(table, list(block)) for table, block in groupby(lines, lambda line: line.startswith("|"))]
    tables = "".join(_summary_table(block, caption) for table, block in blocks if table and len(block) > 2)
    notes = [line for line in lines if line and not line.startswith("|")]
    return tables + "".join(f"<p class='note'>{escape(line)}</p>" for line in notes)


def _summary_table(lines: list[str], caption: str) -> str:
    """A table as HTML; one that is not about runs says so in its caption."""
    table = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    header, rules, *rows = ([escape(cell) for cell in line] for line in table)
    text_columns = sum(not re.fullmatch(r"-+:", rule) for rule in rules)
    quiet = [[re.sub(r"(\(.*\)|± [\d.]+)", r"<small>\1</small>", cell) for cell in row[text_columns:]] for row in rows]
    rows = [row[:text_columns] + cells for row, cells in zip(rows, quiet, strict=True)]
    return html_table(header, rows, text_columns, caption if header[0] == "run" else f"{header[0]}: {caption}")


def all_figures_html(rows: pd.DataFrame, caption: str) -> str:
    """Every figure of `summary.csv` as a fraction with four decimals: one line per run, stage and split.

    rows: columns run, stage, split, metric (text) and value (float, NaN if there is none).
    """
    key = ["run", "stage", "split"]
    metrics = list(dict.fromkeys(rows["metric"]))
    lines = []
    for names, line in rows.groupby(key, sort=False):
        values = dict(zip(line["metric"], line["value"].astype(float), strict=True))
        lines.append([*map(escape, names), *(_number(values.get(metric, math.nan)) for metric in metrics)])
    return html_table([*key, *map(escape, metrics)], lines, len(key), caption)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def class_table(
    columns: dict[tuple[str, str], dict[str | None, float | None]], class_names: Sequence[str | None], caption: str
) -> str:
    """One metric class by class: run and stage to fractions by class name (None: the background); a bar lies under each
    number."""
    rows = []
    for name in class_names:
        cells = []
        for values in columns.values():
            value = values.get(name)
            share = 0.0 if value is None else 100 * value
            text = "-" if value is None else f"{share:.1f}"
            cells.append(f'<span class="bar" style="--share:{share:.1f}%">{text}</span>')
        rows.append(["<i>background</i>" if name is None else escape(name), *cells])
    header = [f"{escape(run)}<br><small>{escape(stage)}</small>" for run, stage in columns]
    return html_table(["class", *header], rows, 1, caption)
