"""Order of candidates: features, a small ranker, and diversity."""

import numpy as np
import torch
from torch import Tensor, nn

from wsis_steps.engine.compiled import compiled

FEATURES = (
    "area", "width", "height", "fill", "aspect", "center_x", "center_y", "left", "top", "right", "bottom",
    "compactness", "outer", "contour_mean", "contour_low", "contour_sum", "contour_std", "height_mean",
    "height_low", "inner_mean", "inner_sum", "inner_height_mean", "inner_height_max", "contrast_height",
    "color_step", "color_step_relative", "color_spread", "parts",
    "made", "merged", "regions", "multi", "fine", "middle", "coarse", "color",
)  # fmt: skip


@compiled
def describe(
    bits, found, place, areas, boxes, sizes, colors, outer, edge_starts, second, lengths, strengths, height, width
):
    """Features float32 (n, 28) of candidates, those of FEATURES that do not come from the hierarchies."""
    count = len(areas)
    values = np.zeros((count, 28), np.float32)
    one = np.uint64(1)
    size = float(height * width)
    for row in range(count):
        x1, y1, x2, y2 = boxes[row]
        area = areas[row]
        perimeter, contour, contour_square, contour_low = 0.0, 0.0, 0.0, 0.0
        heights, height_low, rim = 0.0, 1e9, 0.0
        inner_length, inner, inner_height, inner_high = 0.0, 0.0, 0.0, 0.0
        color, ring = np.zeros(4), np.zeros(4)
        ring_size = 0.0
        for k in range(place[row], place[row + 1]):
            part = found[k]
            rim += outer[part]
            color += colors[part]
            for edge in range(edge_starts[part], edge_starts[part + 1]):
                other, length = second[edge], lengths[edge]
                strength, high = strengths[edge, 0], strengths[edge, 1]
                if (bits[row, other >> 6] >> np.uint64(other & 63)) & one:
                    if other > part:
                        inner_length += length
                        inner += length * strength
                        inner_height += length * high
                        inner_high = max(inner_high, high)
                else:
                    perimeter += length
                    contour += length * strength
                    contour_square += length * strength * strength
                    heights += length * high
                    contour_low += length * (strength < 0.1)
                    height_low = min(height_low, high)
                    # the surroundings along the contour, weighted by contour length
                    weight = length / sizes[other]
                    ring += weight * colors[other]
                    ring_size += length
        perimeter = max(perimeter, 1.0)
        mean = contour / perimeter
        inner_length = max(inner_length, 1.0)
        color /= area
        spread = np.sqrt(max(color[3] - color[0] ** 2 - color[1] ** 2 - color[2] ** 2, 0.0))
        step = 0.0
        if ring_size:
            ring /= ring_size
            step = np.sqrt((color[0] - ring[0]) ** 2 + (color[1] - ring[1]) ** 2 + (color[2] - ring[2]) ** 2)
        w, h = x2 - x1, y2 - y1
        line = values[row]
        line[0], line[1], line[2] = np.log(area / size), w / width, h / height
        line[3], line[4] = area / (w * h), np.log(w / h)
        line[5], line[6] = abs((x1 + x2) / width - 1), (y1 + y2) / (2 * height)
        line[7], line[8], line[9], line[10] = x1 <= 0, y1 <= 0, x2 >= width, y2 >= height
        line[11], line[12] = np.log((perimeter + rim) ** 2 / area), rim / (perimeter + rim)
        line[13], line[14], line[15] = mean, contour_low / perimeter, contour / np.sqrt(area)
        line[16] = np.sqrt(max(contour_square / perimeter - mean**2, 0.0))
        line[17], line[18] = heights / perimeter, height_low if height_low < 1e9 else 0.0
        line[19], line[20] = inner / inner_length, inner / np.sqrt(area)
        line[21], line[22] = inner_height / inner_length, inner_high
        line[23] = line[17] - line[21]
        line[24], line[25], line[26] = step / 50, step / (spread + 5), spread / 50
        line[27] = np.log(place[row + 1] - place[row])
    return values


class Ranker(nn.Module):
    """Expected value (n,), as defined by `train_ranker.worth`, from features (n, f): standardized, then two hidden
    layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(len(FEATURES)))
        self.register_buffer("deviation", torch.ones(len(FEATURES)))
        self.layers = nn.Sequential(
            nn.Linear(len(FEATURES), width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.layers((features - self.mean) / self.deviation)[:, 0]


@torch.inference_mode()
def rank(features: np.ndarray, ranker: Ranker | None) -> np.ndarray:
    """Scores float32 (n,) of features float32 (n, f); without a ranker (None) a hand-made score.

    That score is the height of a candidate's contour minus that of contours inside it, reduced where the contour is
    open or lies on the picture's border.
    """
    if ranker is not None:
        return ranker(torch.from_numpy(features)).numpy()
    column = dict(zip(FEATURES, features.T, strict=True))
    closed = column["contour_mean"] * (1 - column["contour_low"])
    return closed + column["contrast_height"] / 2 - column["outer"] / 2 + 0.05 * np.minimum(column["area"] + 3, 0)


@compiled
def choose_diverse(bits, found, place, sizes, areas, boxes, scores, count, weight):
    """Places int64 of up to `count` candidates, and the value float64 that each was chosen for, which never rises.

    Each next candidate maximizes score - weight x largest overlap with a chosen one: maximal marginal relevance,
    computed lazily. Values only fall as more are chosen, so a candidate that is still the largest after its update is
    the overall largest.
    """
    total = len(scores)
    values = scores.astype(np.float64).copy()
    penalty = np.zeros(total)
    compared = np.zeros(total, np.int64)
    order = np.argsort(-values)
    chosen = np.empty(min(count, total), np.int64)
    reached = np.empty(len(chosen))
    heap_value = values[order].copy()
    heap = order.copy()  # a descending order is a heap
    length, number = total, 0
    one = np.uint64(1)
    while number < len(chosen):
        top = heap[0]
        before = penalty[top]
        for k in range(compared[top], number):
            other = chosen[k]
            low, high = min(areas[top], areas[other]), max(areas[top], areas[other])
            if low <= penalty[top] * high:
                continue
            w = min(boxes[top, 2], boxes[other, 2]) - max(boxes[top, 0], boxes[other, 0])
            h = min(boxes[top, 3], boxes[other, 3]) - max(boxes[top, 1], boxes[other, 1])
            if w <= 0 or h <= 0:
                continue
            most = min(w * h, low)
            if most <= penalty[top] * (low + high - most):
                continue
            a, b = top, other
            if place[a + 1] - place[a] > place[b + 1] - place[b]:
                a, b = b, a
            common = 0.0
            for m in range(place[a], place[a + 1]):
                part = found[m]
                if (bits[b, part >> 6] >> np.uint64(part & 63)) & one:
                    common += sizes[part]
            penalty[top] = max(penalty[top], common / (low + high - common))
        compared[top] = number
        if penalty[top] == before:
            chosen[number] = top
            reached[number] = heap_value[0]
            number += 1
            length -= 1
            heap[0], heap_value[0] = heap[length], heap_value[length]
        else:
            heap_value[0] = scores[top] - weight * penalty[top]
        spot = 0
        while True:  # sift the new top down
            child = 2 * spot + 1
            if child >= length:
                break
            if child + 1 < length and heap_value[child + 1] > heap_value[child]:
                child += 1
            if heap_value[spot] >= heap_value[child]:
                break
            heap[spot], heap[child] = heap[child], heap[spot]
            heap_value[spot], heap_value[child] = heap_value[child], heap_value[spot]
            spot = child
    return chosen, reached
