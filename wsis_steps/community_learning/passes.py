"""Passes of Deep Community Learning, to plan what it takes: for each short side, every proposal goes through res5."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import roi_align

from wsis_steps.community_learning.network import CommunityNetwork
from wsis_steps.vision.passes import Pass, Pictures, Sketch


def _build(settings: Any, class_count: int) -> CommunityNetwork:
    """The network, with torchvision's pooling: this project's sorts regions by their sizes, which fake tensors lack."""
    network = CommunityNetwork(settings.model_copy(update={"weights": "none"}), class_count)
    network.features.take = roi_align
    return network


def _outputs(network: CommunityNetwork, images: Tensor, boxes: int, masks: int, chunk: int) -> list[Tensor]:
    maps = network(images)
    found = list(network.detect(maps, torch.empty(boxes, 5), chunk))
    if masks and network.settings.mask_generation:
        found += network.segment(maps, torch.empty(masks, 5), torch.ones(masks, dtype=torch.int64), chunk)
    return found


def _size(short_side: int, long_side: int, pictures: Pictures) -> list[int]:
    sides = pictures.height, pictures.width
    factor = min(short_side / min(sides), long_side / max(sides))
    return [round(side * factor) for side in sides]


def training(values: Callable[[str], Any], pictures: Pictures) -> list[Pass]:
    """A part of a batch at each of the short sides, as often as it is drawn."""
    settings = values("community_learning_train")
    network = _build(settings, pictures.class_count)
    images = settings.batch_size // settings.accumulation
    boxes = images * min(pictures.proposals, settings.max_proposals)
    masks = min(images * (settings.sampled_objects + settings.sampled_background), boxes)

    def compute_at(short_side: int) -> Callable[[], list[Tensor]]:
        size = _size(short_side, settings.long_side, pictures)
        return lambda: _outputs(network, torch.empty(images, 3, *size), boxes, masks, settings.roi_chunk)

    share = settings.accumulation / len(settings.short_sides)
    return [Pass(network, compute_at(side), True, share) for side in settings.short_sides]


def inference(values: Callable[[str], Any], pictures: Pictures) -> list[Pass]:
    """An image at every short side, and mirrored."""
    settings, trained = values("community_learning_infer"), values("community_learning_train")
    network = _build(trained, pictures.class_count).eval()

    def compute() -> list[Tensor]:
        sizes = [_size(side, settings.long_side, pictures) for side in settings.short_sides]
        return [
            output
            for size in sizes
            for _ in range(1 + settings.flip)
            for output in _outputs(
                network, torch.empty(1, 3, *size), pictures.proposals, settings.detections, settings.roi_chunk
            )
        ]

    return [Pass(network, compute, backward=False)]


PASSES: dict[str, Sketch] = {"community_learning_train": training, "community_learning_infer": inference}
