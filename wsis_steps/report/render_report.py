"""Renders the report: figures, curves, and each run's results on every image.

in   images   images.h5
     truth    true instances of the training and of the evaluation images; empty if there are none
     summary  summary.csv: every figure
     text     summary.md: the main figures in percent, beside the paper's
     listing  names all other files
     costs    cost.csv: the costs of each step
     digest   cost.json: the digest of cost.csv
     verdicts summary.json: verdicts
out  page     an HTML file
     cards    a folder beside it: one file per image, which the page loads on demand
"""

import json
from html import escape
from pathlib import Path

from pandas import DataFrame

from wsis_steps.drawing.colors import class_colors
from wsis_steps.engine.documents import check_table
from wsis_steps.engine.step import Job, Step
from wsis_steps.evaluation.figures import published_classes, read_listing, read_recommended, read_verdicts
from wsis_steps.evaluation.summary_table import COLUMNS, PROPOSALS
from wsis_steps.evaluation.text_table import supervision_in_words
from wsis_steps.report.class_figures import class_figures_html
from wsis_steps.report.columns import columns_by_split, open_artifact, read_truth
from wsis_steps.report.costs import costs_html
from wsis_steps.report.curves import read_series, training_charts
from wsis_steps.report.gallery import Column
from wsis_steps.report.image_gallery import choose, gallery_html, last_instances, starting_threshold, subject_of
from wsis_steps.report.next_images import next_html
from wsis_steps.report.overview import MAIN, SAMPLES, overview_html, strip_html, strip_run, verdicts_by_run
from wsis_steps.report.page import page
from wsis_steps.report.rounds import rounds_html
from wsis_steps.report.score_choice import scores_html
from wsis_steps.report.settings import ReportRenderReport
from wsis_steps.report.tables import all_figures_html, html_table, read_table, summary_html
from wsis_steps.report.texts import KEYS, MARKS, lead, legend
from wsis_steps.report.verdicts import verdicts_html
from wsis_steps.vision.contracts.artifact import Artifact
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.images import Pictures

STEP = Step(
    "report_render_report",
    ReportRenderReport,
    inputs=("images", "truth", "summary", "text", "listing", "costs", "digest", "verdicts"),
    several=("truth",),
    outputs=("page", "cards"),
)
Row = tuple[str, str, Path]  # run, stage, file
FOLDER = "report_images"  # folder of the cards, beside the page


def figures_html(job: Job, table: DataFrame, rows: list[Row], class_names: tuple[str, ...], listing: dict) -> str:
    """The summary, the main figures class by class and, folded away, every figure."""
    text = summary_html(job.inputs["text"].read_text(encoding="utf-8"), "main figures in percent")
    text += f'<p class="note">{legend(listing["stages"], listing["pairs"])}</p>'
    text += class_figures_html(rows, class_names, published_classes(listing))
    of_proposals = table["stage"].str.startswith(PROPOSALS)
    every = all_figures_html(table[~of_proposals], "every figure as a fraction")
    if of_proposals.any():  # a separate table: they have many figures of their own
        every += all_figures_html(table[of_proposals], "every figure of proposals as a fraction")
    return f"{text}<details><summary>Every figure, as in summary.csv</summary>{every}</details>"


def curves_html(rows: list[Row], runs: list[str]) -> str:
    """Charts of every training step; runs that share a training share its line."""
    if not rows:
        return "<p>No run trains a network.</p>"
    owners: dict[tuple[str, Path], list[str]] = {}
    for run, stage, path in rows:
        owners.setdefault((stage, path), []).append(run)
    stages: dict[str, list] = {}
    for (stage, path), names in owners.items():
        stages.setdefault(stage, []).append(read_series(path, ", ".join(names), runs.index(names[0])))
    note = '<p class="note">Each point is the mean since the previous point; x axis: iterations.</p>'
    return note + "".join(training_charts(stage, series) for stage, series in stages.items())


def settings_cell(settings: str) -> str:
    """HTML of settings in canonical JSON."""
    values = ", ".join(f"{name}: {json.dumps(value)}" for name, value in json.loads(settings).items())
    return f"<code>{escape(values)}</code>"


