"""Trains the conditional network as a classifier of image tags, so that its first samples are meaningful.

in   images      images.h5: the training images and their tags
     proposals   regions of all images
     pretrained  classifier whose backbone is the initial one, with weights: classifier
out  model       state dict of the conditional network, round 0
     metrics     JSON lines: the loss during training

Annotation Consistent Instances (ECCV 2020) does not say how its networks start. Here the score of a class is that of
the image's best proposals.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from wsis_steps.annotation_consistency.network import ConditionalNetwork
from wsis_steps.annotation_consistency.region_graph import with_matrices
from wsis_steps.annotation_consistency.samples import GraphReader, TrainingSamples, features_of
from wsis_steps.annotation_consistency.settings import AnnotationConsistencyInitialise
from wsis_steps.engine.step import Job, Step
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.device import choose_device
from wsis_steps.vision.loop import train
from wsis_steps.vision.models import save_model
from wsis_steps.vision.schedule import build_optimizer

STEP = Step(
    "annotation_consistency_initialise",
    AnnotationConsistencyInitialise,
    inputs=("images", "proposals"),
    optional=("pretrained",),
    outputs=("model", "metrics"),
)


def tag_logits(scores: Tensor, sharpness: float) -> Tensor:
    """Logits (C,) of an image's tags from scores (P, 1 + C): log-mean-exp over proposals of the class's margin over
    background."""
    margins = sharpness * (scores[:, 1:] - scores[:, :1])
    return (margins.logsumexp(dim=0) - math.log(len(margins))) / sharpness


def loss(model: ConditionalNetwork, batch: list[dict[str, Any]], iteration: int) -> dict[str, Tensor]:
    """Binary cross entropy of the tags, averaged over classes and images, with one noise sample each."""
    labels = torch.arange(model.classify.out_channels, device=model.classify.weight.device)
    losses = []
    for features, sample in zip(features_of(model, batch), batch, strict=True):
        with torch.autocast(features.device.type, enabled=False):  # as when label sets are sampled
            graph = with_matrices(sample["graph"], features[0].numel())
            noise = model.draw_noise(1, *sample["picture"].shape[1:])
            logits = tag_logits(model.score(features, noise, graph, labels)[0], model.settings.sharpness)
            losses.append(functional.binary_cross_entropy_with_logits(logits, sample["tags"].float()))
    return {"total": torch.stack(losses).mean()}


def main(job: Job) -> None:
    settings: AnnotationConsistencyInitialise = job.settings
    device = choose_device(job.threads)
    torch.manual_seed(settings.seed)
    images, proposals = Images(job.inputs["images"]), Proposals(job.inputs["proposals"])
    weights = str(job.inputs["pretrained"] or settings.weights)
    model = ConditionalNetwork(settings, len(images.class_names), weights).to(device)
    dataset = TrainingSamples(GraphReader(images, proposals, None), settings, model.stride)
    groups = model.parameter_groups(model.backbone, settings.learning_rate, settings.head_lr_factor)
    optimizer = build_optimizer(settings, groups)
    train(job, model, optimizer, dataset, loss, settings.iterations, device, list)
    save_model(job.outputs["model"], model, job.provenance(images.class_names, {"tags", *proposals.supervision}))


if __name__ == "__main__":
    STEP.run(main)
