"""The proposals of one image in memory: boxes, regions of superpixels, or masks, with one interface.

Every class has `boxes` float32 (n, 4) x1, y1, x2, y2 and `scores` float32 (n,), best first, and:

    areas                  float32 (n,), pixels
    masks(rows)            uint8 (len(rows), h, w), values 0 and 1
    codes(rows)            the same as COCO run-length codes
    intersections(masks)   float32 (n, m): pixels shared with given masks (m, h, w)
    overlaps(masks)        float32 (n, m): intersection over union with given masks
    pairwise()             float32 (n, n): intersection over union with each other

Regions compute the last three from superpixels, without decoding a mask.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pycocotools import mask as coco

from wsis_steps.engine.compiled import compiled
from wsis_steps.vision.masks import count_pixels


@dataclass(frozen=True)
class BoxProposals:
    """Boxes as proposals; their masks are filled boxes. height and width are the image's.

    Boxes lie inside the image and end at whole pixels, as stored in the file.
    """

    boxes: np.ndarray
    scores: np.ndarray
    height: int
    width: int

    def __len__(self) -> int:
        return len(self.boxes)

    @cached_property
    def areas(self) -> np.ndarray:
        return (self.boxes[:, 2] - self.boxes[:, 0]) * (self.boxes[:, 3] - self.boxes[:, 1])

    def masks(self, rows: np.ndarray) -> np.ndarray:
        x1, y1, x2, y2 = self.boxes[rows].T[..., None]
        columns, lines = np.arange(self.width) + 0.5, np.arange(self.height) + 0.5
        inside_x, inside_y = (columns > x1) & (columns < x2), (lines > y1) & (lines < y2)
        return (inside_y[:, :, None] & inside_x[:, None, :]).astype(np.uint8)

    def codes(self, rows: np.ndarray) -> list[dict]:
        return _encode(self.masks(rows))

    def intersections(self, masks: np.ndarray) -> np.ndarray:
        corners = np.rint(self.boxes).astype(np.int64)
        x1, x2 = np.clip(corners[:, [0, 2]].T, 0, self.width)
        y1, y2 = np.clip(corners[:, [1, 3]].T, 0, self.height)
        sums = np.zeros((len(masks), self.height + 1, self.width + 1), dtype=np.int64)
        sums[:, 1:, 1:] = masks.astype(bool).cumsum(1, dtype=np.int64).cumsum(2)
        return (sums[:, y2, x2] - sums[:, y1, x2] - sums[:, y2, x1] + sums[:, y1, x1]).T.astype(np.float32)

    def overlaps(self, masks: np.ndarray) -> np.ndarray:
        return over_union(self.intersections(masks), self.areas, _areas(masks))

    def pairwise(self) -> np.ndarray:
        return box_overlaps(self.boxes, self.boxes).astype(np.float32)


@dataclass(frozen=True)
class RegionProposals:
    """Unions of superpixels.

    superpixels: int32 (h, w), numbered from 0; members: bool (n, superpixels), which of them belong to a proposal.
    """

    boxes: np.ndarray
    scores: np.ndarray
    superpixels: np.ndarray
    members: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)

    def at(self, rows: np.ndarray) -> "RegionProposals":
        """A selection, by indices int64 (m,)."""
        return RegionProposals(self.boxes[rows], self.scores[rows], self.superpixels, self.members[rows])

    @cached_property
    def sizes(self) -> np.ndarray:
        """Pixels of each superpixel, float32."""
        return np.bincount(self.superpixels.ravel(), minlength=self.members.shape[1]).astype(np.float32)

    @cached_property
    def _members(self) -> np.ndarray:
        return self.members.astype(np.float32)  # for matrix products; sums are exact below 2^24 pixels

    @cached_property
    def areas(self) -> np.ndarray:
        return self._members @ self.sizes

    def masks(self, rows: np.ndarray) -> np.ndarray:
        return np.take(self.members[rows].astype(np.uint8), self.superpixels, axis=1)

    def codes(self, rows: np.ndarray) -> list[dict]:
        columns = np.take(self.members[rows].astype(np.uint8), self.superpixels.T, axis=1)
        return coco.encode(columns.transpose(2, 1, 0))  # column-major, as the codes are, so nothing is copied

    def intersections(self, masks: np.ndarray) -> np.ndarray:
        held = _held(np.ascontiguousarray(masks, np.uint8), self.superpixels, self.members.shape[1])
        return self._members @ held.T

    def overlaps(self, masks: np.ndarray) -> np.ndarray:
        return over_union(self.intersections(masks), self.areas, _areas(masks))

    def pairwise(self) -> np.ndarray:
        return over_union(self._common, self.areas, self.areas)

    def shared(self) -> np.ndarray:
        """Float32 (n, n): the share of the smaller of two regions that lies in the other."""
        return self._common / np.maximum(np.minimum.outer(self.areas, self.areas), 1)

    @property
    def _common(self) -> np.ndarray:
        return (self._members * self.sizes) @ self._members.T


@dataclass(frozen=True)
class MaskProposals:
    """Masks without common superpixels, as COCO run-length codes; height and width are the image's."""

    boxes: np.ndarray
    scores: np.ndarray
    rles: list[dict]
    height: int
    width: int

    def __len__(self) -> int:
        return len(self.rles)

    @cached_property
    def areas(self) -> np.ndarray:
        return count_pixels(self.rles).astype(np.float32)

    def masks(self, rows: np.ndarray) -> np.ndarray:
        chosen = self.codes(rows)
        if not chosen:
            return np.zeros((0, self.height, self.width), dtype=np.uint8)
        return np.ascontiguousarray(coco.decode(chosen).transpose(2, 0, 1))

    def codes(self, rows: np.ndarray) -> list[dict]:
        return [self.rles[row] for row in np.arange(len(self.rles))[rows]]

    def intersections(self, masks: np.ndarray) -> np.ndarray:
        if not self.rles or not len(masks):
            return np.zeros((len(self.rles), len(masks)), np.float32)
        # for crowds, pycocotools returns shares of the first mask; multiplied by its area they are whole numbers
        shares = coco.iou(self.rles, _encode(masks), [1] * len(masks))
        return np.rint(shares * self.areas[:, None]).astype(np.float32)

    def overlaps(self, masks: np.ndarray) -> np.ndarray:
        return over_union(self.intersections(masks), self.areas, _areas(masks))

    def pairwise(self) -> np.ndarray:
        if not self.rles:
            return np.zeros((0, 0), np.float32)
        return coco.iou(self.rles, self.rles, [0] * len(self.rles)).astype(np.float32)


