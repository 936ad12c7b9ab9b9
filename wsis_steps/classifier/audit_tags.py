"""Ranks the images whose classifier disagrees with their tags: missing tags, and tags of what is not to be seen.

in   images  images.h5: all images and their tags
     model   of classifier_train
out  table   CSV: image, split, class, tagged (yes or no), probability (0 to 1); the largest disagreement first
     page    an HTML page of the first of them, with their pictures, and of how well each class is told
     scores  JSON: average precision of each class on the evaluation images, and how many of these are tagged with it

A classifier has learned the tags of the training images, wrong ones too: it doubts them less than those of evaluation
images, which it has not seen.
"""

import csv
import json
import logging
from dataclasses import asdict
from html import escape

import numpy as np
import torch

from wsis_steps.classifier.network import load_classifier
from wsis_steps.classifier.settings import ClassifierAuditTags, ClassifierTrain
from wsis_steps.classifier.squares import prepare
from wsis_steps.engine.step import Job, Step
from wsis_steps.evaluation.average_precision import area_under_envelope, ranking
from wsis_steps.report.page import page
from wsis_steps.report.pictures import jpeg_address
from wsis_steps.report.tables import html_table
from wsis_steps.vision.batches import read_ahead
from wsis_steps.vision.contracts.agreement import check_same_classes
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.device import autocast, choose_device
from wsis_steps.vision.images import Pictures
from wsis_steps.vision.models import TrainedModel, load_model

log = logging.getLogger("wsis")

STEP = Step(
    "classifier_audit_tags", ClassifierAuditTags, inputs=("images", "model"), outputs=("table", "page", "scores")
)
BATCH = 8  # pictures at once; changes nothing but speed
SIDE = 240  # pixels of a picture's longer side on the page


def predict(job: Job, images: Images, trained: TrainedModel) -> np.ndarray:
    """Probability of each class on each image, float32 (images, classes)."""
    device = choose_device(job.threads, fixed_sizes=True)
    model = load_classifier(trained).to(device).eval()
    found = np.zeros((len(images), len(images.class_names)), np.float32)
    size = job.settings.size or ClassifierTrain.model_validate(trained.settings).crop
    batches = read_ahead(Pictures(images), range(len(images)), prepare(size), job.threads, BATCH)
    for indices, pictures in job.progress(batches, len(images), size=lambda batch: len(batch[0])):
        normalized = model.backbone.normalize(pictures.to(device))
        with torch.inference_mode(), autocast(device):
            logits = (model(normalized)[0] + model(normalized.flip(-1))[0]) / 2
        found[indices] = logits.float().sigmoid().cpu().numpy()
    return found


def tag_precision(tags: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Average precision of each class as VOC defines it, the area under the monotone curve: float64 (classes,), 0 to 1,
    NaN of a class that no image is tagged with.

    tags bool, probabilities 0 to 1, both (images, classes).
    """
    found = np.full(tags.shape[1], np.nan)
    for category in np.flatnonzero(tags.any(axis=0)):
        hits = tags[ranking(probabilities[:, category]), category]
        found[category] = area_under_envelope(hits, hits.sum())
    return found


def disagreements(tags: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Rows int64 (n, 2) of image and class where the likelier answer is not the tag, the surest first.

    tags bool, probabilities 0 to 1, both (images, classes).
    """
    doubt = np.where(tags, 1 - probabilities, probabilities)
    rows = np.argwhere(doubt > 0.5)
    return rows[np.argsort(-doubt[tuple(rows.T)], kind="stable")]


def precision_html(class_names: tuple[str, ...], precision: np.ndarray, tagged: np.ndarray, images: int) -> str:
    """A table of the average precision of each class on so many evaluation images, `tagged` of them with it."""
    rows = []
    for name, value, count in zip(class_names, precision.tolist(), tagged.tolist(), strict=True):
        percent = "-" if np.isnan(value) else f"{100 * value:.1f}"
        rows.append([escape(name), percent, str(count), f"{100 * count / max(images, 1):.1f}"])
    header = ["class", "average precision", "images with the tag", "by chance"]
    note = "By chance: the share of the images that have the tag, in percent as the precision."
    return html_table(header, rows, 1, f"how well tags are told on {images:,} evaluation images") + (
        f'<p class="note">{note}</p>'
    )


def render(images: Images, rows: np.ndarray, probabilities: np.ndarray, shown: int, classes: str) -> str:
    """The page: what is known of the classes (HTML), and a picture and a sentence for each of the first `shown`
    disagreements."""
    pictures, cards = Pictures(images), []
    for i, category in rows[:shown].tolist():
        name, share = escape(images.class_names[category]), f"{100 * probabilities[i, category]:.0f} %"
        tagged = images.tags[i, category]
        said = f"tagged <b>{name}</b>, which it sees with {share} only" if tagged else f"<b>{name}</b>? {share}, no tag"
        tags = ", ".join(escape(images.class_names[k]) for k in images.tags[i].nonzero()[0]) or "none"
        label = f"image {images.ids[i]}"
        cards.append(
            f'<figure class="chart"><img alt="{escape(label)}" src="{jpeg_address(pictures.read(i), SIDE)}" '
            f'style="width:100%"><figcaption>{said}</figcaption><p class="note">{escape(images.ids[i])} '
            f"({images.splits[i]}); its tags: {tags}</p></figure>"
        )
    lead = (
        f"<p>{len(rows):,} of {images.tags.size:,} answers of the classifier are not what the tags say; the surest "
        f"{len(cards)} are below, all of them in tag_audit.csv. Training images were learned with their tags, so their "
        "wrong ones are doubted less.</p>"
    )
    sections = [("classes", "Classes", classes), ("images", "Images", f'<div class="charts">{"".join(cards)}</div>')]
    return page("Tags to look at", lead, sections)


def main(job: Job) -> None:
    images, trained = Images(job.inputs["images"]), load_model(job.inputs["model"], "classifier_train")
    check_same_classes(images, trained)
    probabilities = predict(job, images, trained)
    rows, val = disagreements(images.tags, probabilities), images.members("val")
    precision, tagged = tag_precision(images.tags[val], probabilities[val]), images.tags[val].sum(axis=0)
    with job.outputs["table"].open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "split", "class", "tagged", "probability"])
        for i, category in rows.tolist():
            answer = ["no", "yes"][int(images.tags[i, category])]
            likely = f"{probabilities[i, category]:.3f}"
            writer.writerow([images.ids[i], images.splits[i], images.class_names[category], answer, likely])
    classes = precision_html(images.class_names, precision, tagged, len(val))
    text = render(images, rows, probabilities, job.settings.shown, classes)
    job.outputs["page"].write_text(text, encoding="utf-8")
    known = {name: None if np.isnan(v) else v for name, v in zip(images.class_names, precision.tolist(), strict=True)}
    made = job.provenance(images.class_names, trained.supervision, [trained.provenance])
    document = {
        "images": len(val),
        "tagged": dict(zip(images.class_names, tagged.tolist(), strict=True)),
        "average_precision": known,
        "provenance": asdict(made),
    }
    job.outputs["scores"].write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    log.info("%d disagreements on %d images", len(rows), len(np.unique(rows[:, 0])))
    told = ", ".join(f"{name} {value:.2f}" for name, value in known.items() if value is not None)
    log.info("average precision on %d evaluation images: %s", len(val), told or "none is tagged")


if __name__ == "__main__":
    STEP.run(main)
