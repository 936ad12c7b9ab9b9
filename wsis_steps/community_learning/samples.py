"""Training samples of the network: pictures at random scales with their proposals and tags."""

from typing import Any

import numpy as np
import torch

from wsis_steps.community_learning.settings import CommunityLearningTrain
from wsis_steps.vision.batches import to_tensor
from wsis_steps.vision.contracts.agreement import places
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.images import Geometry, flip_and_rot90, resize_by
from wsis_steps.vision.samples import Samples


class TrainingSamples(Samples):
    """A sample is a dict: picture uint8 (3, h, w); boxes float32 (R, 4) xyxy in its pixels; tags bool (C,); luck
    float32 (R,), 0 to 1, by which boxes are sampled.

    Luck is part of the sample so that it depends only on seed, iteration and place, not on other computations of the
    network.
    """

    settings: CommunityLearningTrain

    def __init__(self, images: Images, proposals: Proposals, settings: CommunityLearningTrain) -> None:
        super().__init__(images, images.members("train"), settings)
        self.proposals, self.places = proposals, places(proposals, images)

    def draw(self, index: int, picture: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
        settings, i = self.settings, self.members[index]
        scaled = scale_to(*picture.shape[:2], int(rng.choice(settings.short_sides)), settings.long_side)
        geometry = scaled.then(flip_and_rot90(rng, scaled.height, scaled.width, settings.rot90))
        boxes = boxes_of(self.proposals, int(self.places[i]))
        if len(boxes) > settings.max_proposals:
            boxes = boxes[np.sort(rng.choice(len(boxes), settings.max_proposals, replace=False))]
        return {
            "picture": to_tensor(geometry.picture(picture)),
            "boxes": torch.from_numpy(geometry.boxes(boxes).astype(np.float32)),
            "tags": torch.from_numpy(self.images.tags[i]),
            "luck": torch.from_numpy(rng.random(len(boxes), dtype=np.float32)),
        }


def scale_to(height: int, width: int, short_side: int, long_side: int) -> Geometry:
    """Scales the shorter side to `short_side`, or less if the longer would exceed `long_side`."""
    factor = min(short_side / min(height, width), long_side / max(height, width))
    return resize_by(height, width, factor)


def boxes_of(proposals: Proposals, i: int) -> np.ndarray:
    """The boxes float32 (R, 4) of image i; the whole image if it has none."""
    boxes = proposals.read(i).boxes
    if len(boxes):
        return boxes
    return np.array([[0, 0, proposals.widths[i], proposals.heights[i]]], dtype=np.float32)
