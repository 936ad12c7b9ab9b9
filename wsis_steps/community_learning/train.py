"""Trains detector, mask generation and segmentation together on tags and box proposals.

in   images      images.h5: the training images and their tags
     proposals   boxes of all images (of other proposals the boxes around them)
     pretrained  classifier whose backbone is the initial one, with weights: classifier
out  model       state dict of the network
     metrics     JSON lines: the terms of the loss during training

Deep Community Learning (WACV 2021), sections 3.1 to 3.3, equations 1 to 9 and 11 to 15; section 4.1 for the schedule.
"""

import torch

from wsis_steps.community_learning.network import CommunityNetwork
from wsis_steps.community_learning.objective import batch_loss
from wsis_steps.community_learning.samples import TrainingSamples
from wsis_steps.community_learning.settings import CommunityLearningTrain
from wsis_steps.engine.step import Job, Step
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.device import choose_device
from wsis_steps.vision.loop import train
from wsis_steps.vision.models import save_model
from wsis_steps.vision.schedule import build_optimizer

STEP = Step(
    "community_learning_train",
    CommunityLearningTrain,
    inputs=("images", "proposals"),
    optional=("pretrained",),
    outputs=("model", "metrics"),
)


def main(job: Job) -> None:
    settings: CommunityLearningTrain = job.settings
    device = choose_device(job.threads)
    torch.manual_seed(settings.seed)
    images, proposals = Images(job.inputs["images"]), Proposals(job.inputs["proposals"])
    dataset = TrainingSamples(images, proposals, settings)
    weights = str(job.inputs["pretrained"] or settings.weights)
    model = CommunityNetwork(settings, len(images.class_names), weights).to(device)
    groups = model.parameter_groups(settings.learning_rate, settings.head_lr_factor, settings.bias_lr_factor)
    optimizer = build_optimizer(settings, groups)
    train(job, model, optimizer, dataset, batch_loss, settings.iterations, device, list, settings.accumulation)
    supervision = {"tags", *proposals.supervision}
    save_model(job.outputs["model"], model, job.provenance(images.class_names, supervision))


if __name__ == "__main__":
    STEP.run(main)
