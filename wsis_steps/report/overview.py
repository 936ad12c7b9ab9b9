"""The first screen of the report: what each run came to, and what its result looks like."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any

import pandas as pd

from wsis_steps.evaluation.summary_table import HEADINGS, PROPOSALS
from wsis_steps.evaluation.text_table import base_name, supervision_in_words
from wsis_steps.report.gallery import Column, Subject, sample
from wsis_steps.report.tables import html_table

FIGURES = ("mask_ap50", "miou")  # of a run; a stage has one of them
MAIN = "predictions"  # the result of a run that has this stage; others of the evaluation images lead to it or change it
SAMPLES = 6  # pictures of the strip


def main_figures(table: pd.DataFrame) -> pd.DataFrame:
    """The main figure of each run, one row a run: columns of `summary.csv`, and `share`: of the mean of the runs that
    learn from ground-truth masks alone, in the same kind of stage; NaN if there is none, or for these runs.

    It is a figure of the evaluation images if there are any, of the stage `MAIN` or else the last one.

    table: `summary.csv`, its rows in the order of the stages.
    """
    table = table[table["metric"].isin(FIGURES) & ~table["stage"].str.startswith(PROPOSALS)].dropna(subset="value")
    table = table.assign(kind=table["stage"].str.split("_").str[0], bound=table["supervision"] == "masks")
    places = table.assign(val=table["split"] == "val", main=table["stage"] == MAIN)[["val", "main"]]
    order = places.sort_values(["val", "main"], kind="stable").index
    found = table.loc[order].groupby("run").tail(1).sort_index()
    means = found[found["bound"]].groupby(["kind", "split", "metric"])["value"].mean().rename("upper")
    found = found.merge(means, how="left", on=["kind", "split", "metric"])
    share = found["value"] / found["upper"].where(~found["bound"] & (found["upper"] > 0))
    return found.assign(share=share)


def verdicts_by_run(verdicts: Sequence[Mapping[str, Any]], results: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """What is doubtful about each run, worst first, also in results that it shares. results: run, stage and file."""
    owners: dict[str, list[str]] = {}
    for run, _, path in results:
        owners.setdefault(path, []).append(run)
    found: dict[str, list[str]] = {}
    for row in verdicts:
        for run in dict.fromkeys([row["run"], *owners.get(row["file"], [])]):
            found.setdefault(run, []).append(row["says"])
    return found


def overview_html(
    runs: Sequence[str],
    table: pd.DataFrame,
    supervision: Mapping[str, Sequence[str]],
    doubtful: Mapping[str, list[str]],
) -> str:
    """A line a run: what it learned from, its main figure in percent, the share of its upper bound, and the verdict.

    Runs that differ only in their seed share a line. supervision: of the runs; doubtful: as `verdicts_by_run`.
    """
    found = main_figures(table)
    rows = []
    for name in dict.fromkeys(map(base_name, runs)):
        seeds = [run for run in runs if base_name(run) == name]
        figures = found[found["run"].isin(seeds)]
        cells = [escape(name), escape(supervision_in_words(supervision.get(seeds[0], ())))]
        if len(found):
            cells += _figure(figures) if len(figures) else ["-"] * 3
        rows.append([*cells, _verdict([says for run in seeds for says in doubtful.get(run, [])])])
    header = ["run", "learned from", *(["result", "figure", "share"] if len(found) else []), "verdict"]
    note = "Figures in percent. The upper bound is the same stage, learned from ground-truth masks."
    text = html_table(header, rows, len(header), "what each run came to")
    return f'<div class="lines">{text}</div>' + (f'<p class="note">{note}</p>' if found["share"].notna().any() else "")


def _figure(figures: pd.DataFrame) -> list[str]:
    """Stage, figure and share of some seeds of a run, as HTML."""
    first, values, shares = figures.iloc[0], 100 * figures["value"], 100 * figures["share"]
    spread = f" <small>± {values.std():.1f}</small>" if len(values) > 1 else ""
    split = "" if first["split"] == "val" else ", training images"
    upper = (
        "the upper bound"
        if first["bound"]
        else "-"
        if shares.isna().any()
        else f"{shares.mean():.0f} % of the upper bound"
    )
    return [escape(first["stage"] + split), f"{HEADINGS[first['metric']]} <b>{values.mean():.1f}</b>{spread}", upper]


def _verdict(doubts: list[str]) -> str:
    if not doubts:
        return "nothing doubtful"
    more = f" and {len(doubts) - 1} more" if len(doubts) > 1 else ""
    return f'<a href="#doubtful">doubtful{more}</a>: {escape(doubts[0])}'


def strip_html(
    run: str, columns: Sequence[Column], subjects: Sequence[Subject], class_names: Sequence[str], threshold: float
) -> str:
    """A strip of pictures of a run's result, that of the stage `MAIN` or else the last one; empty if it has none.

    columns: of the subjects' split.
    """
    own = [column for column in columns if run in (name for _, name in column.runs)]
    if not own:
        return ""
    main = next((column for column in own if column.caption == MAIN), own[-1])
    column = replace(main, runs=(), caption=f"{run}: {main.caption}")
    panels = "".join(sample(subject, column, class_names, threshold) for subject in subjects)
    return f'<div class="strip">{panels}</div>'


def strip_run(runs: Sequence[str], columns: Sequence[Column], is_bound: Callable[[str], bool]) -> str | None:
    """The run of the strip: the first that has a result and is no upper bound, else the first with a result."""
    shown = {name for column in columns for _, name in column.runs}
    candidates = [run for run in runs if run in shown]
    return next((run for run in candidates if not is_bound(run)), candidates[0] if candidates else None)
