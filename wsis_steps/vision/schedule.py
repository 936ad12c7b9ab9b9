"""Optimizers, and the schedules of the learning rate and other values during a training."""

import math
from typing import Any

import torch

from wsis_steps.vision.settings import Training

MOMENTUM = 0.9  # of SGD, in every training


def rate(settings: Training, iteration: int, iterations: int) -> float:
    """Factor on the learning rate at an iteration, counted from 0."""
    progress = iteration / iterations
    factor = 1.0
    if settings.schedule == "drop":
        factor = _dropped(settings, sum(progress >= at for at in settings.drop_at))
    elif settings.schedule == "halve":
        factor = 0.5 ** math.floor(10 * progress)
    elif settings.schedule == "poly":
        factor = (1 - progress) ** 0.9
    elif settings.schedule == "one_cycle":
        if progress < 0.25:
            factor = 0.04 + 0.96 * (1 - math.cos(math.pi * progress / 0.25)) / 2
        else:
            factor = (1 + math.cos(math.pi * (progress - 0.25) / 0.75)) / 2
    if iteration < settings.warm_up:
        factor *= 0.001 + 0.999 * iteration / settings.warm_up
    return factor


def _dropped(settings: Training, drops: int) -> float:
    """The remaining factor after some drops of the learning rate."""
    if settings.drop_to:
        return settings.drop_to[drops - 1] if drops else 1.0
    return 0.1**drops


def ramp(share: float, iteration: int, iterations: int) -> float:
    """Factor that rises from 0 to 1 during the first `share` of a training, at an iteration counted from 1."""
    return min(iteration / (share * iterations), 1) if share else 1


def build_optimizer(settings: Training, groups: list[dict[str, Any]], nesterov: bool = False):
    """A torch optimizer for parameter groups, each of which may have its own `lr`."""
    common = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=MOMENTUM, nesterov=nesterov, **common)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimizer](groups, **common)
