"""Shrinks the labels of a round, and predicts rectangles of the commonest class.

in   images       images.h5
     previous     labels of the round before
out  labels       instances of the training images
     predictions  instances of the evaluation images
"""

import numpy as np
from scipy.ndimage import binary_erosion

from wsis_steps.engine.step import Job, Step
from wsis_steps.toy.settings import ToyRefine
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import ImageInstances, Instances, write_instances
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.masks import decode, describe, encode

STEP = Step("toy_refine", ToyRefine, inputs=("images", "previous"), outputs=("labels", "predictions"), join=join_shards)


def shrink(labels: Instances, i: int, margin: int) -> ImageInstances:
    """The instances of image i of `labels`, whose masks lose `margin` pixels on all sides; some may vanish."""
    found = labels.read(i)
    masks = decode(found.rles, int(labels.heights[i]), int(labels.widths[i]))
    smaller = np.array([binary_erosion(mask, iterations=margin) if margin else mask for mask in masks])
    return describe(encode(smaller.reshape(masks.shape)), found.categories)


def predict(labels: Instances, height: int, width: int) -> ImageInstances:
    """The middle of a picture as the commonest class among the labels; its score is how common it is."""
    counts = sum(np.bincount(found.categories, minlength=len(labels.class_names)) for found in labels)
    mask = np.zeros((1, height, width), dtype=bool)
    mask[0, height // 4 : -(height // 4), width // 4 : -(width // 4)] = True
    return describe(encode(mask), np.array([counts.argmax()]), np.array([counts.max() / max(counts.sum(), 1)]))


def main(job: Job) -> None:
    images, labels = Images(job.inputs["images"]), Instances(job.inputs["previous"])
    provenance = job.provenance(labels.class_names, labels.supervision)
    own = job.share(np.arange(len(labels)))
    shrunk = (shrink(labels, int(i), job.settings.margin) for i in job.progress(own))
    ids = [labels.ids[i] for i in own]
    write_instances(job.outputs["labels"], provenance, ids, labels.heights[own], labels.widths[own], shrunk)
    own = job.share(images.members("val"))
    found = (predict(labels, int(images.heights[i]), int(images.widths[i])) for i in own)
    ids = [images.ids[i] for i in own]
    write_instances(job.outputs["predictions"], provenance, ids, images.heights[own], images.widths[own], found)


if __name__ == "__main__":
    STEP.run(main)
