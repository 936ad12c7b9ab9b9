"""Training samples: a data set of images, and checks that there is something to learn."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.verdicts import check_labelled
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.images import Pictures
from wsis_steps.vision.settings import Training


class Samples(Dataset, ABC):
    """A random sample of each of some images, drawn anew at each visit; subclasses define what a sample is.

    members: int64 (n,), indices of the training images in `images`.
    """

    def __init__(self, images: Images, members: np.ndarray, settings: Training) -> None:
        self.images, self.members, self.settings = images, members, settings
        self.pictures = Pictures(images, members)

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, key: tuple[int, int, int]) -> Any:
        """The sample of (index, iteration, place in the batch); its randomness depends only on the seed and the last
        two."""
        index, *place = key
        rng = np.random.default_rng((self.settings.seed, *place))
        return self.draw(index, self.pictures.read(self.members[index]), rng)

    @abstractmethod
    def draw(self, index: int, picture: np.ndarray, rng: np.random.Generator) -> Any:
        """The sample of the image `members[index]`, uint8 RGB (h, w, 3)."""


def check_tags(images: Images, members: np.ndarray) -> None:
    """Raises InputError if none of these images has a tag."""
    if not images.tags[members].any():
        raise InputError(f"{images.path}: no training image has a tag, so there is nothing to learn.")


def check_instances(labels: Instances, verdict: str = "stop") -> None:
    """Raises InputError if the labels hold no instance, or most images have none and `verdict` is not `warn`."""
    if verdict != "warn":
        check_labelled(labels.path, labels.attributes)
    if not sum(map(len, labels)):
        raise InputError(f"{labels.path} holds no instance, so there is nothing to learn.")
