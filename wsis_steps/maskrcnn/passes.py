"""Passes of Mask R-CNN, to plan what it takes. Its heads get as many regions as its settings allow."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from wsis_steps.maskrcnn.network import build_maskrcnn
from wsis_steps.vision.passes import MODEL, Pass, Pictures, Sketch

POSITIVE = 0.25  # share of the regions of a training that get masks, at most
MULTIPLE = 32  # to which torchvision pads


def build(settings: Any, class_count: int) -> GeneralizedRCNN:
    """The network on the meta device, with what `weights` freezes frozen."""
    network = build_maskrcnn(settings, class_count, "none")
    if settings.weights != "none":
        network.backbone.body.fix_norm()
        network.backbone.body.freeze(settings.frozen_levels)
    return network


def input_size(settings: Any, pictures: Pictures) -> list[int]:
    """Height and width of the network's input."""
    sides = pictures.height, pictures.width
    factor = min(settings.min_size / min(sides), settings.max_size / max(sides))
    return [-(-int(side * factor) // MULTIPLE) * MULTIPLE for side in sides]


def outputs(network: GeneralizedRCNN, images: Tensor, boxes: int, masks: int, proposes: bool = True) -> list[Tensor]:
    """Outputs of all heads for images (b, 3, h, w) and so many regions of all images together."""
    body, heads = network.backbone, network.roi_heads
    levels = body.fpn(dict(zip(body.names, body.body(images)[body.first :], strict=False)))
    found = [map_ for maps in network.rpn.head(list(levels.values())) for map_ in maps] if proposes else []
    learns = torch.is_grad_enabled()

    def pooled(count: int, size: int) -> Tensor:
        return torch.empty(count, body.out_channels, size, size, requires_grad=learns)

    found += heads.box_predictor(heads.box_head(pooled(boxes, heads.box_roi_pool.output_size[0])))
    if masks:
        found.append(heads.mask_predictor(heads.mask_head(pooled(masks, heads.mask_roi_pool.output_size[0]))))
    return [*levels.values(), *found]


def training_of(step: str) -> Sketch:
    """The sketch of a training of Mask R-CNN with the settings of a step."""

    def training(values: Callable[[str], Any], pictures: Pictures) -> list[Pass]:
        settings = values(step)
        network, size = build(settings, pictures.class_count), input_size(settings, pictures)
        boxes = settings.batch_size * settings.rois

        def compute() -> list[Tensor]:
            return outputs(network, torch.empty(settings.batch_size, 3, *size), boxes, int(POSITIVE * boxes))

        return [Pass(network, compute, backward=True)]

    return training


def inference(values: Callable[[str], Any], pictures: Pictures) -> list[Pass]:
    """An image with all the proposals and detections that settings allow."""
    settings, trained = values("maskrcnn_infer"), values(MODEL)
    network = build(trained, pictures.class_count).eval()
    chosen = {name: getattr(settings, name) for name in ("min_size", "max_size") if getattr(settings, name)}
    size = input_size(trained.model_copy(update=chosen), pictures)

    def compute() -> list[Tensor]:
        return outputs(network, torch.empty(1, 3, *size), trained.proposals_after_nms[1], settings.detections)

    return [Pass(network, compute, backward=False)]


PASSES: dict[str, Sketch] = {"maskrcnn_train": training_of("maskrcnn_train"), "maskrcnn_infer": inference}
