"""Candidates as sets of parts: the superpixels that they contain, without duplicates and holes.

Parts are superpixels that no hierarchy separates. Sets of parts are rows of bits (uint64).
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from wsis_steps.engine.compiled import compiled
from wsis_steps.proposals.mcg.hierarchy import SuperpixelGraph

_SEQUENCE = np.uint64(0x03F79D71B4CB0A89)
_EXPONENTS = np.empty(64, np.int64)
for _k in range(64):
    _EXPONENTS[(_SEQUENCE << np.uint64(_k)) >> np.uint64(58)] = _k


@dataclass(frozen=True)
class Parts:
    """Properties of each part and of each pair of touching parts.

    labels: int32 (h, w), numbered from 0; sizes: float64 (n,), pixels; boxes: float64 (n, 4), x1, y1, x2, y2;
    sums: float64 (n, 2), of the pixels' x and y; colors: float64 (n, 4), sums of L, a, b and of their squares;
    outer: float64 (n,), pixels on the picture's border; first, second: int64 (2e,), each edge in both directions,
    sorted by first; starts: int64 (n + 1,), where the edges of a part begin; lengths: float64 (2e,), pixels;
    strengths: float64 (2e, 2), mean contour strength and mean height in the joint hierarchy.
    """

    labels: np.ndarray
    sizes: np.ndarray
    boxes: np.ndarray
    sums: np.ndarray
    colors: np.ndarray
    outer: np.ndarray
    starts: np.ndarray
    second: np.ndarray
    lengths: np.ndarray
    strengths: np.ndarray

    @property
    def count(self) -> int:
        return len(self.sizes)


def describe_parts(superpixels: SuperpixelGraph, blocks: np.ndarray, heights: np.ndarray, lab: np.ndarray) -> Parts:
    """Merges the superpixels of each block. heights: float64 (edges,), joint hierarchy; lab: float32 (h, w, 3)."""
    labels = blocks[superpixels.labels].astype(np.int32)
    count, flat = int(blocks.max()) + 1, labels.ravel()
    height, width = labels.shape

    def total(values: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(flat, weights=values, minlength=count).astype(np.float64)

    y, x = np.divmod(np.arange(flat.size), width)
    colors = np.stack([*(total(lab[..., k].ravel()) for k in range(3)), total((lab**2).sum(2).ravel())], axis=1)
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    pairs = np.sort(blocks[superpixels.edges], axis=1)
    apart = pairs[:, 0] != pairs[:, 1]
    keys, which = np.unique(pairs[apart] @ [count, 1], return_inverse=True)
    lengths = np.bincount(which, weights=superpixels.lengths[apart])
    strengths = [np.bincount(which, weights=(superpixels.lengths * w)[apart]) for w in (superpixels.weights, heights)]
    first, second = np.divmod(keys, count)
    both = np.argsort(np.concatenate([first, second]), kind="stable")
    degrees = np.bincount(np.concatenate([first, second]), minlength=count)
    return Parts(
        labels, total(), part_boxes(labels), np.stack([total(x), total(y)], axis=1), colors,
        np.bincount(rim, minlength=count).astype(np.float64),
        np.concatenate([[0], np.cumsum(degrees)]),
        np.concatenate([second, first])[both],
        np.tile(lengths, 2)[both],
        np.tile(np.stack(strengths, axis=1) / lengths[:, None], (2, 1))[both],
    )  # fmt: skip


def part_boxes(labels: np.ndarray) -> np.ndarray:
    """Boxes float64 (n, 4), x1, y1, x2, y2, of the parts of a map int32 (h, w), all of which have pixels."""
    return np.array([[x.start, y.start, x.stop, y.stop] for y, x in ndimage.find_objects(labels + 1)], np.float64)


def boxes_of(labels: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Boxes float32 (n, 4) of sets of the parts of a map int32 (h, w); held: bool (n, parts)."""
    found = np.nonzero(held)[1].astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(held.sum(1))])
    sizes = np.bincount(labels.ravel(), minlength=held.shape[1]).astype(np.float64)
    return measure(found, starts, sizes, part_boxes(labels), np.zeros((held.shape[1], 2)))[1].astype(np.float32)


def unpack(bits: np.ndarray, count: int) -> np.ndarray:
    """bool (n, count) of bits uint64 (n, words)."""
    octets = np.ascontiguousarray(bits).astype("<u8").view(np.uint8)
    return np.unpackbits(octets, axis=1, count=count, bitorder="little").astype(bool)


@compiled
def members(bits):
    """Parts of each row as one list int32, and where each row begins, int64 (n + 1,)."""
    starts = np.zeros(len(bits) + 1, np.int64)
    for row in range(len(bits)):
        count = 0
        for word in bits[row]:
            while word:
                word &= word - np.uint64(1)
                count += 1
        starts[row + 1] = starts[row] + count
    found = np.empty(starts[-1], np.int32)
    place = 0
    for row in range(len(bits)):
        for word in range(bits.shape[1]):
            rest = bits[row, word]
            while rest:
                lowest = rest & (~rest + np.uint64(1))
                found[place] = (word << 6) + _exponent(lowest)
                place += 1
                rest ^= lowest
    return found, starts


