"""Imports semantic maps made elsewhere: a folder of PNG files, as other methods publish them.

in   images    images.h5: the training images
out  semantic  semantic maps, uint8: 0 background, 1 and up the classes, 255 unsure
"""

from collections import Counter

import cv2
import numpy as np

from wsis_steps.data.settings import DataImportSemantic
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.names import path_below
from wsis_steps.engine.problems import Problems
from wsis_steps.engine.step import Job, Step
from wsis_steps.formats.voc_masks import read_index_png
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.counts import count_map
from wsis_steps.vision.masks import UNSURE, check_class_count

STEP = Step("data_import_semantic", DataImportSemantic, inputs=("images",), outputs=("semantic",))


def read_map(images: Images, i: int, job: Job) -> np.ndarray:
    """The map of image i as uint8 (height, width); InputError if it is missing or does not fit."""
    path = path_below(job.settings.folder, f"{images.ids[i]}.png")
    labels = read_index_png(path)
    size = (int(images.heights[i]), int(images.widths[i]))
    if labels.shape != size:
        raise InputError(f"{path} is {labels.shape[1]}x{labels.shape[0]} pixels, but its image is {size[1]}x{size[0]}.")
    known = np.append(np.arange(len(images.class_names) + 1), UNSURE)
    unknown = np.setdiff1d(cv2.calcHist([labels], [0], None, [256], [0, 256]).nonzero()[0], known)
    if len(unknown):
        raise InputError(f"{path} holds value {unknown[0]}, but there are {len(images.class_names)} classes.")
    return labels


def main(job: Job) -> None:
    images = Images(job.inputs["images"])
    check_class_count(len(images.class_names), images.path)
    if job.settings.folder is None or not job.settings.folder.is_dir():
        raise InputError(f"data_import_semantic.folder is {job.settings.folder}, which is not a folder of PNG maps.")
    members = images.members("train")
    largest = (int(images.heights[members].max()), int(images.widths[members].max()))
    problems = Problems()
    # foreign maps may have been made from anything, so tables mark them as possibly based on masks
    provenance = job.provenance(images.class_names, ["tags", "masks_seen"])
    counts: Counter = Counter()
    with create(job.outputs["semantic"], Maps.schema, provenance, counts) as file:
        writer = MapsWriter(file, largest, np.uint8)
        for i in job.progress(members):
            with problems.catch():
                labels = read_map(images, i, job)
                writer.add(images.ids[i], *labels.shape, labels[None])
                count_map(labels, images.tags[i].any(), counts)
        problems.raise_any(f"The folder {job.settings.folder}")
        writer.close()


if __name__ == "__main__":
    STEP.run(main)
