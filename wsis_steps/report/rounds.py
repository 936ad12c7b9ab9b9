"""The labels from round to round: their figures against ground truth, and their number."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wsis_steps.evaluation.figures import read_figures
from wsis_steps.report.curves import Series, training_charts
from wsis_steps.vision.contracts.artifact import Artifact
from wsis_steps.vision.contracts.instances import Instances

METRICS = {"mask_ap50": "mask AP50", "abo": "average best overlap", "corloc": "CorLoc"}
_LABELS = "labels/round"
Row = tuple[str, str, Path]  # run, stage, file


def round_of(stage: str) -> int | None:
    """The round of a stage of labels; None for other stages, and for corrected labels."""
    number = stage.removeprefix(_LABELS)
    return int(number) if stage.startswith(_LABELS) and number.isdecimal() else None


def rounds_html(
    made: Sequence[Row], scores: Sequence[Row], artifacts: dict[Path, Artifact], runs: Sequence[str]
) -> str:
    """Charts over the rounds of the runs that have labels: figures on the training images, and instances per image."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    for run, stage, path in made:
        number, labels = round_of(stage), artifacts[path]
        if number is not None and isinstance(labels, Instances) and len(labels):
            found.setdefault(run, {}).setdefault(number, {})["instances an image"] = labels.first[-1] / len(labels)
    for run, stage, path in scores:
        number = round_of(stage)
        if number is not None:
            metrics = read_figures(path)["metrics"]
            known = {name: metrics[key] for key, name in METRICS.items() if metrics.get(key) is not None}
            found.setdefault(run, {}).setdefault(number, {}).update(known)
    if not found:
        return "<p>No run makes labels.</p>"
    series = [_series(run, runs.index(run), rounds) for run, rounds in found.items()]
    note = '<p class="note">Pseudo labels of the training images; x axis: the round that made them.</p>'
    return note + training_charts("labels", series)


def _series(run: str, place: int, rounds: dict[int, dict[str, float]]) -> Series:
    numbers = sorted(rounds)
    names = dict.fromkeys(name for number in numbers for name in rounds[number])
    terms = {name: np.array([rounds[number].get(name, np.nan) for number in numbers]) for name in names}
    return Series(run, place, np.array(numbers), terms)
