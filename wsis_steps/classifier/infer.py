"""Computes the activation maps of the training images, for the classes of their tags.

in   images  images.h5: the training images and their tags
     model   of classifier_train
out  maps    activation maps, float16 0 to 1, at the image's size over `stride`

BESTIE (CVPR 2022), released code, point extraction: maps of the image and its mirror, each divided by its maximum.
"""

import numpy as np
import torch
from torch.nn import functional

from wsis_steps.classifier.network import activation_maps, load_classifier
from wsis_steps.classifier.settings import ClassifierInfer
from wsis_steps.classifier.squares import prepare
from wsis_steps.engine.step import Job, Step
from wsis_steps.vision.batches import read_ahead
from wsis_steps.vision.contracts.agreement import check_same_classes
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.device import autocast, choose_device
from wsis_steps.vision.images import Pictures
from wsis_steps.vision.models import load_model

STEP = Step("classifier_infer", ClassifierInfer, inputs=("images", "model"), outputs=("maps",), join=join_shards)
BATCH = 8  # pictures at once; changes nothing but speed


def main(job: Job) -> None:
    settings: ClassifierInfer = job.settings
    device = choose_device(job.threads, fixed_sizes=True)
    images = Images(job.inputs["images"])
    trained = load_model(job.inputs["model"], "classifier_train")
    check_same_classes(images, trained)
    model = load_classifier(trained).to(device).eval()
    everyone = images.members("train")
    members = job.share(everyone)
    sizes = np.stack([images.heights, images.widths], axis=1)
    map_sizes = -(-sizes // settings.stride)  # rounded up
    provenance = job.provenance(images.class_names, trained.supervision, [trained.provenance])
    with create(job.outputs["maps"], Maps.schema, provenance) as file:
        writer = MapsWriter(file, tuple(map_sizes[everyone].max(axis=0).tolist()), np.float16)
        batches = read_ahead(Pictures(images), members, prepare(settings.size), job.threads, BATCH)
        for indices, pictures in job.progress(batches, len(members), size=lambda batch: len(batch[0])):
            tags = torch.from_numpy(images.tags[indices])
            normalized = model.backbone.normalize(pictures.to(device))
            with torch.inference_mode(), autocast(device):
                maps = activation_maps(model, normalized, tags, settings.scales, settings.flip)
            for k, i in enumerate(indices):
                own = maps[k, tags[k].to(device)][:, None]  # a map an item: an image without tags has none
                resized = functional.interpolate(own, tuple(map_sizes[i].tolist()), mode="bilinear")
                categories = np.flatnonzero(images.tags[i])
                writer.add(images.ids[i], *sizes[i], resized[:, 0].cpu().half().numpy(), categories)
        writer.close()


if __name__ == "__main__":
    STEP.run(main)
