"""Random sets of parts of small images, for tests of the building blocks of proposals."""

import cv2
import numpy as np

from wsis_steps.proposals.contours import Contours, Gradient, gradient_contours
from wsis_steps.proposals.mcg.candidates import Parts, describe_parts, measure, members
from wsis_steps.proposals.mcg.hierarchy import SuperpixelGraph, cut


def picture(seed: int, height: int = 40, width: int = 52) -> np.ndarray:
    """Colored discs and boxes on smooth noise, uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.uniform(0, 255, (height, width, 3)), (0, 0), 4)
    drawn = np.clip(128 + 4 * (noise - noise.mean()), 0, 255).astype(np.uint8)
    for _ in range(4):
        center = tuple(int(c) for c in rng.integers(0, [width, height]))
        color = tuple(int(c) for c in rng.integers(0, 256, 3))
        cv2.circle(drawn, center, int(rng.integers(4, 12)), color, -1)
    return drawn


def contours(seed: int, sigma: float = 1.0) -> Contours:
    return gradient_contours(picture(seed), Gradient(sigma, 12, 1))


def parts_of(seed: int) -> tuple[SuperpixelGraph, Parts]:
    """Every superpixel is a part."""
    superpixels = cut(contours(seed))
    lab = cv2.cvtColor(picture(seed).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return superpixels, describe_parts(superpixels, np.arange(superpixels.count), superpixels.weights, lab)


def pack(held: np.ndarray) -> np.ndarray:
    """Bits uint64 (n, words) of bool (n, parts)."""
    octets = np.packbits(held, axis=1, bitorder="little")
    wide = np.zeros((len(held), -(-held.shape[1] // 64) * 8), np.uint8)
    wide[:, : octets.shape[1]] = octets
    return wide.view("<u8").astype(np.uint64)


def random_sets(seed: int, parts: Parts, count: int) -> np.ndarray:
    """bool (count, parts): grown around random parts, so mostly connected; some are nearly equal to others."""
    rng = np.random.default_rng(seed)
    held = np.zeros((count, parts.count), bool)
    for row in range(count):
        if row and rng.random() < 0.3:  # like an earlier one but for a part
            held[row] = held[rng.integers(row)]
            held[row, rng.integers(parts.count)] ^= True
            held[row, rng.integers(parts.count)] = True
            continue
        held[row, rng.integers(parts.count)] = True
        for _ in range(rng.integers(1, 4)):
            for part in np.flatnonzero(held[row]):
                near = parts.second[parts.starts[part] : parts.starts[part + 1]]
                held[row, near[rng.random(len(near)) < 0.7]] = True
    return held


def measured(held: np.ndarray, parts: Parts):
    """Bits, lists of parts, their beginnings, areas, boxes and centroids."""
    bits = pack(held)
    found, starts = members(bits)
    return bits, found, starts, *measure(found, starts, parts.sizes, parts.boxes, parts.sums)
