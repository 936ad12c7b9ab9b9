"""Renders the page of first results, which needs only the classifier's training: maps, cues and first labels.

in   images   images.h5
     truth    true instances of the training images; empty if there are none
     listing  names the results, and the tag audits
out  page     an HTML file: verdicts, and each run's results on training images
     cards    a folder beside it: one file per image, which the page loads on demand
"""

import os
from html import escape
from pathlib import Path

from wsis_steps.drawing.colors import class_colors
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job, Step
from wsis_steps.evaluation.figures import read_listing
from wsis_steps.evaluation.verdicts import verdict_rows
from wsis_steps.report.columns import columns_by_split, open_artifact, read_truth
from wsis_steps.report.image_gallery import gallery_html, last_instances
from wsis_steps.report.page import page
from wsis_steps.report.settings import ReportRenderFirstLook
from wsis_steps.report.texts import KEYS, MARKS
from wsis_steps.report.verdicts import verdicts_html
from wsis_steps.vision.contracts.images import Images

STEP = Step(
    "report_render_first_look",
    ReportRenderFirstLook,
    inputs=("images", "truth", "listing"),
    outputs=("page", "cards"),
)
FOLDER = "first_look_images"  # folder of the cards, beside the page
WHAT = (
    "<p>Before anything learns from the labels: do the activation maps lie on the objects, do cues, if there are any, "
    "mark one object each, do the semantic maps end where the objects end, and does nearly every image have labels? "
    "Errors here persist in all later stages.</p>"
)


def audit_links(audits: list[Path], folder: Path) -> str:
    """HTML links to the pages of tag audits from a page in `folder`."""
    links = (os.path.relpath(path.with_suffix(".html"), folder) for path in audits)
    pages = ", ".join(f'<a href="{escape(link)}">{escape(link)}</a>' for link in links)
    return f"<p>Tags that the classifier doubts, and how well it recognizes each class: {pages}.</p>" if pages else ""


def main(job: Job) -> None:
    wanted = read_listing(job.inputs["listing"])
    rows = [(run, stage, Path(path)) for run, stage, path in wanted["first"]]
    if not rows:
        raise InputError("There is no first look: no run makes maps or labels from the tag classifier alone.")
    runs, images = list(dict.fromkeys(run for run, *_ in rows)), Images(job.inputs["images"])
    artifacts = {path: open_artifact(path) for _, _, path in rows}
    colors, truth = class_colors(len(images.class_names)), read_truth([job.inputs["truth"]], images)
    columns = columns_by_split(rows, runs, artifacts, images, truth, colors)
    results, folder = last_instances(rows, artifacts, images), job.outputs["page"].parent
    tools, index = gallery_html(
        job.outputs["cards"], FOLDER, images=images, columns={"train": columns["train"]}, results=results, truth=truth,
        runs=runs, count=job.settings.images, threads=job.threads, progress=job.progress,
    )  # fmt: skip
    shown, audits = {str(path) for *_, path in rows}, [row for row in wanted["judged"] if row[1] == "tags"]
    doubtful = verdicts_html(
        verdict_rows([*audits, *(row for row in wanted["judged"] if row[2] in shown)]), folder
    )  # fmt: skip
    sections = [("doubtful", "Doubtful", doubtful or "<p>No figure is beyond its limit.</p>")]
    sections.append(("images", "Images", f'<p class="note">{MARKS}</p><p class="note">{KEYS}</p>{tools}'))
    lead = WHAT + audit_links([Path(path) for *_, path in audits], folder)
    job.outputs["page"].write_text(page(f"{wanted['dataset']}: a first look", lead, sections, index), encoding="utf-8")


if __name__ == "__main__":
    STEP.run(main)
