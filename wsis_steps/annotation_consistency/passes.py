"""Passes of Annotation Consistent Instances, to plan what it takes. Sums over proposals are left out: they are few."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsis_steps.annotation_consistency.network import ConditionalNetwork
from wsis_steps.maskrcnn.passes import build, input_size, outputs, training_of
from wsis_steps.vision.passes import Pass, Pictures, Sketch


def _network(values: Callable[[str], Any], class_count: int) -> ConditionalNetwork:
    settings = values("annotation_consistency_initialise")
    network = ConditionalNetwork(settings.model_copy(update={"weights": "none"}), class_count)
    if settings.weights != "none":
        network.backbone.fix_norm()
    return network


def _size(settings: Any, pictures: Pictures) -> list[int]:
    sides = pictures.height, pictures.width
    factor = min(settings.long_side / max(sides), 1) if settings.long_side else 1
    return [round(side * factor) for side in sides]


def _evidence(network: ConditionalNetwork, features: Tensor, samples: int, labels: int) -> Tensor:
    """Class scores (samples, labels, h, w) of an image's cells, as `ConditionalNetwork.score` computes them."""
    mixed = functional.conv2d(features[None], network.mix.weight[:, : len(features)], network.mix.bias)
    mixed = (mixed + torch.empty(samples, len(features), 1, 1)).relu()
    evidence = functional.conv2d(mixed, network.classify.weight[:labels])
    return evidence.flatten(2).permute(2, 0, 1).flatten(1)


def initialising(values: Callable[[str], Any], pictures: Pictures) -> list[Pass]:
    """A batch, with one sample of all classes for each image."""
    settings = values("annotation_consistency_initialise")
    network, size = _network(values, pictures.class_count), _size(settings, pictures)

    def compute() -> list[Tensor]:
        features = network(torch.empty(settings.batch_size, 3, *size))
        return [_evidence(network, own, 1, 1 + pictures.class_count) for own in features]

    return [Pass(network, compute, backward=True)]


def conditional(values: Callable[[str], Any], pictures: Pictures) -> list[Pass]:
    """A batch with several samples of the tags for each image, whose proposals Mask R-CNN looks at."""
    settings = values("annotation_consistency_train_conditional")
    fixed = values("annotation_consistency_train_prediction")
    network, size = _network(values, pictures.class_count), _size(settings, pictures)
    prediction = build(fixed, pictures.class_count).eval().requires_grad_(False)
    boxes = min(pictures.proposals, settings.max_proposals)
    masks = boxes if settings.mask_weight else 0
    shape = Pictures(pictures.class_count, *size, pictures.proposals)

    def compute() -> list[Tensor]:
        features, found = network(torch.empty(settings.batch_size, 3, *size)), []
        for own in features:
            found.append(_evidence(network, own, settings.samples, 1 + pictures.tags))
            with torch.no_grad():
                outputs(prediction, torch.empty(1, 3, *input_size(fixed, shape)), boxes, masks, proposes=False)
        return found

    both = nn.ModuleList([network, prediction])
    return [Pass(both, compute, backward=True)]


def sampling(values: Callable[[str], Any], pictures: Pictures) -> list[Pass]:
    """An image with its samples."""
    settings = values("annotation_consistency_sample")
    network, size = _network(values, pictures.class_count).eval(), _size(settings, pictures)

    def compute() -> list[Tensor]:
        features = network(torch.empty(1, 3, *size))[0]
        return [_evidence(network, features, settings.samples, 1 + pictures.tags)]

    return [Pass(network, compute, backward=False)]


PASSES: dict[str, Sketch] = {
    "annotation_consistency_initialise": initialising,
    "annotation_consistency_train_conditional": conditional,
    "annotation_consistency_train_prediction": training_of("annotation_consistency_train_prediction"),
    "annotation_consistency_sample": sampling,
}
