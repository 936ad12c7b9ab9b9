"""Figures from papers, read from the `published.csv` beside a chain, one row per figure."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

BACKGROUND = "background"  # name of the background in the table


@dataclass(frozen=True)
class Published:
    """Published figures of one run at one stage, as fractions by metric, and their source."""

    values: Mapping[str, float]
    source: str
    per_class: Mapping[str, Mapping[str | None, float]] = field(default_factory=dict)
    """Fractions by metric and class; class None is the background."""


def read_published(chain: str) -> dict[tuple[str, str, str, str], Published]:
    """The figures beside a chain, by data set, run, stage and split, named as in `summary.csv`. chain: its `__file__`.

    A row holds data set names separated by spaces, run, stage, split, metric, class (empty: over all classes),
    percent as printed, and source. Raises ValueError if a figure occurs twice.
    """
    path = Path(chain).with_name("published.csv")
    figures: dict[tuple[str, str, str, str], dict[tuple[str, str], float]] = {}
    sources: dict[tuple[str, str, str, str], dict[str, None]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for dataset in row["dataset"].split():
                key, name = (dataset, row["run"], row["stage"], row["split"]), (row["metric"], row["class"])
                if name in figures.setdefault(key, {}):
                    raise ValueError(f"{path} has {' '.join((*key, *name)).strip()} twice")
                figures[key][name] = round(float(row["percent"]) / 100, 6)
                sources.setdefault(key, {})[row["source"]] = None
    return {key: _published(found, "; ".join(sources[key])) for key, found in figures.items()}


def _published(figures: Mapping[tuple[str, str], float], source: str) -> Published:
    """figures: fractions by metric and class."""
    values = {metric: value for (metric, name), value in figures.items() if not name}
    classes: dict[str, dict[str | None, float]] = {}
    for (metric, name), value in figures.items():
        if name:
            classes.setdefault(metric, {})[None if name == BACKGROUND else name] = value
    return Published(values, source, classes)
