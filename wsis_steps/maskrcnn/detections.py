"""Mask R-CNN's detections in pictures, as instances."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.transform import resize_boxes

from wsis_steps.maskrcnn.pasting import paste_masks
from wsis_steps.maskrcnn.settings import MaskrcnnInfer
from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.finite import check_outputs
from wsis_steps.vision.masks import describe, encode
from wsis_steps.vision.outlines import follow_outlines

MASK_THRESHOLD = 0.5  # Mask R-CNN, section 3.1: masks are binarized at 0.5
PIXELS = 1 << 25  # of masks at a time: all 100 of a VOC picture at once, few of a large one


@torch.inference_mode()
def detect(
    model: GeneralizedRCNN, pictures: Sequence[Tensor], settings: MaskrcnnInfer | None = None
) -> list[ImageInstances]:
    """The instances of RGB pictures uint8 (3, h, w) on the model's device, at the pictures' own sizes.

    The result is the model's own, but with less memory: the model pastes all masks of a picture at once, which takes 50
    MB per mask for a picture of twelve megapixels. If the settings have `crf_iterations`, masks follow outlines.
    """
    seen, _ = model.transform([picture.float() / 255 for picture in pictures])
    features = model.backbone(seen.tensors)
    check_outputs(*features.values())
    proposals, _ = model.rpn(seen, features)
    detections, _ = model.roi_heads(features, proposals, seen.image_sizes)
    return [
        _describe(found, size, picture, settings)
        for picture, size, found in zip(pictures, seen.image_sizes, detections, strict=True)
    ]


def _describe(
    found: dict[str, Tensor], seen: tuple[int, int], picture: Tensor, settings: MaskrcnnInfer | None
) -> ImageInstances:
    """Detections in a picture (3, height, width), from the network's detections at the size `seen`."""
    height, width = picture.shape[1:]
    boxes, rles = resize_boxes(found["boxes"], seen, (height, width)), []
    for some in torch.arange(len(boxes)).split(max(PIXELS // (height * width), 1)):
        pasted = paste_masks(found["masks"][some], boxes[some], height, width)[:, 0]
        if settings is not None and settings.crf_iterations:
            pixels = picture.permute(1, 2, 0).cpu().numpy()
            masks = follow_outlines(pixels, pasted.cpu().numpy(), boxes[some].cpu().numpy(), settings)
        else:
            masks = (pasted >= MASK_THRESHOLD).cpu().numpy()
        rles += encode(masks)
    categories = found["labels"].cpu().numpy() - 1
    return describe(rles, categories.astype(np.int64), scores=found["scores"].float().cpu().numpy())
