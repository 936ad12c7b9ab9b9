"""What the network trains on: pictures at random scales with their proposals and tags."""

from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from wsis_steps.community_learning.settings import CommunityLearningTrain
from wsis_steps.vision.batches import to_tensor
from wsis_steps.vision.contracts.agreement import places
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.images import Geometry, Pictures, flip_and_rot90, resize_by


class TrainingSamples(Dataset):
    """A sample is a dict: picture uint8 (3, h, w); boxes float32 (R, 4) xyxy in its pixels; tags bool (C,)."""

    def __init__(self, images: Images, proposals: Proposals, settings: CommunityLearningTrain) -> None:
        self.images, self.proposals, self.settings = images, proposals, settings
        self.members = images.members("train")
        self.places = places(proposals, images)
        self.pictures = Pictures(images, self.members)

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, key: tuple[int, int, int]) -> dict[str, Any]:
        settings, (index, *place) = self.settings, key
        rng = np.random.default_rng((settings.seed, *place))
        i = self.members[index]
        picture = self.pictures.read(i)
        scaled = scale_to(*picture.shape[:2], int(rng.choice(settings.short_sides)), settings.long_side)
        geometry = scaled.then(flip_and_rot90(rng, scaled.height, scaled.width, settings.rot90))
        boxes = boxes_of(self.proposals, int(self.places[i]))
        if len(boxes) > settings.max_proposals:
            boxes = boxes[np.sort(rng.choice(len(boxes), settings.max_proposals, replace=False))]
        return {
            "picture": to_tensor(geometry.picture(picture)),
            "boxes": torch.from_numpy(geometry.boxes(boxes).astype(np.float32)),
            "tags": torch.from_numpy(self.images.tags[i]),
        }


def scale_to(height: int, width: int, short_side: int, long_side: int) -> Geometry:
    """Brings the shorter side to `short_side`, or less where the longer would exceed `long_side`."""
    factor = min(short_side / min(height, width), long_side / max(height, width))
    return resize_by(height, width, factor)


def boxes_of(proposals: Proposals, i: int) -> np.ndarray:
    """The boxes float32 (R, 4) of image i; the whole image where it has none."""
    boxes = proposals.read(i).boxes
    if len(boxes):
        return boxes
    return np.array([[0, 0, proposals.widths[i], proposals.heights[i]]], dtype=np.float32)
