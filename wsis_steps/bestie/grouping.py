"""Pseudo instance labels of one image: connected components of its semantic map that hold exactly one cue.

Runs on the CPU: in data workers (after augmentation), in the label step and at inference. Functions that need the
network's outputs are in `refinement.py`. Source: BESTIE (CVPR 2022), supplement, listing 4, and the released code.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Components:
    """The 8-connected components of equal tagged class in a semantic map.

    map: int32 (H, W), 0 = in no component, k = in row k - 1 of the table;
    table: int32 (n, 3), rows category, x, y of the integer-truncated centroid;
    small: number of components left out for their area.
    """

    map: np.ndarray
    table: np.ndarray
    small: int


@dataclass(frozen=True)
class PseudoLabels:
    """Components that hold exactly one cue, as instances (BESTIE's semantic knowledge transfer).

    instance_map: int32 (H, W), 0 = none, k = the k-th accepted component; categories: int64 (k,); centers:
    int64 (k, 2), x and y of the component's integer-truncated centroid; accepted, empty, ambiguous, small:
    numbers of components with one cue, with none, with several, below the area.
    """

    instance_map: np.ndarray
    categories: np.ndarray
    centers: np.ndarray
    accepted: int
    empty: int
    ambiguous: int
    small: int


def semantic_components(semantic: np.ndarray, tags: np.ndarray, min_area: int) -> Components:
    """The 8-connected components of every tagged class, class by class, without those under `min_area`
    pixels.

    semantic: uint8 (H, W), 0 background, 1 + category, 255 unsure; tags: bool (C,), classes to look at.
    """
    component_map = np.zeros(semantic.shape, dtype=np.int32)
    rows, found, small = [], 0, 0
    for category in np.flatnonzero(tags):
        mask = (semantic == np.uint8(category + 1)).view(np.uint8)
        x, y, width, height = cv2.boundingRect(mask)
        if not width:
            continue
        box = slice(y, y + height), slice(x, x + width)
        count, labels, stats, centroids = cv2.connectedComponentsWithStats(mask[box], connectivity=8)
        keep = stats[:, cv2.CC_STAT_AREA] >= min_area
        keep[0] = False  # label 0 is every pixel that is not the class
        kept = int(keep.sum())
        small += count - 1 - kept
        if not kept:
            continue
        number = np.zeros(count, dtype=np.int32)
        number[keep] = np.arange(found + 1, found + kept + 1)
        component_map[box] += number[labels]
        corner = np.array([x, y], dtype=np.int32)
        center = centroids[keep].astype(np.int32) + corner  # truncated; never negative
        rows.append(np.column_stack([np.full(kept, category, dtype=np.int32), center]))
        found += kept
    table = np.concatenate(rows) if rows else np.zeros((0, 3), dtype=np.int32)
    return Components(component_map, table, small)


def pad_tables(tables: Sequence[np.ndarray]) -> np.ndarray:
    """Tables of different lengths as one int32 (B, M, 3) array, M >= 1; padding rows hold -1."""
    padded = np.full((len(tables), max([1, *map(len, tables)]), 3), -1, dtype=np.int32)
    for row, table in zip(padded, tables, strict=True):
        row[: len(table)] = table
    return padded


def pseudo_instances(semantic: np.ndarray, cues: np.ndarray, tags: np.ndarray, min_area: int) -> PseudoLabels:
    """Makes every component that holds exactly one cue of its class an instance (supp. listing 4).

    semantic: uint8 (H, W), 0 background, 1 + category, 255 unsure; cues: float (n, 4), rows x, y, category, confidence;
    a cue counts at its nearest pixel, and not at all outside the image; tags: bool (C,). A component with no cue or
    several is labeled neither as an instance nor as background.
    """
    components = semantic_components(semantic, tags, min_area)
    cues = np.asarray(cues, dtype=np.float64).reshape(-1, 4)
    height, width = semantic.shape
    x, y, category = np.rint(cues[:, :3]).T.astype(np.int64)
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    owner = components.map[y[inside], x[inside]]
    categories = np.append(-1, components.table[:, 0])  # of component 0, which is none, then of the others
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
    )
