"""Equations 2 to 14 of Deep Community Learning, term by term; a slow and simple reference for the tests."""

import math


def softmax(values: list[float]) -> list[float]:
    largest = max(values)
    powers = [math.exp(value - largest) for value in values]
    return [power / sum(powers) for power in powers]


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def midn(x_c: list[list[float]], x_d: list[list[float]]) -> list[list[float]]:
    """Equations 11 to 13: z of proposals by classes."""
    count, classes = len(x_c), len(x_c[0])
    over_classes = [softmax(row) for row in x_c]
    over_proposals = [softmax([x_d[r][c] for r in range(count)]) for c in range(classes)]
    return [[over_classes[r][c] * over_proposals[c][r] for c in range(classes)] for r in range(count)]


def l_cls(phi: list[float], y: list[bool]) -> float:
    """Equation 3."""
    loss = 0.0
    for c in range(len(phi)):
        loss -= y[c] * math.log(phi[c]) + (1 - y[c]) * math.log(1 - phi[c])
    return loss


def l_refine(logits: list[list[float]], y: list[int], w: list[float]) -> float:
    """Equation 4."""
    loss = 0.0
    for r in range(len(logits)):
        x = softmax(logits[r])
        for c in range(len(x)):
            loss -= w[r] * (y[r] == c) * math.log(x[c])
    return loss / len(logits)


def smooth_l1(value: float) -> float:
    return 0.5 * value * value if abs(value) < 1 else abs(value) - 0.5


def offsets(p: list[float], g: list[float]) -> list[float]:
    """Equation 14, of boxes as x, y of the center, width, height."""
    return [(g[0] - p[0]) / p[2], (g[1] - p[1]) / p[3], math.log(g[2] / p[2]), math.log(g[3] / p[3])]


def centered(box: list[float]) -> list[float]:
    return [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]]


def l_reg(v: list[list[float]], proposals: list[list[float]], truths: list[list[float]], q: list[list[bool]]) -> float:
    """Equation 5. q: the pseudo ground truth matched to each proposal (row)."""
    loss = 0.0
    for r in range(len(v)):
        for j in range(len(truths)):
            t = offsets(centered(proposals[r]), centered(truths[j]))
            if q[r][j]:
                for k in range(4):
                    loss += smooth_l1(t[k] - v[r][k])
    return loss / len(v)


def l_cam(logits: list[list[float]], y: list[int]) -> float:
    """Equation 7."""
    loss = 0.0
    for r in range(len(logits)):
        p = softmax(logits[r])
        for c in range(len(p)):
            loss -= math.log(p[c]) if y[r] == c else math.log(1 - p[c])
    return loss / len(logits)


def l_seg(logits: list[list[list[float]]], m: list[list[list[bool]]]) -> float:
    """Equation 9, for one class per region."""
    side, loss = len(logits[0]), 0.0
    for r in range(len(logits)):
        for i in range(side):
            for j in range(side):
                s = sigmoid(logits[r][i][j])
                loss -= math.log(s) if m[r][i][j] else math.log(1 - s)
    return loss / side**2


def activation_map(features: list, weights: list[float]) -> list[list[float]]:
    """Equation 15 with min-max normalization; features: channels by rows by columns."""
    rows, columns = len(features[0]), len(features[0][0])
    values = [
        [sum(weight * channel[i][j] for weight, channel in zip(weights, features, strict=True)) for j in range(columns)]
        for i in range(rows)
    ]
    low, high = min(map(min, values)), max(map(max, values))
    return [[(value - low) / (high - low) for value in row] for row in values]


def overlap(a: list[float], b: list[float]) -> float:
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def suppressed(boxes: list[list[float]], scores: list[float], threshold: float) -> list[int]:
    """Rows that greedy non-maximum suppression keeps, best first."""
    kept: list[int] = []
    for r in sorted(range(len(boxes)), key=lambda r: -scores[r]):
        if all(overlap(boxes[r], boxes[k]) <= threshold for k in kept):
            kept.append(r)
    return kept
