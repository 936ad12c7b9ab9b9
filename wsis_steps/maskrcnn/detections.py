"""What Mask R-CNN puts out, as instances."""

import torch

from wsis_steps.core.masks import describe, encode
from wsis_steps.core.store import ImageInstances

MASK_THRESHOLD = 0.5  # Mask R-CNN, section 3.1: masks are binarised at 0.5


def to_instances(output: dict[str, torch.Tensor]) -> ImageInstances:
    """Detections of one image in torchvision's form: masks (n, 1, h, w) in 0..1, labels (n,) 1 + category, scores."""
    masks = (output["masks"][:, 0] >= MASK_THRESHOLD).to(torch.uint8).cpu().numpy()
    categories = output["labels"].cpu().numpy() - 1
    return describe(encode(masks), categories, scores=output["scores"].float().cpu().numpy())
