"""Figures class by class for the page of the report, beside the paper's where it prints them."""

import json
from collections.abc import Sequence
from pathlib import Path

from wsis_steps.core.errors import InputError
from wsis_steps.evaluation.published import published_classes
from wsis_steps.report.tables import class_table

METRICS = {  # stages to their metric and its name
    "predictions": ("mask_ap50", "Mask AP50"),
    "semantic": ("iou", "IoU"),
}
BACKGROUND = "background"  # a row of its own where a metric has it
FEW_CLASSES = 10  # a table of up to so many is unfolded at first


def read_class_figures(path: Path, metric: str) -> tuple[str, dict[str, float | None]]:
    """Split, and a metric by class name, of an evaluation step's file; empty where it has none of that metric.

    Raises InputError where it is no such file.
    """
    try:
        found = json.loads(path.read_text())
        name = f"{BACKGROUND}_{metric}"
        background = {BACKGROUND: found["metrics"][name]} if name in found["metrics"] else {}
        return found["split"], {**background, **found["per_class"].get(metric, {})}
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; the step that makes it has not run.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} holds no figures; delete it and run again.") from error


def class_figures_html(rows: Sequence[tuple[str, str, Path]], class_names: Sequence[str], dataset: str) -> str:
    """Tables of the evaluation images: a row a class, a column a run. rows: run, stage, file of an evaluation step."""
    text = ""
    for kind, (metric, name) in METRICS.items():
        columns: dict[tuple[str, str], dict[str, float | None]] = {}
        for run, stage, path in rows:
            if not stage.startswith(kind):
                continue
            split, values = read_class_figures(path, metric)
            if split == "val" and values:
                columns[run, stage] = values
                if printed := published_classes(dataset, run, stage, split):
                    columns[run, "the paper"] = printed
        if columns:
            caption = f"{name} of each class in percent, evaluation images"
            opened = " open" if len(class_names) <= FEW_CLASSES else ""
            first = [BACKGROUND] if any(BACKGROUND in values for values in columns.values()) else []
            table = class_table(columns, [*first, *class_names], caption)
            text += f"<details{opened}><summary>{caption}</summary>{table}</details>"
    return text