ImageProposals = BoxProposals | RegionProposals | MaskProposals


def over_union(intersections: np.ndarray, areas: np.ndarray, others: np.ndarray) -> np.ndarray:
    """float32 (n, m) from intersections (n, m) and areas (n,) and (m,); 0 where both are empty."""
    intersections = intersections.astype(np.float32)
    union = areas[:, None].astype(np.float32) + others[None].astype(np.float32) - intersections
    return np.divide(intersections, union, out=np.zeros_like(intersections), where=union > 0)


def box_overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (n, 4) with others (m, 4), x1, y1, x2, y2, as float64 (n, m); 0 where both are
    empty."""
    boxes, others = boxes.astype(np.float64), others.astype(np.float64)
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    areas, other_areas = ((b[:, 2:] - b[:, :2]).prod(1) for b in (boxes, others))
    union = areas[:, None] + other_areas - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _areas(masks: np.ndarray) -> np.ndarray:
    """Pixels of masks (m, h, w), int64 (m,)."""
    return np.count_nonzero(masks, axis=(1, 2))


def _encode(masks: np.ndarray) -> list[dict]:
    """Run-length codes of masks (m, h, w)."""
    return coco.encode(np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8)))


@compiled
def _held(masks: np.ndarray, superpixels: np.ndarray, count: int) -> np.ndarray:
    """Pixels of masks uint8 (m, h, w) in each of `count` superpixels int32 (h, w), float32 (m, count)."""
    held = np.zeros((len(masks), count), np.float32)
    for mask in range(len(masks)):
        for line in range(superpixels.shape[0]):
            for column in range(superpixels.shape[1]):
                if masks[mask, line, column]:
                    held[mask, superpixels[line, column]] += 1
    return held


def best_first(scores: np.ndarray, cap: int) -> np.ndarray:
    """Rows of the `cap` highest scores (0: all), best first; equal scores keep their order."""
    return np.argsort(-scores.astype(np.float64), kind="stable")[: cap or None]


def apart(overlaps: np.ndarray, limit: float, most: int) -> np.ndarray:
    """Numbers int64 of masks, in order, each overlapping all previously kept ones by less than `limit`; at most so
    many.

    overlaps: (n, n), of each two, by any measure.
    """
    left, kept = np.ones(len(overlaps), dtype=bool), []
    while left.any() and len(kept) < most:
        kept.append(int(left.argmax()))
        left &= overlaps[kept[-1]] < limit
        left[kept[-1]] = False
    return np.array(kept, dtype=np.int64)
