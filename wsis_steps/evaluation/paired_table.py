"""Paired differences between runs as a Markdown table."""

from collections.abc import Mapping, Sequence

import pandas as pd

from wsis_steps.evaluation.paired_differences import LEVEL, Difference, paired_difference
from wsis_steps.evaluation.text_table import aligned, base_name

Pair = Sequence[str]  # run, the run that it is compared with, stage, split
TITLE = "paired differences"
NOTE = (
    "Paired differences in percentage points: a run minus the run it is compared with, of the same seed; the mean over "
    "seeds, ± its standard error.\n"
    "Wherever their settings do not differ, both runs of a pair have the same initial weights, order of images and "
    "random numbers, so chance effects common to both cancel.\n"
    f"? not significant: one seed, or a two-sided paired t-test has p of {LEVEL:g} or more. By chance, one in twenty "
    "differences without any effect has no ?."
)


def paired_table(rows: pd.DataFrame, pairs: Sequence[Pair], headings: Mapping[str, str]) -> str:
    """One line per pair of runs, stage and split, one column per metric of `headings`; empty if no pair has figures.

    rows: run, stage, split, metric, value (fractions, NaN if there is none). Pairs of runs that differ only in their
    seed become one line. A cell with fewer seeds than its line gives their number.
    """
    values = rows.set_index(["run", "stage", "split", "metric"])["value"].astype(float)
    lines: dict[tuple[str, ...], list[Pair]] = {}
    for pair in pairs:
        run, other, stage, split = pair
        lines.setdefault((base_name(run), base_name(other), stage, split), []).append(pair)
    found = {key: _differences(values, seeds, headings) for key, seeds in lines.items()}
    found = {key: differences for key, differences in found.items() if any(d.count for d in differences.values())}
    metrics = [metric for metric in headings if any(differences[metric].count for differences in found.values())]
    with_split = len({split for *_, split in found}) > 1
    cells = []
    for (run, other, stage, split), differences in found.items():
        seeds = max(difference.count for difference in differences.values())
        text = [run, other, stage] + [split] * with_split
        cells.append([*text, str(seeds), *(_cell(differences[metric], seeds) for metric in metrics)])
    header = [TITLE, "against", "stage"] + ["split"] * with_split
    names = [*header, "seeds", *(headings[metric] for metric in metrics)]
    return aligned(names, cells, len(header)) if cells else ""


def _differences(values: pd.Series, pairs: Sequence[Pair], metrics: Mapping[str, str]) -> dict[str, Difference]:
    """The difference by metric over the pairs, which differ only in their seeds."""
    found = {}
    for metric in metrics:
        own = [values.get((run, stage, split, metric), float("nan")) for run, _, stage, split in pairs]
        others = [values.get((other, stage, split, metric), float("nan")) for _, other, stage, split in pairs]
        found[metric] = paired_difference(own, others)
    return found


def _cell(difference: Difference, seeds: int) -> str:
    if not difference.count:
        return "-"
    text = f"{difference.mean * 100:+.1f}"
    if difference.count > 1:
        text += f" ± {difference.error * 100:.1f}"
    if difference.count < seeds:
        text += f" ({difference.count} seed{'s' * (difference.count > 1)})"
    return text if difference.told else f"{text} ?"
