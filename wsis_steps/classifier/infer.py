"""Computes the activation maps of the training images, for the classes of their tags.

in   images    images.h5: the training images and their tags
     model     of classifier_train
     features  of classifier_extract; only for a frozen classifier, whose head makes its maps from them
out  maps      activation maps, float16 0 to 1, at the image size divided by `stride`

BESTIE (CVPR 2022), released code, point extraction: maps of the image and its mirror, each divided by its maximum.
"""

import logging
from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional

from wsis_steps.classifier.linear import check_features
from wsis_steps.classifier.maps import cached_maps
from wsis_steps.classifier.network import Classifier, activation_maps, load_classifier, nearest_multiple
from wsis_steps.classifier.settings import ClassifierInfer, ClassifierTrain
from wsis_steps.classifier.views import patch_side, view_square
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job, Step
from wsis_steps.vision.batches import read_ahead
from wsis_steps.vision.contracts.agreement import check_same_classes
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.features import Features
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.device import autocast, choose_device, stay_on_cpu
from wsis_steps.vision.finite import check_outputs
from wsis_steps.vision.images import Pictures
from wsis_steps.vision.models import load_model, settings_of

log = logging.getLogger("wsis")

STEP = Step(
    "classifier_infer",
    ClassifierInfer,
    inputs=("images", "model"),
    optional=("features",),
    outputs=("maps",),
    join=join_shards,
)
BATCH = 8  # images at once; changes only speed
Found = Iterator[tuple[int, torch.Tensor]]  # an image and the maps (k, height, width) of its tags


def maps_of_pictures(job: Job, images: Images, members: np.ndarray, model: Classifier, sizes: np.ndarray) -> Found:
    """Maps of images, which the network sees as squares, at `sizes` (images, 2)."""
    settings, device = job.settings, choose_device(job.threads, fixed_sizes=True)
    model.to(device)
    multiple = patch_side(model.backbone)
    view = view_square(nearest_multiple(settings.size, multiple))
    batches = read_ahead(Pictures(images), members, view, job.threads, BATCH)
    for indices, pictures in job.progress(batches, len(members), size=lambda batch: len(batch[0])):
        tags = torch.from_numpy(images.tags[indices])
        normalized = model.backbone.normalize(pictures.to(device))
        with torch.inference_mode(), autocast(device):
            maps = activation_maps(model, normalized, tags, settings.scales, settings.flip, multiple=multiple)
        for k, i in enumerate(indices):
            own = maps[k, tags[k].to(device)][:, None]  # one map per item; an image without tags has none
            yield i, functional.interpolate(own, tuple(sizes[i].tolist()), mode="bilinear")[:, 0].cpu()


def maps_of_features(
    job: Job, images: Images, members: np.ndarray, model: Classifier, settings: ClassifierTrain, sizes: np.ndarray
) -> Found:
    """Maps of images whose features are cached, at `sizes` (images, 2); settings: of the training."""
    stay_on_cpu(job.threads)
    if idle := job.settings.without_effect():
        log.info("the classifier is frozen, so these settings have no effect: %s", ", ".join(idle))
    features = Features(job.inputs["features"])
    check_features(features, images, settings, model.backbone)
    for i in job.progress(members):
        tags = torch.from_numpy(images.tags[i])
        yield i, cached_maps(model.head, features.read(features.index[images.ids[i]]), tags, tuple(sizes[i].tolist()))


def main(job: Job) -> None:
    images = Images(job.inputs["images"])
    trained = load_model(job.inputs["model"], "classifier_train")
    check_same_classes(images, trained)
    training, features = settings_of(trained, ClassifierTrain), job.inputs["features"]
    if training.frozen and features is None:
        raise InputError(f"{trained.path} makes its maps from the features of classifier_extract: give --features.")
    if features is not None and not training.frozen:
        raise InputError(f"{features} is for a classifier with frozen: true, {trained.path} is not; leave it out.")
    model = load_classifier(trained).eval()
    everyone = images.members("train")
    members = job.share(everyone)
    sizes = np.stack([images.heights, images.widths], axis=1)
    map_sizes = -(-sizes // job.settings.stride)  # rounded up
    if features is None:
        found = maps_of_pictures(job, images, members, model, map_sizes)
    else:
        found = maps_of_features(job, images, members, model, training, map_sizes)
    provenance = job.provenance(images.class_names, trained.supervision, [trained.provenance])
    with create(job.outputs["maps"], Maps.schema, provenance) as file:
        writer = MapsWriter(file, tuple(map_sizes[everyone].max(axis=0).tolist()), np.float16)
        for i, maps in found:
            check_outputs(maps)
            writer.add(images.ids[i], *sizes[i], maps.half().numpy(), np.flatnonzero(images.tags[i]))
        writer.close()


if __name__ == "__main__":
    STEP.run(main)
