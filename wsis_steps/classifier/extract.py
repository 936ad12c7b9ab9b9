"""Computes the features of the training images once, for classifiers whose backbone is frozen.

in   images    images.h5: the training images
out  features  the maps of the backbone's last level, float16, of each image at `long_sides`

By hand: python -m wsis_steps.classifier.extract --images images.h5 --features features.h5
"""

import logging

import numpy as np

from wsis_steps.classifier.network import frozen_backbone
from wsis_steps.classifier.settings import ClassifierExtract
from wsis_steps.classifier.views import features_of, size_of_view, view_whole
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job, Step
from wsis_steps.vision.backbones import state_digest
from wsis_steps.vision.batches import read_ahead
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.features import Features, FeaturesWriter
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.device import choose_device
from wsis_steps.vision.images import Pictures
from wsis_steps.vision.samples import check_tags

log = logging.getLogger("wsis")

STEP = Step("classifier_extract", ClassifierExtract, inputs=("images",), outputs=("features",), join=join_shards)
BYTES = 2  # of a float16


def main(job: Job) -> None:
    settings: ClassifierExtract = job.settings
    device = choose_device(job.threads)
    images = Images(job.inputs["images"])
    backbone = frozen_backbone(settings)
    known = "" if settings.weights == "none" else state_digest(backbone)  # random weights differ between processors
    provenance = job.provenance(images.class_names, weights_digest=known)
    backbone.to(device)
    everyone, stride = images.members("train"), backbone.strides[-1]
    check_tags(images, everyone)
    members = job.share(everyone)
    sizes, sides = np.stack([images.heights, images.widths], axis=1), settings.long_sides
    cells = np.array([[size_of_view(*sizes[i].tolist(), side, stride) for side in sides] for i in everyone]) // stride
    largest, own = tuple(cells.max(axis=(0, 1)).tolist()), cells[np.isin(everyone, members)]
    gigabytes = BYTES * backbone.channels[-1] * own.prod(axis=2).sum() / 1e9
    log.info("features of %d images are %.3g GB before compression", len(members), gigabytes)
    views = [view_whole(side, stride) for side in sides]
    pictures = [read_ahead(Pictures(images), members, view, job.threads, batch=1) for view in views]
    with create(job.outputs["features"], Features.schema, provenance) as file:
        writer = FeaturesWriter(file, backbone.channels[-1], largest)
        for seen in job.progress(zip(*pictures, strict=True), len(members)):
            i = seen[0][0][0]
            maps = [features_of(backbone, picture) for _, picture in seen]
            if not all(np.isfinite(one).all() for one in maps):
                raise InputError(
                    f"features of image '{images.ids[i]}' are not finite in float16 with backbone {settings.backbone}: "
                    "choose another classifier_train.backbone or weights."
                )
            writer.add(images.ids[i], *sizes[i], maps)
        writer.close()


if __name__ == "__main__":
    STEP.run(main)
