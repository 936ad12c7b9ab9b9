"""Ranks the images whose classifier disagrees with their tags: missing tags, and tags of what is not to be seen.

in   images  images.h5: all images and their tags
     model   of classifier_train
out  table   CSV: image, split, class, tagged (yes or no), probability (0 to 1); the largest disagreement first
     page    an HTML page of the first of them, with their pictures

A classifier has learned the tags of the training images, wrong ones too: it doubts them less than those of evaluation
images, which it has not seen.
"""

import csv
import logging
from html import escape

import numpy as np
import torch

from wsis_steps.classifier.network import load_classifier
from wsis_steps.classifier.settings import ClassifierAuditTags
from wsis_steps.classifier.squares import prepare
from wsis_steps.engine.step import Job, Step
from wsis_steps.report.page import page
from wsis_steps.report.pictures import jpeg_address
from wsis_steps.vision.batches import read_ahead
from wsis_steps.vision.contracts.agreement import check_same_classes
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.device import autocast, choose_device
from wsis_steps.vision.images import Pictures
from wsis_steps.vision.models import load_model

log = logging.getLogger("wsis")

STEP = Step("classifier_audit_tags", ClassifierAuditTags, inputs=("images", "model"), outputs=("table", "page"))
BATCH = 8  # pictures at once; changes nothing but speed
SIDE = 240  # pixels of a picture's longer side on the page


def predict(job: Job, images: Images) -> np.ndarray:
    """Probability of each class on each image, float32 (images, classes)."""
    device = choose_device(job.threads, fixed_sizes=True)
    trained = load_model(job.inputs["model"], "classifier_train")
    check_same_classes(images, trained)
    model = load_classifier(trained).to(device).eval()
    found = np.zeros((len(images), len(images.class_names)), np.float32)
    batches = read_ahead(Pictures(images), range(len(images)), prepare(job.settings.size), job.threads, BATCH)
    for indices, pictures in job.progress(batches, len(images), size=lambda batch: len(batch[0])):
        normalized = model.backbone.normalize(pictures.to(device))
        with torch.inference_mode(), autocast(device):
            logits = (model(normalized)[0] + model(normalized.flip(-1))[0]) / 2
        found[indices] = logits.float().sigmoid().cpu().numpy()
    return found


def disagreements(tags: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Rows int64 (n, 2) of image and class where the likelier answer is not the tag, the surest first.

    tags bool, probabilities 0 to 1, both (images, classes).
    """
    doubt = np.where(tags, 1 - probabilities, probabilities)
    rows = np.argwhere(doubt > 0.5)
    return rows[np.argsort(-doubt[tuple(rows.T)], kind="stable")]


def render(images: Images, rows: np.ndarray, probabilities: np.ndarray, shown: int) -> str:
    """The page: a picture and a sentence for each of the first `shown` disagreements."""
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
    return page("Tags to look at", lead, [("images", "Images", f'<div class="charts">{"".join(cards)}</div>')])


def main(job: Job) -> None:
    images = Images(job.inputs["images"])
    probabilities = predict(job, images)
    rows = disagreements(images.tags, probabilities)
    with job.outputs["table"].open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "split", "class", "tagged", "probability"])
        for i, category in rows.tolist():
            answer = ["no", "yes"][int(images.tags[i, category])]
            likely = f"{probabilities[i, category]:.3f}"
            writer.writerow([images.ids[i], images.splits[i], images.class_names[category], answer, likely])
    job.outputs["page"].write_text(render(images, rows, probabilities, job.settings.shown), encoding="utf-8")
    log.info("%d disagreements on %d images", len(rows), len(np.unique(rows[:, 0])))


if __name__ == "__main__":
    STEP.run(main)
