"""Proposals of the three kinds, with their masks."""

import numpy as np
from proposal_sets import boxes_of

from wsis_steps.vision.masks import encode
from wsis_steps.vision.regions import BoxProposals, ImageProposals, MaskProposals, RegionProposals

KINDS = ("boxes", "regions", "masks")
SHAPES = ((5, 7), (1, 1), (9, 1), (6, 20))


def random_masks(count: int, height: int, width: int, seed: int) -> np.ndarray:
    """uint8 (count, height, width), of any density; the first pixel may be the only one."""
    rng = np.random.default_rng(seed)
    masks = rng.random((count, height, width)) < rng.random((count, 1, 1))
    masks[:, 0, 0] |= ~masks.any((1, 2))
    return masks.astype(np.uint8)


def random_proposals(kind: str, count: int, height: int, width: int, seed: int) -> tuple[ImageProposals, np.ndarray]:
    """Proposals with falling scores, and their masks uint8 (count, height, width), none of them empty."""
    rng = np.random.default_rng(seed)
    scores = np.sort(rng.random(count).astype(np.float32))[::-1].copy()
    if kind == "boxes":
        low = rng.integers(0, [width, height], (count, 2))
        high = rng.integers(low + 1, [width + 1, height + 1])
        boxes = np.hstack([low, high]).astype(np.float32)
        masks = np.zeros((count, height, width), np.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
            mask[y1:y2, x1:x2] = 1
        return BoxProposals(boxes, scores, height, width), masks
    if kind == "masks":
        masks = random_masks(count, height, width, seed)
        return MaskProposals(boxes_of(masks), scores, encode(masks), height, width), masks
    superpixels = rng.integers(0, rng.integers(1, 12), (height, width))
    superpixels = np.unique(superpixels, return_inverse=True)[1].reshape(height, width).astype(np.int32)
    members = rng.random((count, superpixels.max() + 1)) < 0.4
    members[:, superpixels[0, 0]] |= ~members.any(1)
    masks = np.zeros((count, height, width), np.uint8)
    for mask, member in zip(masks, members, strict=True):
        mask[np.isin(superpixels, np.flatnonzero(member))] = 1
    return RegionProposals(boxes_of(masks), scores, superpixels, members), masks