@compiled
def _exponent(power):
    """The k of 2^k: times this number (a de Bruijn sequence), each power has unique top six bits."""
    return _EXPONENTS[(power * _SEQUENCE) >> np.uint64(58)]


@compiled
def measure(found, starts, sizes, boxes, sums):
    """Area (n,), box (n, 4) and centroid (n, 2) of each candidate, float64."""
    count = len(starts) - 1
    areas, around, centers = np.zeros(count), np.empty((count, 4)), np.zeros((count, 2))
    for row in range(count):
        x1, y1, x2, y2 = 1e9, 1e9, 0.0, 0.0
        for place in range(starts[row], starts[row + 1]):
            part = found[place]
            areas[row] += sizes[part]
            centers[row, 0] += sums[part, 0]
            centers[row, 1] += sums[part, 1]
            x1, y1 = min(x1, boxes[part, 0]), min(y1, boxes[part, 1])
            x2, y2 = max(x2, boxes[part, 2]), max(y2, boxes[part, 3])
        around[row, 0], around[row, 1], around[row, 2], around[row, 3] = x1, y1, x2, y2
        centers[row] /= areas[row]
    return areas, around, centers


@compiled
def keep_different(bits, sizes, areas, boxes, centers, overlap):
    """bool (n,): False if an earlier kept candidate has intersection over union of `overlap` or more.

    Two such sets have similar areas and centroids, which saves most comparisons: with areas a and b they differ in at
    most (a + b)(1 - overlap)/(1 + overlap) pixels, and the part of one outside the other moves its centroid by at
    most (1 - overlap) of its box.
    """
    count = len(areas)
    by_area = np.argsort(areas)
    rank = np.empty(count, np.int64)
    rank[by_area] = np.arange(count)
    kept = np.zeros(count, np.bool_)
    for row in range(count):
        width, height = boxes[row, 2] - boxes[row, 0], boxes[row, 3] - boxes[row, 1]
        doubled = False
        for direction in (-1, 1):
            place = rank[row] + direction
            while not doubled and 0 <= place < count:
                other = by_area[place]
                place += direction
                small, large = min(areas[row], areas[other]), max(areas[row], areas[other])
                if small < overlap * large:
                    break
                if not kept[other]:
                    continue
                reach = 1 - overlap
                if abs(centers[row, 0] - centers[other, 0]) > reach * (width + boxes[other, 2] - boxes[other, 0]):
                    continue
                if abs(centers[row, 1] - centers[other, 1]) > reach * (height + boxes[other, 3] - boxes[other, 1]):
                    continue
                allowed = (small + large) * (1 - overlap) / (1 + overlap)
                doubled = _difference_within(bits[row], bits[other], sizes, allowed)
        kept[row] = not doubled
    return kept


@compiled
def _difference_within(first, second, sizes, allowed):
    different = 0.0
    for word in range(len(first)):
        rest = first[word] ^ second[word]
        while rest:
            lowest = rest & (~rest + np.uint64(1))
            different += sizes[(word << 6) + _exponent(lowest)]
            if different > allowed:
                return False
            rest ^= lowest
    return True


@compiled
def fill_holes(bits, found, place, part_boxes, boxes, starts, second, outer):
    """Bits with all parts added that cannot be reached from the picture's border around the candidate.

    The search starts from the parts around the candidate and follows their connections; as soon as a part lies at the
    picture's border or reaches out of the candidate's box, all connected parts are outside.
    """
    filled = bits.copy()
    parts = len(starts) - 1
    seen = np.full(parts, -1, np.int64)  # 2 x row if outside, 2 x row + 1 if not yet known
    waiting = np.empty(parts, np.int64)
    one = np.uint64(1)
    for row in range(len(bits)):
        x1, y1, x2, y2 = boxes[row]
        for k in range(place[row], place[row + 1]):
            for border in range(starts[found[k]], starts[found[k] + 1]):
                first = second[border]
                if seen[first] >= 2 * row or (bits[row, first >> 6] >> np.uint64(first & 63)) & one:
                    continue
                seen[first], waiting[0] = 2 * row + 1, first
                done, end, outside = 0, 1, False
                while done < end and not outside:
                    part = waiting[done]
                    done += 1
                    box = part_boxes[part]
                    outside = outer[part] > 0 or box[0] < x1 or box[1] < y1 or box[2] > x2 or box[3] > y2
                    for edge in range(starts[part], starts[part + 1]):
                        other = second[edge]
                        if seen[other] == 2 * row:
                            outside = True
                        elif seen[other] < 2 * row and not (bits[row, other >> 6] >> np.uint64(other & 63)) & one:
                            seen[other], waiting[end] = 2 * row + 1, other
                            end += 1
                for member in waiting[:end]:
                    if outside:
                        seen[member] = 2 * row
                    else:
                        filled[row, member >> 6] |= one << np.uint64(member & 63)
    return filled
