"""Passes of the tag classifier, to plan what it takes."""

from collections.abc import Callable
from typing import Any

import torch

from wsis_steps.classifier.network import build_classifier, frozen_backbone, nearest_multiple
from wsis_steps.classifier.views import size_of_view
from wsis_steps.vision.passes import Pass, Pictures, Sketch


def training(values: Callable[[str], Any], pictures: Pictures) -> list[Pass]:
    """A batch of crops. Frozen classifiers learn from stored features, which is not sketched."""
    settings = values("classifier_train")
    if settings.frozen:
        return []
    network = build_classifier(settings, pictures.class_count)

    def compute() -> list[torch.Tensor]:
        return [network(torch.empty(settings.batch_size, 3, settings.crop, settings.crop))[0]]

    return [Pass(network, compute, backward=True)]


def inference(values: Callable[[str], Any], pictures: Pictures) -> list[Pass]:
    """An image at every scale, and mirrored."""
    settings, trained = values("classifier_infer"), values("classifier_train")
    if trained.frozen:
        return []
    network = build_classifier(trained, pictures.class_count).eval()

    def compute() -> list[torch.Tensor]:
        sides = [nearest_multiple(settings.size * scale, 1) for scale in settings.scales]
        return [network(torch.empty(1, 3, side, side))[1] for side in sides for _ in range(1 + settings.flip)]

    return [Pass(network, compute, backward=False)]


def extraction(values: Callable[[str], Any], pictures: Pictures) -> list[Pass]:
    """An image at each of the sizes in which the frozen backbone sees it."""
    settings = values("classifier_extract")
    backbone = frozen_backbone(settings.model_copy(update={"weights": "none"}))
    stride = backbone.strides[-1]

    def compute() -> list[torch.Tensor]:
        sizes = [size_of_view(pictures.height, pictures.width, side, stride) for side in settings.long_sides]
        return [backbone(torch.empty(1, 3, *size))[-1] for size in sizes]

    return [Pass(backbone, compute, backward=False)]


PASSES: dict[str, Sketch] = {
    "classifier_train": training,
    "classifier_infer": inference,
    "classifier_extract": extraction,
}
