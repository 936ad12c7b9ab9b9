"""Ranks the images whose tags the classifier disagrees with: missing tags, and tags of objects that are not visible.

in   images    images.h5: all images and their tags
     model     of classifier_train
     features  of classifier_extract; only for a frozen classifier, which then sees the training images through them
out  table   CSV: image, split, class, tagged (yes or no), probability (0 to 1); the largest disagreement first
     page    an HTML page of the first of them, with their pictures, and of how well each class is recognized
             Both call the images what the imported annotations call them, such as tags.csv.
     scores  JSON: average precision of each class on the evaluation images, also by chance, and the number tagged

A classifier has learned the tags of the training images, also wrong ones, so it doubts them less than those of
evaluation images, which it has not seen.
"""

import csv
import logging
from dataclasses import asdict
from html import escape
from typing import Any

import numpy as np
import torch

from wsis_steps.classifier.linear import check_features
from wsis_steps.classifier.network import Classifier, load_classifier
from wsis_steps.classifier.settings import ClassifierAuditTags, ClassifierTrain
from wsis_steps.classifier.tag_precision import ORDERS, PERCENTILE, chance_precision, tag_precision
from wsis_steps.classifier.views import views_of
from wsis_steps.engine.documents import write_document
from wsis_steps.engine.names import as_cell
from wsis_steps.engine.step import Job, Step
from wsis_steps.report.page import page
from wsis_steps.report.pictures import jpeg_address
from wsis_steps.report.tables import html_table
from wsis_steps.vision.batches import read_ahead
from wsis_steps.vision.contracts.agreement import check_same_classes, places
from wsis_steps.vision.contracts.features import Features
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.device import autocast, choose_device
from wsis_steps.vision.finite import check_outputs
from wsis_steps.vision.images import Pictures
from wsis_steps.vision.models import TrainedModel, load_model, settings_of

log = logging.getLogger("wsis")

STEP = Step(
    "classifier_audit_tags",
    ClassifierAuditTags,
    inputs=("images", "model"),
    optional=("features",),
    outputs=("table", "page", "scores"),
)
BATCH = 8  # images at once; changes only speed
SIDE = 240  # longer side in pixels of a picture on the page


def predict(job: Job, images: Images, trained: TrainedModel) -> np.ndarray:
    """Probability of each class on each image, float32 (images, classes)."""
    settings = settings_of(trained, ClassifierTrain)
    device = choose_device(job.threads, fixed_sizes=not settings.frozen)
    model = load_classifier(trained).to(device).eval()
    views = views_of(settings, model.backbone, job.settings.size or settings.crop)
    logits, left = torch.zeros(len(images), len(images.class_names)), np.arange(len(images))
    if job.inputs["features"]:
        members, known = logits_of_features(Features(job.inputs["features"]), images, settings, model)
        logits[members], left = known, np.setdiff1d(left, members)
    turns = 1 if settings.frozen else 2  # its features, too, are of images that are not mirrored
    for view in views:
        batches = read_ahead(Pictures(images), left, view, job.threads, BATCH)
        for indices, pictures in job.progress(batches, len(left), size=lambda batch: len(batch[0])):
            normalized = model.backbone.normalize(pictures.to(device))
            with torch.inference_mode(), autocast(device):
                found = sum(model(normalized.flip(-1) if turn else normalized)[0] for turn in range(turns))
            logits[indices] += found.float().cpu() / (turns * len(views))
    check_outputs(logits)
    return logits.sigmoid().numpy()


def logits_of_features(
    features: Features, images: Images, settings: ClassifierTrain, model: Classifier
) -> tuple[np.ndarray, torch.Tensor]:
    """The images that have features, and the logits float32 (n, classes) of each, the mean over its sizes."""
    check_features(features, images, settings, model.backbone)
    device, found = next(model.head.parameters()).device, []
    for i in range(len(features)):
        with torch.inference_mode():
            maps = [model.head(torch.from_numpy(one)[None].float().to(device)) for one in features.read(i)]
        found.append(torch.stack([one.mean(dim=(2, 3))[0] for one in maps]).mean(dim=0).cpu())
    return places(images, features), torch.stack(found)


