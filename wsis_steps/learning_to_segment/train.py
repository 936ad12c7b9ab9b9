"""Trains the semantic network from tags: its own predictions, corrected by the tags, are its labels.

in   images      images.h5: the training images and their tags
     truth       ground-truth instances of the training images, from which the upper bound learns instead of tags
     pretrained  classifier whose backbone is the initial one, with weights: classifier
out  model       state dict of the network
     metrics     JSON lines: the terms of the loss during training

Learning to segment with image-level supervision (WACV 2019), section 3: pixel-label loss with the adaptive prior
(Eq. 4 to 7), neighborhood loss (Eq. 8 to 12), both averaged over pixels; section 5.3: schedule.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job, Step
from wsis_steps.learning_to_segment.adaptive_prior import adaptive_prior, estimate_pixel_labels, pixel_label_loss
from wsis_steps.learning_to_segment.neighbourhood import Neighbourhood, neighbourhood_loss
from wsis_steps.learning_to_segment.network import OUTPUT_STRIDE, build_semantic_network
from wsis_steps.learning_to_segment.samples import TaggedSamples
from wsis_steps.learning_to_segment.settings import LearningToSegmentTrain
from wsis_steps.vision.contracts.agreement import check_same_classes
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.device import choose_device
from wsis_steps.vision.loop import train
from wsis_steps.vision.masks import UNSURE, check_class_count
from wsis_steps.vision.models import save_model
from wsis_steps.vision.ranks import divisor
from wsis_steps.vision.samples import check_tags
from wsis_steps.vision.schedule import build_optimizer, ramp

STEP = Step(
    "learning_to_segment_train",
    LearningToSegmentTrain,
    inputs=("images",),
    optional=("truth", "pretrained"),
    outputs=("model", "metrics"),
)


def shrink(pictures: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures (B, 3, h, w), averaged to the resolution of the output, and valid (B, h, w), true for cells of only
    valid pixels."""
    small = functional.avg_pool2d(pictures.float(), OUTPUT_STRIDE, ceil_mode=True)
    padded = functional.max_pool2d((~valid).float()[:, None], OUTPUT_STRIDE, ceil_mode=True)
    return small, padded[:, 0] == 0


def neighbourhood_weight(settings: LearningToSegmentTrain, iteration: int) -> float:
    """Lambda at an iteration, counted from 1: constant, or rising from 0 during the first `neighbourhood_ramp`."""
    return settings.neighbourhood_weight * ramp(settings.neighbourhood_ramp, iteration, settings.iterations)


def build_loss(settings: LearningToSegmentTrain, most_tags: int):
    """The loss of an iteration from tags, as a function of (model, batch, iteration).

    most_tags: the maximum number of tags of an image, which bounds the classes among which the prior is searched.
    """

    def loss(model: nn.Module, batch: dict[str, Tensor], iteration: int) -> dict[str, Tensor]:
        logits = model(model.backbone.normalize(batch["picture"])).float()
        pictures, valid = shrink(batch["picture"], batch["valid"])
        log_prior = adaptive_prior(
            logits,
            batch["tags"],
            valid,
            background_quota=settings.background_quota,
            object_quota=settings.object_quota,
            method=settings.prior,
            most_tags=most_tags,
        )
        terms = {"pixel_label": pixel_label_loss(logits, estimate_pixel_labels(logits, log_prior), valid)}
        if settings.neighbourhood_weight:
            around = Neighbourhood(pictures, valid, settings)
            terms["neighbourhood"] = neighbourhood_loss(logits, around, settings.neighbourhood_gradient)
        weight = neighbourhood_weight(settings, iteration)
        return {**terms, "total": terms["pixel_label"] + weight * terms.get("neighbourhood", 0)}

    return loss


def supervised_loss(model: nn.Module, batch: dict[str, Tensor], iteration: int) -> dict[str, Tensor]:
    """Cross entropy with the true labels at picture resolution, for the upper bound."""
    logits = model(model.backbone.normalize(batch["picture"])).float()
    full = functional.interpolate(logits, scale_factor=OUTPUT_STRIDE, mode="bilinear")
    height, width = batch["labels"].shape[1:]
    labels = batch["labels"].long()
    losses = functional.cross_entropy(full[:, :, :height, :width], labels, ignore_index=UNSURE, reduction="sum")
    return {"total": losses / divisor((labels != UNSURE).sum())}


def main(job: Job) -> None:
    settings: LearningToSegmentTrain = job.settings
    device = choose_device(job.threads, fixed_sizes=True)
    torch.manual_seed(settings.seed)
    images = Images(job.inputs["images"])
    check_class_count(len(images.class_names), images.path)
    truth = Instances(job.inputs["truth"]) if job.inputs["truth"] else None
    if (truth is not None) != (settings.supervision == "masks"):
        raise InputError("learning_to_segment_train takes --truth if and only if supervision is 'masks'.")
    if truth is not None:
        check_same_classes(images, truth)
    dataset = TaggedSamples(images, truth, settings)
    check_tags(images, dataset.members)
    weights = str(job.inputs["pretrained"] or settings.weights)
    model = build_semantic_network(settings, len(images.class_names), weights).to(device)
    groups = model.parameter_groups(settings.learning_rate, settings.head_lr_factor)
    optimizer = build_optimizer(settings, groups)
    most_tags = int(images.tags[dataset.members].sum(axis=1).max())
    loss = supervised_loss if truth is not None else build_loss(settings, most_tags)
    train(job, model, optimizer, dataset, loss, settings.iterations, device)
    save_model(job.outputs["model"], model, job.provenance(images.class_names, [settings.supervision]))


if __name__ == "__main__":
    STEP.run(main)
