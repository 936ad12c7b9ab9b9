"""Passes of the semantic network, to plan what it takes."""

from collections.abc import Callable
from typing import Any

import torch

from wsis_steps.learning_to_segment.network import build_semantic_network
from wsis_steps.vision.passes import Pass, Pictures, Sketch


def training(values: Callable[[str], Any], pictures: Pictures) -> list[Pass]:
    """A batch of crops."""
    settings = values("learning_to_segment_train")
    network = build_semantic_network(settings, pictures.class_count)

    def compute() -> list[torch.Tensor]:
        return [network(torch.empty(settings.batch_size, 3, settings.crop, settings.crop))]

    return [Pass(network, compute, backward=True)]


def inference(values: Callable[[str], Any], pictures: Pictures) -> list[Pass]:
    """An image, and mirrored."""
    settings, trained = values("learning_to_segment_infer"), values("learning_to_segment_train")
    short_side = trained.resize if settings.short_side is None else settings.short_side
    factor = short_side / min(pictures.height, pictures.width) if short_side else 1
    sides = [max(round(side * factor), 1) for side in (pictures.height, pictures.width)]
    if settings.size:
        sides = [settings.size, settings.size]
    network = build_semantic_network(trained, pictures.class_count).eval()

    def compute() -> list[torch.Tensor]:
        return [network(torch.empty(1, 3, *sides)) for _ in range(1 + settings.flip)]

    return [Pass(network, compute, backward=False)]


PASSES: dict[str, Sketch] = {"learning_to_segment_train": training, "learning_to_segment_infer": inference}
