"""Small random proposals of each kind for tests: as the steps read them, and as plain pixel arrays."""

from pathlib import Path

import numpy as np
from artifacts import SIZE, provenance, square_mask, squares
from pycocotools import mask as coco

from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.contracts.proposals import Proposals, ProposalsWriter
from wsis_steps.vision.contracts.proposals import encode as encode_proposals
from wsis_steps.vision.masks import encode
from wsis_steps.vision.regions import BoxProposals, ImageProposals, MaskProposals, RegionProposals


def boxes_of(masks: np.ndarray) -> np.ndarray:
    """float32 (n, 4) of masks (n, h, w) that are not empty."""
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(boxes, masks, strict=True):
        rows, columns = np.nonzero(mask)
        box[:] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return boxes


def random_proposals(rng: np.random.Generator, kind: str, count: int, height: int, width: int) -> ImageProposals:
    """Proposals of a kind; regions are unions of the cells of a grid, masks are noise."""
    scores = np.sort(rng.random(count).astype(np.float32))[::-1]
    if kind == "boxes":
        low = rng.integers(0, (width, height), (count, 2))
        high = low + 1 + (rng.random((count, 2)) * ((width, height) - low)).astype(int)
        return BoxProposals(np.concatenate([low, high], 1).astype(np.float32), scores, height, width)
    if kind == "masks":
        masks = rng.random((count, height, width)) < rng.uniform(0.05, 0.9, (count, 1, 1))
        masks[:, rng.integers(height), rng.integers(width)] = True
        return MaskProposals(boxes_of(masks), scores, encode(masks), *masks.shape[1:])
    side = int(rng.integers(1, 6))
    across = -(-width // side)
    superpixels = (np.arange(height)[:, None] // side * across + np.arange(width) // side).astype(np.int32)
    members = rng.random((count, superpixels.max() + 1)) < rng.uniform(0.05, 0.9, (count, 1))
    members[np.arange(count), rng.integers(members.shape[1], size=count)] = True
    return RegionProposals(boxes_of(members[:, superpixels]), scores, superpixels, members)


def pixels(proposals: ImageProposals, height: int, width: int) -> np.ndarray:
    """bool (n, height, width), proposal by proposal."""
    masks = np.zeros((len(proposals), height, width), bool)
    for k, mask in enumerate(masks):
        if isinstance(proposals, BoxProposals):
            x1, y1, x2, y2 = proposals.boxes[k].astype(int)
            mask[y1:y2, x1:x2] = True
        elif isinstance(proposals, MaskProposals):
            mask[:] = coco.decode(proposals.rles[k])
        else:
            for superpixel in np.flatnonzero(proposals.members[k]):
                mask[proposals.superpixels == superpixel] = True
    return masks


def write_proposals(
    path: Path, kind: str, images: dict[str, tuple[ImageProposals, int, int]], supervision: tuple[str, ...] = ()
) -> Path:
    """A file of the proposals of images by name, each with the image's height and width."""
    with create(path, Proposals.schema, provenance((), supervision)) as file:
        writer = ProposalsWriter(file, kind)
        for identity, (proposals, height, width) in images.items():
            writer.add(identity, height, width, *encode_proposals(proposals))
        writer.close()
    return path


def square_boxes(path: Path, count: int = 8, others: int = 12) -> Path:
    """Boxes of the images of `artifacts.write_images`: that of the square, and others at random."""
    images = {}
    for k in range(count):
        rng = np.random.default_rng(k)
        low = rng.integers(0, SIZE - 10, (others, 2))
        high = low + rng.integers(6, 16, (others, 2))
        boxes = np.vstack([np.hstack([low, np.minimum(high, SIZE)]), squares(k).boxes]).astype(np.float32)
        images[f"image{k}"] = (
            BoxProposals(boxes, np.linspace(1, 0, len(boxes)).astype(np.float32), SIZE, SIZE),
            SIZE,
            SIZE,
        )
    return write_proposals(path, "boxes", images)


def square_regions(path: Path, count: int = 8) -> Path:
    """Regions of the images of `artifacts.write_images`: cells of 4 pixels, among them the square's, and others."""
    images = {}
    for k in range(count):
        rng = np.random.default_rng(k)
        superpixels = (np.arange(SIZE)[:, None] // 4 * (SIZE // 4) + np.arange(SIZE) // 4).astype(np.int32)
        superpixels[square_mask(k) > 0] += SIZE**2 // 16  # cells that the square's outline cuts in two
        _, superpixels = np.unique(superpixels, return_inverse=True)
        superpixels = superpixels.reshape(SIZE, SIZE).astype(np.int32)
        inside = np.bincount(superpixels.ravel(), square_mask(k).ravel()) > 0
        members = np.stack([inside, ~inside, *(rng.random((8, len(inside))) < 0.2)])
        scores = np.linspace(1, 0, len(members)).astype(np.float32)
        regions = RegionProposals(boxes_of(members[:, superpixels]), scores, superpixels, members)
        images[f"image{k}"] = regions, SIZE, SIZE
    return write_proposals(path, "regions", images)


def square_edges(path: Path, count: int = 8) -> Path:
    """Edge maps of the same images: the outlines of the squares."""
    with create(path, Maps.schema, provenance((), ())) as file:
        writer = MapsWriter(file, (SIZE, SIZE), np.uint8)
        for k in range(count):
            mask = square_mask(k).astype(np.float32)
            outline = np.hypot(*np.gradient(mask)) > 0
            writer.add(f"image{k}", SIZE, SIZE, (255 * outline).astype(np.uint8)[None])
        writer.close()
    return path
