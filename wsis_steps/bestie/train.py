"""Trains the instance network of one round on its pseudo labels, refining them during training.

in   images      images.h5: the training images, their tags and points
     semantic    semantic maps of the training images
     labels      instances of the training images: round00 of bestie_label, later rounds of bestie_infer
     pretrained  classifier whose backbone is the initial one, with weights: classifier
out  model       state dict of the network
     metrics     JSON lines: the terms of the loss during training

BESTIE (CVPR 2022): network, objective with instance-aware guidance (supplement, listing 6), self-refinement with
center clustering (supplement, section 1; released code).
"""

import torch
from torch import nn

from wsis_steps.bestie.losses import objective
from wsis_steps.bestie.network import build_network
from wsis_steps.bestie.refinement import refine, refine_with_points
from wsis_steps.bestie.samples import TrainingSamples, collate
from wsis_steps.bestie.settings import BestieTrain
from wsis_steps.bestie.targets import Targets, render_targets
from wsis_steps.engine.step import Job, Step
from wsis_steps.vision.contracts.agreement import check_same_classes
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.device import choose_device
from wsis_steps.vision.loop import train
from wsis_steps.vision.models import save_model
from wsis_steps.vision.samples import check_instances
from wsis_steps.vision.schedule import build_optimizer
from wsis_steps.vision.weights import load_weights

STEP = Step(
    "bestie_train",
    BestieTrain,
    inputs=("images", "semantic", "labels"),
    optional=("pretrained",),
    outputs=("model", "metrics"),
)


def refined_targets(outputs: dict[str, torch.Tensor], batch: dict[str, torch.Tensor], settings: BestieTrain) -> Targets:
    """Self-refined labels of a batch from the network's own outputs, without gradient."""
    detached = {name: value.detach().float() for name, value in outputs.items()}
    if settings.supervision == "points":
        return refine_with_points(offsets=detached["offsets"], semantic=batch["semantic"], points=batch["points"])
    return refine(
        **detached,
        components=batch["component_map"],
        table=batch["component_table"],
        settings=settings,
    )


def build_loss(settings: BestieTrain):
    """The loss of an iteration as a function of (model, batch, iteration)."""

    def loss(model: nn.Module, batch: dict[str, torch.Tensor], iteration: int) -> dict[str, torch.Tensor]:
        outputs = model(model.backbone.normalize(batch["picture"]))
        pseudo = render_targets(
            batch["instance_map"],
            batch["instance_table"],
            batch["instance_weights"],
            outputs["centers"].shape[1],
            batch["points"] if settings.supervision == "points" else None,
            settings.sigma,
        )
        refining = settings.refinement and iteration > settings.refine_from
        return objective(
            outputs,
            batch["semantic"],
            pseudo,
            refined_targets(outputs, batch, settings) if refining else None,
            settings,
        )

    return loss


def main(job: Job) -> None:
    settings: BestieTrain = job.settings
    device = choose_device(job.threads, fixed_sizes=True)
    torch.manual_seed(settings.seed)
    images, semantic, labels = (
        Images(job.inputs["images"]), Maps(job.inputs["semantic"]), Instances(job.inputs["labels"])
    )  # fmt: skip
    check_same_classes(images, semantic, labels)
    check_instances(labels, job.verdict)
    dataset = TrainingSamples(images, semantic, labels, settings)
    weights = str(job.inputs["pretrained"] or settings.weights)
    model = build_network(settings, len(labels.class_names))
    load_weights(model.backbone, weights)
    model.to(device)
    groups = model.parameter_groups(settings.learning_rate, settings.head_lr_factor)
    optimizer = build_optimizer(settings, groups)
    train(job, model, optimizer, dataset, build_loss(settings), settings.iterations, device, collate)
    save_model(job.outputs["model"], model, job.provenance(labels.class_names, labels.supervision))


if __name__ == "__main__":
    STEP.run(main)
