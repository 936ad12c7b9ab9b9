"""Training samples of the semantic network: augmented pictures, their tags and, for the upper bound, true labels."""

from typing import Any

import numpy as np
import torch

from wsis_steps.learning_to_segment.settings import LearningToSegmentTrain
from wsis_steps.vision.batches import to_tensor
from wsis_steps.vision.contracts.agreement import places
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.images import distort, random_crop
from wsis_steps.vision.masks import UNSURE, true_labels
from wsis_steps.vision.samples import Samples


class TaggedSamples(Samples):
    """A sample is a dict: picture uint8 (3, crop, crop); tags bool (C,); valid bool (crop, crop), False where padded;
    with truth also labels uint8 (crop, crop): 0 background, 1 + category, 255 unsure.
    """

    settings: LearningToSegmentTrain

    def __init__(self, images: Images, truth: Instances | None, settings: LearningToSegmentTrain) -> None:
        super().__init__(images, images.members("train") if truth is None else places(images, truth), settings)
        self.truth = truth

    def draw(self, index: int, picture: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
        settings, (height, width) = self.settings, picture.shape[:2]
        factor = settings.resize / min(height, width) * rng.uniform(*settings.scale)
        geometry = random_crop(rng, height, width, settings.crop, (factor, factor), settings.rot90)
        moved = geometry.picture(picture)
        sample = {
            "picture": to_tensor(distort(rng, moved) if settings.photometric else moved),
            "tags": torch.from_numpy(self.images.tags[self.members[index]].astype(bool)),
            "valid": torch.from_numpy(geometry.labels(np.ones((height, width), np.uint8)).astype(bool)),
        }
        if self.truth is not None:
            labels = true_labels(self.truth.read(index), height, width)
            sample["labels"] = torch.from_numpy(geometry.labels(labels, fill=UNSURE))
        return sample
