"""Passes of BESTIE's instance network, to plan what it takes."""

import math
from collections.abc import Callable
from typing import Any

import torch

from wsis_steps.bestie.network import build_network
from wsis_steps.vision.passes import Pass, Pictures, Sketch


def training(values: Callable[[str], Any], pictures: Pictures) -> list[Pass]:
    """A batch of crops."""
    settings = values("bestie_train")
    network = build_network(settings, pictures.class_count)

    def compute() -> list[torch.Tensor]:
        return list(network(torch.empty(settings.batch_size, 3, settings.crop, settings.crop)).values())

    return [Pass(network, compute, backward=True)]


def inference(values: Callable[[str], Any], pictures: Pictures) -> list[Pass]:
    """An image, and mirrored."""
    settings = values("bestie_infer")
    factor = settings.long_side / max(pictures.height, pictures.width) if settings.long_side else 1
    multiple = settings.size_multiple
    sides = [math.ceil(round(side * factor, 6) / multiple) * multiple for side in (pictures.height, pictures.width)]
    network = build_network(values("bestie_train"), pictures.class_count).eval()

    def compute() -> list[torch.Tensor]:
        return [maps for _ in range(1 + settings.flip) for maps in network(torch.empty(1, 3, *sides)).values()]

    return [Pass(network, compute, backward=False)]


PASSES: dict[str, Sketch] = {"bestie_train": training, "bestie_infer": inference}
