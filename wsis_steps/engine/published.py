"""What papers print, from the `published.csv` beside a chain: a row a figure."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

BACKGROUND = "background"  # the class that is none, in the table


@dataclass(frozen=True)
class Published:
    """What is printed of one run at one stage: metric names to fractions, and where."""

    values: Mapping[str, float]
    source: str
    per_class: Mapping[str, Mapping[str | None, float]] = field(default_factory=dict)
    """Fractions class by class, by metric; None: the background."""


def read_published(chain: str) -> dict[tuple[str, str, str, str], Published]:
    """The figures beside a chain, whose `__file__` is given: by data set, run, stage and split, as in `summary.csv`.

    A row holds names of data sets apart by spaces, a run, stage, split, metric, a class (empty: the figure of all),
    percent as printed, and the source. ValueError where a figure stands there twice.
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
