"""Renders the page a person opens: figures, loss curves, and what each run makes of the first images.

in   images   images.h5
     truth    true instances of the training and of the evaluation images; empty where there are none
     summary  summary.csv: every figure
     text     summary.md: the main figures in percent, beside the paper's
     listing  names all other files
     costs    cost.csv: what each step took
out  page     one HTML file that needs no other
"""

import json
import math
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from wsis_steps.core.artifact import Artifact
from wsis_steps.core.images import Pictures
from wsis_steps.core.step import Job, Step
from wsis_steps.core.store import Images, Instances
from wsis_steps.evaluation.figures import read_listing
from wsis_steps.evaluation.summary_table import PROPOSALS
from wsis_steps.report.class_figures import class_figures_html
from wsis_steps.report.columns import columns_by_split, open_artifact, split_of
from wsis_steps.report.costs import costs_html
from wsis_steps.report.curves import read_series, training_charts
from wsis_steps.report.gallery import Column, Subject, card, class_chips, run_chips
from wsis_steps.report.page import page, tools
from wsis_steps.report.pictures import class_colors
from wsis_steps.report.tables import all_figures_html, html_table, summary_html
from wsis_steps.settings.evaluation import ReportRenderReport

STEP = Step(
    "report_render_report",
    ReportRenderReport,
    inputs=("images", "truth", "summary", "text", "listing", "costs"),
    several=("truth",),
    outputs=("page",),
)
Row = tuple[str, str, Path]  # run, stage, file
SPLITS = {"val": "evaluation", "train": "training"}
UNKNOWN = {
    "val": "There are no true masks of the evaluation images: how good the predictions are cannot be known, only seen.",
    "train": "There are no true masks of the training images: how good the pseudo labels are cannot be known.",
}
STAGES = (
    "Stages: <b>semantic</b>, semantic maps, of the training images with their tags; <b>labels/round00</b>, the first "
    "pseudo labels, and <b>round01</b> and on, what the network of the round before makes of the training images; "
    "<b>predictions_direct</b>, that network on the evaluation images; <b>predictions</b>, a Mask R-CNN trained on "
    "the last labels."
)

MARKS = (
    "Marks: the color of a class fills its activation maps (the brighter the stronger), its regions of a semantic map "
    "and its instances; a disc is a cue or a point; grey with a dashed border is unsure or ignored. Names carry the "
    "score where predictions are scored. Click a picture to see it large."
)


def read_truth(paths: list[Path], images: Images) -> dict[str, Instances]:
    """The true instances by the split of their images; a split without truth is left out."""
    opened = [truth for truth in map(Instances, paths) if len(truth)]
    return {split_of(truth, images): truth for truth in opened}


def lead(images: Images, runs: list[str], truth: dict[str, Instances]) -> str:
    """What the page is about, in a few sentences of HTML."""
    counts = " and ".join(f"{len(images.members(split)):,} {word}" for split, word in SPLITS.items())
    names = ", ".join(map(escape, images.class_names))
    text = f"<p>{counts} images of {len(images.class_names)} classes: {names}.</p>"
    text += f"<p>Runs: {', '.join(map(escape, runs))}.</p>"
    return text + "".join(f"<p><b>{UNKNOWN[split]}</b></p>" for split in SPLITS if split not in truth)


def figures_html(job: Job, rows: list[Row], class_names: tuple[str, ...], dataset: str) -> str:
    """The summary, the main figures class by class and, folded away, every figure."""
    table = pd.read_csv(job.inputs["summary"], dtype=str, keep_default_na=False)
    if not len(table):
        return "<p>None: figures need true masks to compare with.</p>"
    table["value"] = pd.to_numeric(table["value"], errors="coerce")
    text = summary_html(job.inputs["text"].read_text(encoding="utf-8"), "main figures in percent")
    text += f'<p class="note">{STAGES}</p>'
    text += class_figures_html(rows, class_names, dataset)
    of_proposals = table["stage"].str.startswith(PROPOSALS)
    every = all_figures_html(table[~of_proposals], "every figure as a fraction")
    if of_proposals.any():  # a table of their own: they have many figures that nothing else has
        every += all_figures_html(table[of_proposals], "every figure of proposals as a fraction")
    return f"{text}<details><summary>Every figure, as in summary.csv</summary>{every}</details>"


