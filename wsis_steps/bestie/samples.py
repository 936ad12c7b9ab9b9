"""Samples of the instance network: augmented pictures with semantic maps, labeled instances and points."""

from typing import Any

import numpy as np
import torch
from torch.utils.data import default_collate

from wsis_steps.bestie.grouping import pad_tables, semantic_components
from wsis_steps.bestie.settings import BestieTrain
from wsis_steps.vision.batches import to_tensor
from wsis_steps.vision.contracts.agreement import places
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.images import Geometry, distort, random_crop
from wsis_steps.vision.masks import UNSURE, paint
from wsis_steps.vision.samples import Samples

SIDES = 32  # resized sides are 1 more than a multiple of this (released code)


class TrainingSamples(Samples):
    """A sample is a dict: picture uint8 (3, crop, crop); semantic uint8 (crop, crop); instance_map and
    component_map int32 (crop, crop); instance_table, component_table and points int32 (n, 3) of category, x,
    y; instance_weights float32 (n,).
    """

    settings: BestieTrain

    def __init__(self, images: Images, semantic: Maps, labels: Instances, settings: BestieTrain) -> None:
        super().__init__(images, places(images, labels), settings)
        self.semantic, self.labels = semantic, labels
        self.semantic_members = places(semantic, labels)
        self.maps: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def draw(self, index: int, picture: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
        settings, (height, width) = self.settings, picture.shape[:2]
        geometry = random_crop(rng, height, width, settings.crop, self._scale(rng, height, width), settings.rot90)
        picture = geometry.picture(picture)
        semantic, instance_map = self._maps(index, height, width)
        semantic = geometry.labels(semantic, fill=UNSURE)
        components = semantic_components(semantic, self.images.tags[self.members[index]], settings.min_area)
        return {
            "picture": to_tensor(distort(rng, picture) if settings.photometric else picture),
            "semantic": torch.from_numpy(semantic),
            "component_map": torch.from_numpy(components.map),
            "component_table": components.table,
            "points": _point_table(geometry, self.images.points[self.members[index]]),
            **self._instances(index, geometry.labels(instance_map)),
        }

    def _maps(self, index: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Semantic and instance map of an image; cached in memory if the pictures are."""
        if index in self.maps:
            return self.maps[index]
        labels = self.labels.read(index)
        instance_map = paint(labels, height, width)
        if len(labels) <= 255:  # a quarter of the memory, and no conversion to float for sampling
            instance_map = instance_map.astype(np.uint8)
        maps = self.semantic.semantic(self.semantic_members[index]), instance_map
        if self.pictures.cache is not None:
            self.maps[index] = maps
        return maps

    def _scale(self, rng: np.random.Generator, height: int, width: int) -> tuple[float, float]:
        """Factors on height and width: to the long side, sides rounded to 1 mod 32, then random in steps of 0.1."""
        low, high = self.settings.scale
        steps = round((high - low) * 10) + 1
        factor = low + 0.1 * rng.integers(steps)
        if not self.settings.long_side:
            return factor, factor
        longest = (self.settings.long_side - 1) // SIDES * SIDES + 1
        sides = np.floor(np.array([height, width]) * (longest / max(height, width)))
        resized = np.maximum(np.ceil((sides - 1) / SIDES), 1) * SIDES + 1
        return factor * resized[0] / height, factor * resized[1] / width

    def _instances(self, index: int, instance_map: np.ndarray) -> dict[str, Any]:
        labels = self.labels.read(index)
        weights = labels.scores * (1 if labels.weights is None else labels.weights)
        kept, table = instance_table(instance_map, labels.categories, self.settings.min_area)
        number = np.zeros(len(labels) + 1, dtype=np.int32)
        number[kept + 1] = np.arange(1, len(kept) + 1)
        return {
            "instance_map": torch.from_numpy(number[instance_map]),
            "instance_table": table,
            "instance_weights": weights[kept].astype(np.float32),
        }


def instance_table(instance_map: np.ndarray, categories: np.ndarray, min_area: int) -> tuple[np.ndarray, np.ndarray]:
    """Instances with at least min_area pixels, int64 (k,), and their rows category, x, y of the centroid, int32 (k, 3).

    instance_map: integers (h, w), k + 1 where instance k is; centroids are truncated (BESTIE, released code).
    """
    y, x = np.nonzero(instance_map)
    owner = instance_map[y, x] - 1
    areas = np.bincount(owner, minlength=len(categories))
    kept = np.flatnonzero(areas >= min_area)
    sums = [np.bincount(owner, along, minlength=len(categories))[kept] for along in (x, y)]
    columns = [categories[kept], *(total / areas[kept] for total in sums)]
    return kept, np.stack(columns, axis=1).astype(np.int32).reshape(-1, 3)


def _point_table(geometry: Geometry, points: np.ndarray) -> np.ndarray:
    moved = geometry.points(points.reshape(-1, 3))
    return np.rint(moved[:, [2, 0, 1]]).astype(np.int32)


def collate(samples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """A batch of samples; tables are padded with -1, weights with 0."""
    ragged = ("component_table", "instance_table", "points", "instance_weights")
    batch = default_collate([{k: v for k, v in sample.items() if k not in ragged} for sample in samples])
    for name in ragged[:3]:
        batch[name] = torch.from_numpy(pad_tables([sample[name] for sample in samples]))
    weights = np.zeros(batch["instance_table"].shape[:2], dtype=np.float32)
    for row, sample in zip(weights, samples, strict=True):
        row[: len(sample["instance_weights"])] = sample["instance_weights"]
    return {**batch, "instance_weights": torch.from_numpy(weights)}
