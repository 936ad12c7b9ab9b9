"""Makes a rectangle of every tag.

in   images  images.h5: tags
out  labels  instances of the training images
"""

import numpy as np

from wsis_steps.engine.step import Job, Step
from wsis_steps.toy.settings import ToyLabel
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import write_instances
from wsis_steps.vision.masks import describe, encode

STEP = Step("toy_label", ToyLabel, inputs=("images",), outputs=("labels",))


def draw_rectangle(height: int, width: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """A mask bool (height, width) of one rectangle at a random place."""
    mask = np.zeros((height, width), dtype=bool)
    high, wide = max(int(height * share), 1), max(int(width * share), 1)
    top, left = rng.integers(height - high + 1), rng.integers(width - wide + 1)
    mask[top : top + high, left : left + wide] = True
    return mask


def main(job: Job) -> None:
    images = Images(job.inputs["images"])
    members, found = images.members("train"), []
    for i in members:
        rng = np.random.default_rng((job.settings.seed, int(i)))
        size = int(images.heights[i]), int(images.widths[i])
        categories = np.flatnonzero(images.tags[i])
        masks = np.array([draw_rectangle(*size, job.settings.share, rng) for _ in categories]).reshape(-1, *size)
        found.append(describe(encode(masks), categories))
    ids = [images.ids[i] for i in members]
    provenance = job.provenance(images.class_names, ["tags"])
    write_instances(job.outputs["labels"], provenance, ids, images.heights[members], images.widths[members], found)


if __name__ == "__main__":
    STEP.run(main)