def disagreements(tags: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Rows int64 (n, 2) of image and class where the classifier disagrees with the tag, most confident first.

    tags bool, probabilities 0 to 1, both (images, classes).
    """
    doubt = np.where(tags, 1 - probabilities, probabilities)
    rows = np.argwhere(doubt > 0.5)
    return rows[np.argsort(-doubt[tuple(rows.T)], kind="stable")]


def score(class_names: tuple[str, ...], tags: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """How well each class is recognized, as JSON values; None for NaN. tags bool, probabilities 0 to 1, both (images,
    classes)."""
    chance, limit = chance_precision(tags)
    found = {"average_precision": tag_precision(tags, probabilities), "chance": chance, "chance_limit": limit}

    def by_class(values: list) -> dict:
        return {name: None if np.isnan(value) else value for name, value in zip(class_names, values, strict=True)}

    document = {"images": len(tags), "tagged": by_class(tags.sum(axis=0).tolist())}
    return document | {name: by_class(values.tolist()) for name, values in found.items()}


def precision_html(scores: dict[str, Any]) -> str:
    """An HTML table of the classes in the scores."""
    columns = [scores[name] for name in ("average_precision", "chance", "chance_limit")]
    rows = []
    for name, count in scores["tagged"].items():
        percent = ["-" if column[name] is None else f"{100 * column[name]:.1f}" for column in columns]
        rows.append([escape(name), str(count), *percent])
    header = ["class", "evaluation images with the tag", "average precision", "by chance", "to exceed"]
    note = (
        f"By chance: mean of {ORDERS} random orders of these images, in percent. A class is doubtful if its precision "
        f"does not exceed their {PERCENTILE}th percentile."
    )
    title = f"how well the classifier recognizes each class on {scores['images']:,} evaluation images"
    return html_table(header, rows, 1, title) + f'<p class="note">{note}</p>'


def render(images: Images, rows: np.ndarray, probabilities: np.ndarray, shown: int, classes: str) -> str:
    """The page: a summary of the classes (HTML), and a picture and a sentence for each of the first `shown`
    disagreements."""
    pictures, cards = Pictures(images), []
    for i, category in rows[:shown].tolist():
        name, share = escape(images.class_names[category]), f"{100 * probabilities[i, category]:.0f} %"
        tagged = images.tags[i, category]
        tagged_as, only = ("tagged", "only ") if tagged else ("not tagged", "")
        said = f"{tagged_as} <b>{name}</b>, but the classifier gives it {only}{share}"
        tags = ", ".join(escape(images.class_names[k]) for k in images.tags[i].nonzero()[0]) or "none"
        image = escape(images.names[i])
        cards.append(
            f'<figure class="chart"><img alt="image {image}" src="{jpeg_address(pictures.read(i), SIDE)}" '
            f'style="width:100%"><figcaption><span>{said}</span></figcaption><p class="note">{image} '
            f"({images.splits[i]}); its tags: {tags}</p></figure>"
        )
    lead = (
        f"<p>{len(rows):,} of {images.tags.size:,} answers of the classifier disagree with the tags; the "
        f"{len(cards)} most confident are below, all of them are in tag_audit.csv. The classifier was trained on the "
        "tags of the training images, so it doubts wrong ones among them less.</p>"
    )
    sections = [("classes", "Classes", classes), ("images", "Images", f'<div class="charts">{"".join(cards)}</div>')]
    return page("Tags to look at", lead, sections)


def main(job: Job) -> None:
    images, trained = Images(job.inputs["images"]), load_model(job.inputs["model"], "classifier_train")
    check_same_classes(images, trained)
    probabilities = predict(job, images, trained)
    rows, val = disagreements(images.tags, probabilities), images.members("val")
    scores = score(images.class_names, images.tags[val], probabilities[val])
    with job.outputs["table"].open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "split", "class", "tagged", "probability"])
        for i, category in rows.tolist():
            answer = ["no", "yes"][int(images.tags[i, category])]
            likely = f"{probabilities[i, category]:.3f}"
            names = as_cell(images.names[i]), images.splits[i], as_cell(images.class_names[category])
            writer.writerow([*names, answer, likely])
    text = render(images, rows, probabilities, job.settings.shown, precision_html(scores))
    job.outputs["page"].write_text(text, encoding="utf-8")
    made = job.provenance(images.class_names, trained.supervision, [trained.provenance])
    write_document(job.outputs["scores"], {**scores, "provenance": asdict(made)})
    log.info("%d disagreements on %d images", len(rows), len(np.unique(rows[:, 0])))
    known = [(name, value) for name, value in scores["average_precision"].items() if value is not None]
    said = ", ".join(f"{name} {value:.2f}" for name, value in known)
    log.info("average precision on %d evaluation images: %s", len(val), said or "none is tagged")


if __name__ == "__main__":
    STEP.run(main)
