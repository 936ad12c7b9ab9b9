"""Figures class by class for the report, beside the paper's if published."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from wsis_steps.evaluation.figures import read_figures
from wsis_steps.evaluation.text_table import base_name
from wsis_steps.report.tables import class_table

METRICS = {  # stages to their metric and its name
    "predictions": ("mask_ap50", "Mask AP50"),
    "semantic": ("iou", "IoU"),
}
FEW_CLASSES = 10  # tables of up to this many classes start unfolded


def class_figures_html(
    rows: Sequence[tuple[str, str, Path]],
    class_names: Sequence[str],
    published: Mapping[tuple[str, str, str, str], Mapping[str | None, float]],
) -> str:
    """Tables of the evaluation images: one row per class, one column per run.

    rows: run, stage, file of an evaluation step. published: the papers' figures by class, by run (without a seed),
    stage, split and metric.
    """
    text = ""
    for kind, (metric, name) in METRICS.items():
        columns: dict[tuple[str, str], dict[str | None, float | None]] = {}
        for run, stage, path in rows:
            if not stage.startswith(kind):
                continue
            found = read_figures(path)
            values = dict(found["per_class"].get(metric, {}))
            if found["split"] != "val" or not values:
                continue
            if f"background_{metric}" in found["metrics"]:
                values[None] = found["metrics"][f"background_{metric}"]
            columns[run, stage] = values
            if printed := published.get((base_name(run), stage, "val", metric)):
                columns[base_name(run), "the paper"] = printed
        if columns:
            caption = f"{name} of each class in percent, evaluation images"
            opened = " open" if len(class_names) <= FEW_CLASSES else ""
            background = any(None in values for values in columns.values())
            table = class_table(columns, [None, *class_names] if background else class_names, caption)
            text += f"<details{opened}><summary>{caption}</summary>{table}</details>"
    return text
