"""Pseudo instance labels of one image: connected components of its semantic map, and which of them hold one
cue.

Runs on the CPU: in data workers (after augmentation), in the label step and at inference. What needs the
outputs of a network is in `refinement.py`. Facts: BESTIE (CVPR 2022), supplement, listing 4 and released
code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np

MIN_AREA = 50  # pixels; smaller components are left alone everywhere in the method
SIGMA = 6  # pixels, of the Gaussian at a center


class Targets(NamedTuple):
    """What the center and offset heads learn from; numpy arrays for an image, tensors with a batch axis for a
    batch.

    centers: float32 (C, H, W) heatmaps in [0, 1], or None where centers are not supervised anew (refinement with
    points); offsets: float32 (2, H, W), channel 0 = y, pixels from the pixel to its instance's center;
    weight: float32 (H, W) in [0, 1], 0 = not supervised.
    """

    centers: Any
    offsets: Any
    weight: Any


@dataclass(frozen=True)
class Components:
    """The 8-connected components of equal tagged class in a semantic map.

    map: int32 (H, W), 0 = in no component, k = in row k - 1 of the table;
    table: int32 (n, 3), rows category, x, y of the integer-truncated centroid;
    small: how many components were left out for their area.
    """

    map: np.ndarray
    table: np.ndarray
    small: int


@dataclass(frozen=True)
class PseudoLabels:
    """Components that hold exactly one cue, as instances (BESTIE's semantic knowledge transfer).

    instance_map: int32 (H, W), 0 = none, k = the k-th accepted component; categories: int64 (k,); centers:
    int64 (k, 2), x and y of the component's integer-truncated centroid; accepted, empty, ambiguous, small:
    numbers of components with one cue, with none, with several, below the area; components: all components
    that are large enough, which the refinement wants.
    """

    instance_map: np.ndarray
    categories: np.ndarray
    centers: np.ndarray
    accepted: int
    empty: int
    ambiguous: int
    small: int
    components: Components


def semantic_components(semantic: np.ndarray, tags: np.ndarray, min_area: int = MIN_AREA) -> Components:
    """The 8-connected components of every tagged class, class by class, without those under `min_area`
    pixels.

    semantic: uint8 (H, W), 0 background, 1 + category, 255 unsure; tags: bool (C,), classes to look at.
    """
    component_map = np.zeros(semantic.shape, dtype=np.int32)
    rows, found, small = [], 0, 0
    for category in np.flatnonzero(tags):
        mask = cv2.compare(semantic, float(category + 1), cv2.CMP_EQ)
        x, y, width, height = cv2.boundingRect(mask)
        if not width:
            continue
        box = slice(y, y + height), slice(x, x + width)
        count, labels, stats, centroids = cv2.connectedComponentsWithStats(mask[box], connectivity=8)
        keep = stats[:, cv2.CC_STAT_AREA] >= min_area
        keep[0] = False  # label 0 is what is not the class
        kept = int(keep.sum())
        small += count - 1 - kept
        if not kept:
            continue
        number = np.zeros(count, dtype=np.int32)
        number[keep] = np.arange(found + 1, found + kept + 1)
        component_map[box] += number[labels]
        corner = np.array([x, y], dtype=np.int32)
        center = centroids[keep].astype(np.int32) + corner  # truncated, and never negative
        rows.append(np.column_stack([np.full(kept, category, dtype=np.int32), center]))
        found += kept
    table = np.concatenate(rows) if rows else np.zeros((0, 3), dtype=np.int32)
    return Components(component_map, table, small)


def pad_tables(tables: Sequence[np.ndarray]) -> np.ndarray:
    """Tables of different lengths as one int32 (B, M, 3) array, M >= 1; rows that pad hold -1."""
    padded = np.full((len(tables), max([1, *map(len, tables)]), 3), -1, dtype=np.int32)
    for row, table in zip(padded, tables, strict=True):
        row[: len(table)] = table
    return padded


def pseudo_instances(
    semantic: np.ndarray, cues: np.ndarray, tags: np.ndarray, min_area: int = MIN_AREA
) -> PseudoLabels:
    """Takes every component that holds exactly one cue of its class for an instance (supp. listing 4).

    semantic: uint8 (H, W), 0 background, 1 + category, 255 unsure; cues: float (n, 4), rows x, y, category,
    confidence; a cue counts for the pixel that is nearest, and not at all outside the image; tags: bool (C,).
    A component with no cue or several is labelled neither as an instance nor as background.
    """
    components = semantic_components(semantic, tags, min_area)
    cues = np.asarray(cues, dtype=np.float64).reshape(-1, 4)
    height, width = semantic.shape
    x, y, category = np.rint(cues[:, :3]).T.astype(np.int64)
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    owner = components.map[y[inside], x[inside]]
    categories = np.append(-1, components.table[:, 0])  # of component 0, which is none, and of the others
    held = np.bincount(owner[categories[owner] == category[inside]], minlength=len(categories))[1:]
    accepted = held == 1
    number = np.zeros(len(categories), dtype=np.int32)
    number[1:][accepted] = np.arange(1, accepted.sum() + 1)
    taken = components.table[accepted].astype(np.int64)
    return PseudoLabels(
        instance_map=number[components.map],
        categories=taken[:, 0],
        centers=taken[:, 1:],
        accepted=int(accepted.sum()),
        empty=int((held == 0).sum()),
        ambiguous=int((held > 1).sum()),
        small=components.small,
        components=components,
    )


@lru_cache(maxsize=8)
def gaussian_window(sigma: float = SIGMA) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row offsets, column offsets (int64) and heights (float32) of the 6 sigma + 3 pixels wide Gaussian
    window.

    Its height is 1 in the middle; all three are flat and in the same order.
    """
    radius = int(3 * sigma + 1)
    dy, dx = (part.ravel() for part in np.mgrid[-radius : radius + 1, -radius : radius + 1])
    return dy, dx, np.exp(-(dx**2 + dy**2) / (2 * sigma**2)).astype(np.float32)


def heatmaps(points: np.ndarray, channels: int, shape: tuple[int, int], sigma: float = SIGMA) -> np.ndarray:
    """Gaussians of height 1 at points, combined by maximum: float32 (channels, H, W).

    points: (n, 3), rows x, y, channel, to the nearest pixel; points outside the image are
    skipped.
    """
    height, width = shape
    heatmap = np.zeros((channels, height, width), dtype=np.float32)
    x, y, channel = np.rint(np.asarray(points, dtype=np.float64).reshape(-1, 3)).T.astype(np.int64)
    dy, _, values = gaussian_window(sigma)
    radius = int(dy[-1])
    window = values.reshape(2 * radius + 1, -1)
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    for cx, cy, c in zip(x[inside], y[inside], channel[inside], strict=True):  # far faster than a scatter
        top, left = max(cy - radius, 0), max(cx - radius, 0)
        part = heatmap[c, top : cy + radius + 1, left : cx + radius + 1]
        row, column = top - cy + radius, left - cx + radius
        np.maximum(part, window[row : row + part.shape[0], column : column + part.shape[1]], out=part)
    return heatmap


def targets(
    instance_map: np.ndarray,
    categories: np.ndarray,
    centers: np.ndarray,
    weights: np.ndarray,
    class_count: int,
    center_points: np.ndarray | None = None,
    sigma: float = SIGMA,
    class_agnostic: bool = False,
) -> Targets:
    """Heatmaps, offsets and weights of instances.

    instance_map: int32 (H, W), 0 = none, k = row k - 1 of categories (n,), centers (n, 2: x, y) and weights
    (n,); center_points: (m, 3), rows x, y, category, take the place of the instances' centers in the heatmap
    but not in the offsets (supervision with points: every given point is a center, labelled component or
    not); class_agnostic: one heatmap for all classes in place of `class_count`.
    """
    height, width = instance_map.shape
    centers = np.asarray(centers, dtype=np.int64).reshape(-1, 2)
    if center_points is None:
        points = np.column_stack([centers, np.asarray(categories, dtype=np.int64)])
    else:
        points = np.array(center_points, dtype=np.float64).reshape(-1, 3)
    if class_agnostic:
        points[:, 2] = 0
    heatmap = heatmaps(points, 1 if class_agnostic else class_count, (height, width), sigma)
    tables = np.zeros((3, len(centers) + 1), dtype=np.float32)
    tables[:, 1:] = centers[:, 1], centers[:, 0], weights
    offsets = np.zeros((2, height, width), dtype=np.float32)
    weight = np.zeros((height, width), dtype=np.float32)
    labelled = np.flatnonzero(instance_map)
    owner = instance_map.ravel()[labelled]
    offsets[0].ravel()[labelled] = tables[0][owner] - labelled // width
    offsets[1].ravel()[labelled] = tables[1][owner] - labelled % width
    weight.ravel()[labelled] = tables[2][owner]
    return Targets(heatmap, offsets, weight)


def group(offsets: np.ndarray, centers: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Gives every pixel of the mask to the center nearest to where its offset points: int32 (H, W), 0
    outside.

    offsets: float (2, H, W), channel 0 = y, pixels; centers: (k, 2), x and y; mask: bool (H, W). k is the row
    of the center plus 1; of equally near centers the first wins. Without a center all is 0.
    """
    grouped = np.zeros(mask.shape, dtype=np.int32)
    if not len(centers):
        return grouped
    y, x = np.nonzero(mask)
    to_y, to_x = y + offsets[0][y, x], x + offsets[1][y, x]
    centers = np.asarray(centers, dtype=to_y.dtype)
    squared = (to_x[:, None] - centers[:, 0]) ** 2 + (to_y[:, None] - centers[:, 1]) ** 2
    grouped[y, x] = squared.argmin(axis=1) + 1
    return grouped
