"""Annotation Consistent Instances in plain loops, as reference for the tests."""

import itertools

import numpy as np
import torch


def labellings(proposals: int, labels: int) -> np.ndarray:
    """All labellings, int64 (labels ** proposals, proposals)."""
    return np.array(list(itertools.product(range(labels), repeat=proposals)))


def meets(labelling: np.ndarray, claimed: np.ndarray, candidates: np.ndarray) -> bool:
    """Whether each claim has its own proposal that is a candidate and has its label."""
    able = [np.flatnonzero(row & (labelling == label)) for label, row in zip(claimed, candidates, strict=True)]
    return any(len(set(chosen)) == len(chosen) for chosen in itertools.product(*able))


def best_score(scores: np.ndarray, claimed: np.ndarray, candidates: np.ndarray) -> float:
    """The highest score of a labelling of scores (P, L) that meets all claims; minus infinity if there is none."""
    rows = np.arange(len(scores))
    found = (scores[rows, y].sum() for y in labellings(*scores.shape) if meets(y, claimed, candidates))
    return max(found, default=-np.inf)


def random_claims(rng: np.random.Generator, proposals: int, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Claims with repeated labels, and candidates of each."""
    claimed = rng.integers(1, labels, rng.integers(1, min(proposals, 3) + 1))
    return claimed, rng.random((len(claimed), proposals)) < 0.7


def touching_pixels(height: int, width: int):
    """Pairs (y, x), (y2, x2) of pixels side by side or one above the other, each once."""
    yield from (((y, x), (y, x + 1)) for y in range(height) for x in range(width - 1))
    yield from (((y, x), (y + 1, x)) for y in range(height - 1) for x in range(width))


def contour(first: np.ndarray, second: np.ndarray, strength: np.ndarray) -> tuple[float, float]:
    """Summed strength and length of the contour between two masks, over pairs of touching pixels: one of the first
    mask, the other of the second but not of the first."""
    total = length = 0.0
    for pixel, neighbour in touching_pixels(*first.shape):
        value = max(strength[pixel], strength[neighbour])
        for one, other in ((first, second), (second, first)):
            for a, b in ((pixel, neighbour), (neighbour, pixel)):
                if one[a] and not one[b] and other[b]:
                    total, length = total + value, length + 1
    return total, length


def contours_beyond(whole: np.ndarray, part: np.ndarray, superpixels: np.ndarray, strength: np.ndarray) -> float:
    """Summed strength, over pairs of touching pixels, of the contours between superpixels of a mask and those missing
    in a part of it."""
    total = 0.0
    for pixel, neighbour in touching_pixels(*whole.shape):
        held, of_part = whole[pixel] and whole[neighbour], part[pixel] and part[neighbour]
        if superpixels[pixel] != superpixels[neighbour] and held and not of_part:
            total += max(strength[pixel], strength[neighbour])
    return total


def spread(samples: np.ndarray) -> float:
    """The spread over proposals of the margins over background of scores (K, P, L)."""
    variances = [
        np.mean((margins - margins.mean()) ** 2)
        for sample in samples
        for margins in (sample[:, label] - sample[:, 0] for label in range(1, sample.shape[1]))
    ]
    return float(np.mean(variances)) ** 0.5


def gains(scores: np.ndarray, anchors, contours, neighbours, settings) -> np.ndarray:
    """One iteration of the pairwise term for margins (P, L) in units of their spread, those of the background 0."""
    found = np.zeros_like(scores)
    for u, label in itertools.product(range(scores.shape[0]), range(1, scores.shape[1])):
        higher = [v for v in anchors[label] if neighbours[u, v] and scores[v, label] > scores[u, label]]
        along = {}
        for v in higher:
            height = scores[v, label] - scores[u, label]
            along[v] = np.exp(-settings.edge_scale * contours[u, v]) / (height + settings.delta)
        if higher and settings.pairwise_choice == "highest_score":
            found[u, label] = along[max(higher, key=lambda v: scores[v, label])]
        elif higher:
            found[u, label] = max(along.values())
    return found


def masked_scores(features, noise_features, masks, classify, bias, pooling: str) -> np.ndarray:
    """Scores (P, L) as the paper draws them: features times each mask, 1 x 1 convolution, global average."""
    found = []
    for mask in masks:
        product = features * mask
        mapped = torch.einsum("lc,chw->lhw", classify, product).sum(dim=(1, 2))
        whole = mask.numel() if pooling == "full" else mask.sum()
        found.append(mapped / whole + bias)
    return torch.stack(found)
