"""Training of a Mask R-CNN on any labels: the sum of its losses, and one learning rate for all trained parts."""

import torch
from torch import nn

from wsis_steps.engine.step import Job
from wsis_steps.maskrcnn.samples import LabelledPictures, collate
from wsis_steps.vision.loop import train
from wsis_steps.vision.schedule import build_optimizer


def loss(model: nn.Module, batch: list, iteration: int) -> dict[str, torch.Tensor]:
    """The five losses of Mask R-CNN and their sum."""
    pictures, targets = batch
    with torch.autocast(pictures[0].device.type, enabled=False):  # the network itself chooses its mixed precision
        terms = model([picture.float() / 255 for picture in pictures], targets)
    return {**terms, "total": sum(terms.values())}


def train_maskrcnn(job: Job, model: nn.Module, dataset: LabelledPictures, device: torch.device) -> None:
    """Trains `model` in place, like `loop.train`, with the settings of the job."""
    groups = [{"params": [p for p in model.parameters() if p.requires_grad]}]
    optimizer = build_optimizer(job.settings, groups)
    train(job, model, optimizer, dataset, loss, job.settings.iterations, device, collate)
