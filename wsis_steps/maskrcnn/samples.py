"""Training samples of Mask R-CNN: pictures with weighted instances as targets."""

import numpy as np
import torch

from wsis_steps.maskrcnn.settings import MaskrcnnTrain
from wsis_steps.vision.batches import to_tensor
from wsis_steps.vision.contracts.agreement import places
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import ImageInstances, Instances
from wsis_steps.vision.images import Geometry, flip_and_rot90
from wsis_steps.vision.masks import decode
from wsis_steps.vision.samples import Samples


class LabelledPictures(Samples):
    """Pictures uint8 (3, h, w) with their targets, as `network.py` describes them."""

    settings: MaskrcnnTrain

    def __init__(self, images: Images, labels: Instances, settings: MaskrcnnTrain) -> None:
        super().__init__(images, places(images, labels), settings)
        self.labels = labels

    def draw(
        self, index: int, picture: np.ndarray, rng: np.random.Generator
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        geometry = flip_and_rot90(rng, *picture.shape[:2], self.settings.rot90)
        target = build_target(self.choose(index, rng), *picture.shape[:2], self.settings, geometry)
        return to_tensor(geometry.picture(picture)), target

    def choose(self, index: int, rng: np.random.Generator) -> ImageInstances:
        """The instances of an image to learn this time: all."""
        return self.labels.read(index)


def build_target(
    instances: ImageInstances, height: int, width: int, settings: MaskrcnnTrain, geometry: Geometry
) -> dict[str, torch.Tensor]:
    """Target tensors of an image after a lossless rotation or flip; weak labels and crowds join the ignored region."""
    masks = decode(instances.rles, height, width)
    strength = instances.scores * (1 if instances.weights is None else instances.weights)
    weak = (strength < settings.min_score) | instances.crowd
    ignore = masks[weak].any(axis=0) if weak.any() else np.zeros((height, width), dtype=bool)
    if instances.ignore:
        ignore = ignore | (decode([instances.ignore], height, width)[0] > 0)
    turned = np.zeros((int((~weak).sum()), geometry.height, geometry.width), dtype=np.uint8)
    for k, mask in enumerate(masks[~weak]):
        turned[k] = geometry.labels(mask)
    weights = strength[~weak] if settings.use_scores else np.ones(len(turned))
    return {
        "boxes": torch.from_numpy(box_of(turned).astype(np.float32)),
        "labels": torch.from_numpy(instances.categories[~weak] + 1),
        "masks": torch.from_numpy(turned),
        "weights": torch.from_numpy(weights.astype(np.float32)),
        "ignore": torch.from_numpy(geometry.labels(ignore.astype(np.uint8)) > 0),
    }


def box_of(masks: np.ndarray) -> np.ndarray:
    """Boxes (n, 4) xyxy of masks (n, h, w), none of them empty; x2 and y2 are one past the last pixel."""
    columns, rows = masks.any(axis=1), masks.any(axis=2)
    x1, y1 = columns.argmax(axis=1), rows.argmax(axis=1)
    x2 = columns.shape[1] - columns[:, ::-1].argmax(axis=1)
    y2 = rows.shape[1] - rows[:, ::-1].argmax(axis=1)
    return np.stack([x1, y1, x2, y2], axis=1)


def collate(samples: list) -> list:
    """Lists of pictures and of targets."""
    return [list(part) for part in zip(*samples, strict=True)]
