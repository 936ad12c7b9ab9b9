"""Learns to classify pixels, background included, and maps the class probabilities of the training images.

in   features       of classifier_extract
     maps           activation maps of classifier_infer
out  probabilities  of the classes of each image's tags, float16, at the size of the largest features; the rest to 1
                    is background

Activation maps show where a class is most active, but not where it ends, and nothing of the background. A linear
classifier of all images' pixels first learns the most and least active ones, then, in rounds, those of which it is
certain among each image's tags. This is self-training with tags as constraints, as in EM-Adapt (Papandreou et al., ICCV
2015), with a linear classifier instead of a network. Measured: docs/experiments/photographs.md.
"""

import logging

import numpy as np
import torch
from torch.nn import functional

from wsis_steps.classifier.pixels import Samples, learn, maps_of
from wsis_steps.classifier.settings import ClassifierLearnPixels
from wsis_steps.engine.step import Job, Step
from wsis_steps.vision.contracts.agreement import check_same_classes, places
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.features import Features
from wsis_steps.vision.contracts.maps import Maps, MapsWriter

log = logging.getLogger("wsis")

STEP = Step("classifier_learn_pixels", ClassifierLearnPixels, inputs=("features", "maps"), outputs=("probabilities",))


def draw(
    features: list[np.ndarray], maps: np.ndarray, categories: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features float16 (n, channels), activation float32 (n,) and category int64 (n,) of `count` pixels of an image at
    each size of its features, or of all if there are fewer. maps: (k, any size), of its classes `categories`."""
    drawn, full = [], torch.from_numpy(maps)[None].float()
    for one in features:
        resized = functional.interpolate(full, one.shape[1:], mode="bilinear", antialias=True)
        flat, own = resized.view(len(maps), -1).numpy(), one.reshape(len(one), -1)
        pixels = rng.permutation(flat.shape[1])[:count]
        top = flat[:, pixels].argmax(axis=0)
        drawn.append((own[:, pixels].T, flat[top, pixels], categories[top]))
    parts = zip(*drawn, strict=True)
    return tuple(np.concatenate(part) for part in parts)


def collect(job: Job, features: Features, maps: Maps, members: np.ndarray) -> Samples:
    """Pixels of all images that have tags."""
    found, allowed = [], []
    for i in job.progress(range(len(maps))):
        own, categories = maps.read(i)
        if not len(own):
            continue
        rng = np.random.default_rng((job.settings.seed, i))
        found.append(draw(features.read(int(members[i])), own, categories, job.settings.pixels, rng))
        row = np.zeros(1 + len(maps.class_names), dtype=bool)
        row[np.concatenate([[0], categories + 1])] = True
        allowed.append(np.broadcast_to(row, (len(found[-1][0]), len(row))))
    seen, activation, category = (torch.from_numpy(np.concatenate(part)) for part in zip(*found, strict=True))
    return Samples(seen.float(), torch.from_numpy(np.concatenate(allowed)), activation, category)


def main(job: Job) -> None:
    torch.set_num_threads(job.threads)
    features, maps = Features(job.inputs["features"]), Maps(job.inputs["maps"])
    check_same_classes(features, maps)
    members = places(features, maps)
    samples = collect(job, features, maps, members)
    classifier = learn(samples, job.settings)
    log.info("learned from %d pixels in %d rounds", len(samples.features), job.settings.rounds)
    shown = []
    provenance = job.provenance(maps.class_names, {*maps.supervision, *features.supervision}, [maps.provenance])
    with create(job.outputs["probabilities"], Maps.schema, provenance) as file:
        writer = MapsWriter(file, features.largest, np.float16)
        for i in job.progress(range(len(maps))):
            tags = np.zeros(len(maps.class_names), dtype=bool)
            tags[maps.categories(i)] = True
            found = maps_of(classifier, features.read(int(members[i])), tags)
            shown.append(found.sum(axis=0).mean())
            writer.add(maps.ids[i], int(maps.heights[i]), int(maps.widths[i]), found, np.flatnonzero(tags))
        writer.close()
    log.info("classes cover %.0f %% of the pixels of their images", 100 * np.mean(shown))


if __name__ == "__main__":
    STEP.run(main)