def curves_html(rows: list[Row], runs: list[str]) -> str:
    """Charts of every training step; runs that share a training share its line."""
    owners: dict[tuple[str, Path], list[str]] = {}
    for run, stage, path in rows:
        owners.setdefault((stage, path), []).append(run)
    stages: dict[str, list] = {}
    for (stage, path), names in owners.items():
        stages.setdefault(stage, []).append(read_series(path, ", ".join(names), runs.index(names[0])))
    note = '<p class="note">Each point is the mean since the point before; across, iterations.</p>'
    return note + "".join(training_charts(stage, series) for stage, series in stages.items())


def starting_threshold(predictions: list[Instances]) -> float:
    """The score below which predictions are hidden at first: 0.3, or less where a run would show nothing on half of the
    images for which it has any."""
    best = [[instances.scores.max() for instances in run if len(instances)] for run in predictions]
    return min(0.3, math.floor(20 * min((float(np.median(scores)) for scores in best if scores), default=1)) / 20)


def gallery_html(images: Images, split: str, count: int, columns: list[Column], threshold: float) -> str:
    """The first `count` images of a split with all that the runs made of them."""
    members = images.members(split)[:count]
    pictures = Pictures(images, members)
    cards = []
    for i in members.tolist():
        tags = tuple(images.tags[i].nonzero()[0].tolist())
        subject = Subject(f"picture{i}", images.ids[i], pictures.read(i), tags)
        cards.append(card(subject, columns, images.class_names, threshold))
    total = len(images.members(split))
    return f"<p>{len(cards)} of {total:,} images.</p>{''.join(cards)}"


def settings_cell(settings: str) -> str:
    """HTML of settings in canonical JSON."""
    values = ", ".join(f"{name}: {json.dumps(value)}" for name, value in json.loads(settings).items())
    return f"<code>{escape(values)}</code>"


def origins_html(rows: list[Row], artifacts: dict[Path, Artifact], trainings: list[list[str]]) -> str:
    """Which step made each result of a run, with which settings and supervision; then the trainings of each run."""
    lines, told = [], set()
    for run, stage, path in rows:
        if path in told or isinstance(artifacts[path], Images):
            continue
        told.add(path)
        attributes = artifacts[path].attributes
        supervision = " + ".join(artifacts[path].supervision) or "none"
        cells = [run, stage, attributes["step"], supervision]
        lines.append([*map(escape, cells), settings_cell(attributes["settings"])])
    for *cells, settings in trainings:
        lines.append([*map(escape, cells), "", settings_cell(settings)])
    table = html_table(["run", "stage", "step", "supervision", "settings"], lines, 5, "how each result was made")
    return f"<details><summary>Steps, supervision and settings</summary>{table}</details>"


def main(job: Job) -> None:
    wanted = read_listing(job.inputs["listing"])
    rows = [(run, stage, Path(path)) for run, stage, path in wanted["results"]]
    scores = [(run, stage, Path(path)) for run, _, stage, path in wanted["figures"]]
    runs = list(dict.fromkeys(run for run, *_ in rows))
    images = Images(job.inputs["images"])
    truth = read_truth(job.inputs["truth"], images)
    metrics = [row for row in rows if row[2].suffix == ".jsonl"]
    made = [row for row in rows if row[2].suffix == ".h5"]
    artifacts = {path: open_artifact(path) for _, _, path in made}
    colors = class_colors(len(images.class_names))
    columns = columns_by_split(made, runs, artifacts, images, truth, colors)
    sections = [
        ("figures", "Figures", figures_html(job, scores, images.class_names, wanted["dataset"])),
        ("losses", "Losses", curves_html(metrics, runs)),
    ]
    predicted = {path: artifacts[path] for _, stage, path in made if stage.startswith("predictions")}
    threshold = starting_threshold(list(predicted.values()))
    count = sum(min(len(images.members(split)), job.settings.images) for split in SPLITS)
    bar = tools([("class", class_chips(images.class_names, colors)), ("run", run_chips(runs))], threshold, count)
    galleries = "".join(
        f"<h3>{word.capitalize()} images</h3>"
        f"{gallery_html(images, split, job.settings.images, columns[split], threshold)}"
        for split, word in SPLITS.items()
    )
    sections.append(("images", "Images", f'<p class="note">{MARKS}</p>{bar}{galleries}'))
    sections.append(("costs", "Costs", costs_html(job.inputs["costs"])))
    sections.append(("origins", "Origins", origins_html(made, artifacts, wanted["trainings"])))
    text = page(f"{wanted['dataset']}: instance masks from weak annotations", lead(images, runs, truth), sections)
    job.outputs["page"].write_text(text, encoding="utf-8")


if __name__ == "__main__":
    STEP.run(main)
