"""The proposals of a picture as sets of superpixels, and the edge strengths between adjacent superpixels.

All that the scores need of a proposal follows from its superpixels by matrix products: sums over its pixels, its
overlap with another, and the contour between the two. No mask is decoded.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from wsis_steps.vision.images import Geometry
from wsis_steps.vision.regions import ImageProposals, RegionProposals

SETS = 1 << 62  # random codes of pixels below this


@dataclass(frozen=True)
class RegionGraph:
    """P proposals over S superpixels.

    superpixels: int32 (h, w), from 0; members: bool (P, S); boxes: float32 (P, 4) xyxy; scores: float32 (P,),
    objectness of the proposals, in standard deviations from the picture's mean; edges: int64 (2, e), adjacent
    superpixels, each pair once; lengths: float32 (e,), of their common contour in pixel sides, divided by the square
    root of the number of pixels; strengths: float32 (e,), 0 to 1, mean strength of that contour.
    """

    superpixels: np.ndarray
    members: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    edges: np.ndarray
    lengths: np.ndarray
    strengths: np.ndarray

    def moved(self, geometry: Geometry, rows: np.ndarray | slice = np.s_[:]) -> "RegionGraph":
        """A subset of the proposals in a picture that was resized, mirrored or rotated; contours stay unchanged."""
        return replace(
            self,
            superpixels=geometry.labels(self.superpixels),
            members=self.members[rows],
            boxes=geometry.boxes(self.boxes[rows]).astype(np.float32),
            scores=self.scores[rows],
        )

    def codes(self, rows: np.ndarray) -> list[dict]:
        """Run-length codes of proposals."""
        return RegionProposals(self.boxes, self.scores, self.superpixels, self.members).codes(rows)


def build_graph(proposals: ImageProposals, strength: np.ndarray | None, height: int, width: int) -> RegionGraph:
    """The graph of a picture's proposals; strength: edge map float32 (height, width), 0 to 1, or None for no edges.

    A picture without proposals has itself as its only proposal.
    """
    regions = as_regions(proposals, height, width)
    if strength is None:
        strength = np.zeros((height, width), np.float32)
    edges, lengths, strengths = contours_between(regions.superpixels, strength)
    scores = (regions.scores - regions.scores.mean()) / max(float(regions.scores.std()), 1e-6)
    lengths /= (height * width) ** 0.5
    return RegionGraph(regions.superpixels, regions.members, regions.boxes, scores, edges, lengths, strengths)


def as_regions(proposals: ImageProposals, height: int, width: int) -> RegionProposals:
    """Proposals of any kind over superpixels: pixels in exactly the same proposals form one superpixel."""
    if not len(proposals):
        box = np.array([[0, 0, width, height]], np.float32)
        return RegionProposals(
            box, np.ones(1, np.float32), np.zeros((height, width), np.int32), np.ones((1, 1), bool)
        )  # fmt: skip
    if isinstance(proposals, RegionProposals):
        return proposals
    codes = np.random.default_rng(0).integers(SETS, size=len(proposals), dtype=np.uint64)
    masks = proposals.masks(np.arange(len(proposals)))
    sums = np.einsum("n,nhw->hw", codes, masks)  # in parts, since the masks as 64-bit numbers would take gigabytes
    _, first, which = np.unique(sums.ravel(), return_index=True, return_inverse=True)
    members = masks.reshape(len(masks), -1)[:, first] > 0
    return RegionProposals(
        proposals.boxes, proposals.scores, which.reshape(height, width).astype(np.int32), members
    )  # fmt: skip


def contours_between(superpixels: np.ndarray, strength: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges int64 (2, e), lengths in pixels and mean strengths, both float32 (e,), of adjacent superpixels int32 (h,
    w).

    The strength between two pixels is the greater of theirs, since a thin edge lies on one side of the contour.
    """
    count = int(superpixels.max()) + 1
    codes, values = [], []
    for first, second in (np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:]):
        one, other = superpixels[first], superpixels[second]
        apart = one != other
        low, high = np.minimum(one[apart], other[apart]), np.maximum(one[apart], other[apart])
        codes.append(low.astype(np.int64) * count + high)
        values.append(np.maximum(strength[first][apart], strength[second][apart]))
    found, which = np.unique(np.concatenate(codes), return_inverse=True)
    lengths = np.bincount(which, minlength=len(found)).astype(np.float32)
    sums = np.bincount(which, weights=np.concatenate(values), minlength=len(found))
    edges = np.stack(np.divmod(found, count))
    return edges, lengths, (sums / np.maximum(lengths, 1)).astype(np.float32)


def cells_of(superpixels: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Overlaps of superpixels int32 (h, w) with cells of stride x stride pixels: int64 (2, n) of superpixel and cell
    (rows of ceil(w / stride)), and float32 (n,), the share of the cell, of all its stride^2 pixels, that the superpixel
    covers.
    """
    height, width = superpixels.shape
    across = -(-width // stride)
    down = -(-height // stride)
    cell = (np.arange(height)[:, None] // stride) * across + np.arange(width) // stride
    found, counts = np.unique(superpixels.astype(np.int64) * (across * down) + cell, return_counts=True)
    return np.stack(np.divmod(found, across * down)), (counts / stride**2).astype(np.float32)


def graph_tensors(graph: RegionGraph, stride: int) -> dict[str, Tensor]:
    """The graph as plain tensors, which any loader can pass on; `with_matrices` turns them into matrices."""
    indices, shares = cells_of(graph.superpixels, stride)
    columns = {
        "superpixels": graph.superpixels, "members": graph.members, "boxes": graph.boxes, "cell_indices": indices,
        "cell_shares": shares, "edges": graph.edges, "lengths": graph.lengths, "strengths": graph.strengths,
    }  # fmt: skip
    return {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in columns.items()}


def with_matrices(graph: dict[str, Tensor], cells: int) -> dict[str, Tensor]:
    """The input of `network` and `scores`: the tensors with

    members         float32 (P, S)
    cells           sparse float32 (S, cells), the share of each cell that a superpixel covers
    areas           float32 (P,), cells of each proposal
    edge_lengths    sparse float32 (S, S), symmetric, lengths of the common contours
    edge_strengths  the same times its mean strength
    """
    members = graph["members"].float()
    superpixels = members.shape[1]
    indices, shares = graph["cell_indices"], graph["cell_shares"]
    sizes = shares.new_zeros(superpixels).index_add(0, indices[0], shares)
    both = torch.cat([graph["edges"], graph["edges"].flip(0)], dim=1)
    lengths, strengths = graph["lengths"].repeat(2), graph["strengths"].repeat(2)
    return {
        **graph,
        "members": members,
        "areas": members @ sizes,
        "cells": _sparse(indices, shares, (superpixels, cells)),
        "edge_lengths": _sparse(both, lengths, (superpixels, superpixels)),
        "edge_strengths": _sparse(both, lengths * strengths, (superpixels, superpixels)),
    }


def _sparse(indices: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    return torch.sparse_coo_tensor(indices, values, shape, check_invariants=False)