def origins_html(rows: list[Row], artifacts: dict[Path, Artifact], trainings: list[list[str]]) -> str:
    """The step behind each result of a run, with its settings and supervision; then the trainings of each run."""
    lines, told = [], set()
    for run, stage, path in rows:
        if path in told or isinstance(artifacts[path], Images):
            continue
        told.add(path)
        attributes = artifacts[path].attributes
        cells = [run, stage, attributes["step"], supervision_in_words(artifacts[path].supervision)]
        lines.append([*map(escape, cells), settings_cell(attributes["settings"])])
    for *cells, settings in trainings:
        lines.append([*map(escape, cells), "", settings_cell(settings)])
    table = html_table(["run", "stage", "step", "supervision", "settings"], lines, 5, "origin of each result")
    return f"<details><summary>Steps, supervision and settings</summary>{table}</details>"


def first_screen(
    job: Job, table: DataFrame, listing: dict, artifacts: dict[Path, Artifact], columns: list[Column], images: Images
) -> str:
    """What each run came to and, if there are figures, pictures of a result. columns: of the evaluation images."""
    runs = list(dict.fromkeys(run for run, *_ in listing["results"]))
    results = sorted(listing["results"], key=lambda row: row[1] == MAIN)  # the main one of a run, else its last one
    supervision = {run: artifacts[Path(path)].supervision for run, _, path in results
                   if Path(path) in artifacts and not isinstance(artifacts[Path(path)], Images)}  # fmt: skip
    doubtful = verdicts_by_run(read_verdicts(job.inputs["verdicts"]), listing["results"])
    text = overview_html(runs, table, supervision, doubtful)
    run = strip_run(runs, columns, lambda name: list(supervision.get(name, ())) == ["masks"])
    if not len(table) or run is None:
        return text
    pictures = Pictures(images)
    subjects = [subject_of(images, pictures, i, "strip") for i in choose(images, "val", SAMPLES).tolist()]
    predictions = last_instances([(r, s, Path(p)) for r, s, p in listing["results"] if p.endswith(".h5")],
                                 artifacts, images)["val"]  # fmt: skip
    return text + strip_html(run, columns, subjects, images.class_names, starting_threshold(list(predictions.values())))


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
    check_table(job.inputs["summary"], job.inputs["verdicts"])
    check_table(job.inputs["costs"], job.inputs["digest"])
    table = read_table(job.inputs["summary"], "figures", COLUMNS[:-1], COLUMNS[-1:])
    overview = first_screen(job, table, wanted, artifacts, columns["val"], images)
    following = next_html(made, artifacts, images)
    chosen = scores_html(scores, read_recommended(job.inputs["verdicts"]), runs)
    doubtful = verdicts_html(read_verdicts(job.inputs["verdicts"]), job.outputs["page"].parent)
    sections = [
        ("overview", "What you got", overview),
        *([("doubtful", "Doubtful", doubtful)] if doubtful else []),
        *([("figures", "Figures", figures_html(job, table, scores, images.class_names, wanted))] if len(table) else []),
        *([("scores", "Which score?", chosen)] if chosen else []),
        *([("next", "Which image next?", following)] if following else []),
        ("rounds", "Rounds", rounds_html(made, scores, artifacts, runs)),
        ("losses", "Losses", curves_html(metrics, runs)),
    ]
    results = last_instances(made, artifacts, images)
    folder = job.outputs["cards"]
    bar, index = gallery_html(
        folder, FOLDER, images=images, columns=columns, results=results, truth=truth, runs=runs,
        count=job.settings.images, threads=job.threads, progress=job.progress,
        first="val" if truth else "train",
    )  # fmt: skip
    stages = "" if len(table) else f'<p class="note">{legend(wanted["stages"])}</p>'  # else it is beside the figures
    gallery = ("images", "Images", f'{stages}<p class="note">{MARKS}</p><p class="note">{KEYS}</p>{bar}')
    # without figures the pictures are the result
    sections.insert(len(sections) if truth else 1, gallery)
    sections.append(("costs", "Costs", costs_html(job.inputs["costs"])))
    sections.append(("origins", "Origins", origins_html(made, artifacts, wanted["trainings"])))
    text = page(
        f"{wanted['dataset']}: instance masks from weak annotations", lead(images, runs, truth), sections, index,
        large="" if truth else "images",
    )  # fmt: skip
    job.outputs["page"].write_text(text, encoding="utf-8")


if __name__ == "__main__":
    STEP.run(main)
