"""Descriptors of region proposals: features in the region and around it, and its shape.

The features of a region are the mean, over its pixels, of the backbone's maps enlarged to image size. Since enlarging
and averaging are linear, they are the products of two small matrices: superpixels x cells, and cells x channels.
"""

from collections.abc import Sequence

import numpy as np

from wsis_steps.vision.regions import RegionProposals

SHAPE = 5  # numbers that describe a region's shape
LONGEST = 1000  # pixels; larger images are sampled, since cells of a map cover many of their pixels


def length(channels: int) -> int:
    """Length of the descriptors from maps of `channels` channels."""
    return 2 * channels + SHAPE


def cell_weights(superpixels: np.ndarray, count: int, height: int, width: int) -> np.ndarray:
    """Summed weights float32 (count, height * width) of the cells of a map, over the pixels of each superpixel.

    A pixel's weights are those of bilinear interpolation, with cells and pixels as squares that cover the same area.
    superpixels: int (h, w), from 0 to `count` - 1.
    """
    (top, below, down), (left, right, across) = (
        _neighbours(side, cells) for side, cells in zip(superpixels.shape, (height, width), strict=True)
    )
    weights, first = np.zeros(count * height * width), superpixels.astype(np.int64) * (height * width)
    for row, vertical in ((top, 1 - down), (below, down)):
        for column, horizontal in ((left, 1 - across), (right, across)):
            cells = first + (row[:, None] * width + column)
            shares = vertical[:, None] * horizontal
            weights += np.bincount(cells.ravel(), shares.ravel(), minlength=len(weights))
    return weights.reshape(count, -1).astype(np.float32)


def _neighbours(side: int, cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two cells that each of `side` pixels lies between, int64, and the weight of the second, 0 to 1."""
    places = np.clip((np.arange(side) + 0.5) * cells / side - 0.5, 0, cells - 1)
    first = places.astype(np.int64)
    return first, np.minimum(first + 1, cells - 1), places - first


def describe_regions(maps: Sequence[np.ndarray], regions: RegionProposals) -> np.ndarray:
    """Descriptors float32 (n, `length(channels)`) of an image's regions.

    They hold the mean features of the region, those of the rest of the image, the root of its share of the image, the
    width and height of its box as shares of the image's, its share of the box, and the proposal's score.
    maps: features (channels, h, w) of the image at each size; their means are averaged.
    """
    count, (height, width) = regions.members.shape[1], regions.superpixels.shape
    sampled = regions.superpixels[:: -(-height // LONGEST), :: -(-width // LONGEST)]
    sums = np.zeros((count, len(maps[0])), np.float32)
    for one in maps:
        weights = cell_weights(sampled, count, *one.shape[1:])
        sums += weights @ one.reshape(len(one), -1).T.astype(np.float32) / len(maps)
    members, numbers = regions.members.astype(np.float32), np.bincount(sampled.ravel(), minlength=count)
    within, seen = members @ sums, (members @ numbers.astype(np.float32))[:, None]
    inside = within / np.maximum(seen, 1)
    outside = (sums.sum(axis=0) - within) / np.maximum(sampled.size - seen, 1)
    pixels = np.float32(height * width)
    sides = (regions.boxes[:, 2:] - regions.boxes[:, :2]) / np.float32([width, height])
    share = regions.areas[:, None] / pixels
    fill = share / np.maximum(sides.prod(axis=1, keepdims=True), 1 / pixels)
    shape = np.hstack([np.sqrt(share), sides, fill, regions.scores[:, None]])
    return np.hstack([inside, outside, shape]).astype(np.float32)
