"""Candidates from hierarchies: regions, and pairs, triples and quadruples of neighboring regions.

Multiscale Combinatorial Grouping (Pont-Tuset et al., TPAMI 2017), section 5. A hierarchy is opened from the top: each
region that appears is joined with neighbors that appeared before. Sets of superpixels are rows of bits (uint64).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsis_steps.engine.compiled import compiled
from wsis_steps.proposals.mcg.hierarchy import Hierarchy, SuperpixelGraph

Quotas = tuple[int, int, int, int]  # maximum single regions, pairs, triples and quadruples of one hierarchy


@dataclass(frozen=True)
class Opened:
    """The regions of a hierarchy in the order in which they appear from the top, without the whole picture.

    nodes: int64 (r,), their numbers in the hierarchy; children: int64 (r, 2), places in this order, -1 if a region
    is not split; heights: float64 (r, 2), altitudes at which the region is made and at which it is merged away;
    block: int64 (superpixels,), the place of the unsplit region that contains a superpixel.
    """

    nodes: np.ndarray
    children: np.ndarray
    heights: np.ndarray
    block: np.ndarray


def open_top(hierarchy: Hierarchy, merges: int) -> Opened:
    """The regions joined by the last `merges` merges of a hierarchy."""
    parents, altitudes = hierarchy.parents, hierarchy.altitudes
    total = len(parents)
    leaves = (total + 1) // 2
    nodes, children, block = _open(parents, leaves, min(merges, leaves - 1))
    heights = np.stack([altitudes[nodes], altitudes[parents[nodes]]], axis=1)
    return Opened(nodes, children, heights, block)


@compiled
def _open(parents, leaves, merges):
    total = len(parents)
    pairs = np.full((total, 2), -1, np.int64)
    for node in range(total - 1):
        side = 0 if pairs[parents[node], 0] < 0 else 1
        pairs[parents[node], side] = node
    place = np.full(total, -1, np.int64)
    nodes = np.empty(2 * merges, np.int64)
    children = np.full((2 * merges, 2), -1, np.int64)
    count = 0
    for split in range(total - 1, total - 1 - merges, -1):
        for side in range(2):
            nodes[count] = pairs[split, side]
            place[nodes[count]] = count
            if place[split] >= 0:
                children[place[split], side] = count
            count += 1
    for node in range(total - 2, -1, -1):  # nodes that were not opened lie in the region of their parent
        if place[node] < 0:
            place[node] = place[parents[node]]
    return nodes, children, place[:leaves]


def common_blocks(opened: Sequence[Opened]) -> np.ndarray:
    """Numbers int64 (superpixels,), equal for superpixels that no hierarchy separates."""
    blocks = np.zeros(len(opened[0].block), dtype=np.int64)
    for one in opened:
        blocks = np.unique(blocks * len(one.nodes) + one.block, return_inverse=True)[1]
    return blocks


@compiled
def region_bits(children, block_of_part, count):
    """Bits uint64 (regions, words) of the parts in each region; block_of_part: the unsplit region of each part."""
    bits = np.zeros((len(children), (count + 63) // 64), np.uint64)
    for part in range(count):
        bits[block_of_part[part], part >> 6] |= np.uint64(1) << np.uint64(part & 63)
    for region in range(len(children) - 1, -1, -1):
        if children[region, 0] >= 0:
            for word in range(bits.shape[1]):
                bits[region, word] = bits[children[region, 0], word] | bits[children[region, 1], word]
    return bits


@compiled
def _meet(first, second):
    for word in range(len(first)):  # noqa: SIM110, numba has no any()
        if first[word] & second[word]:
            return True
    return False


@compiled
def _around_parts(words, first, second):
    """Bits uint64 (64 x words, words) of the neighbors of each part; first, second: the parts at each edge."""
    around = np.zeros((64 * words, words), np.uint64)
    for edge in range(len(first)):
        a, b = first[edge], second[edge]
        around[a, b >> 6] |= np.uint64(1) << np.uint64(b & 63)
        around[b, a >> 6] |= np.uint64(1) << np.uint64(a & 63)
    return around


@compiled
def _tuples(bits, touching, pairs, triples, quadruples):
    """Rows of up to four regions, padded with -1: pairs, triples, quadruples up to their quotas."""
    found = np.full((pairs + triples + quadruples, 4), -1, np.int64)
    starts = np.zeros(len(bits) + 1, np.int64)  # neighbors of region i that appeared before it, without its sibling:
    neighbours = np.empty(len(bits) * 16, np.int64)  # neighbours[starts[i]:starts[i + 1]]
    n2, n3, n4, count = 0, 0, 0, 0
    for a in range(len(bits)):
        if n2 >= pairs and n3 >= triples and n4 >= quadruples:
            break
        end = starts[a]
        if end + a > len(neighbours):
            neighbours = np.concatenate((neighbours, np.empty(len(neighbours) + a, np.int64)))
        for other in range(a):
            if other != a ^ 1 and _meet(touching[a], bits[other]) and not _meet(bits[a], bits[other]):
                neighbours[end] = other
                end += 1
        starts[a + 1] = end
        near = neighbours[starts[a] : end]
        for p in range(len(near)):
            b = near[p]
            if n2 < pairs:
                found[count, 0], found[count, 1] = a, b
                n2 += 1
                count += 1
            if n3 >= triples and n4 >= quadruples:
                continue
            for q in range(p):
                c = near[q]
                if _meet(bits[b], bits[c]):
                    continue
                if n3 < triples:
                    found[count, 0], found[count, 1], found[count, 2] = a, b, c
                    n3 += 1
                    count += 1
                for r in range(q):
                    if n4 >= quadruples:
                        break
                    d = near[r]
                    if not _meet(bits[d], bits[b]) and not _meet(bits[d], bits[c]):
                        found[count, 0], found[count, 1], found[count, 2], found[count, 3] = a, b, c, d
                        n4 += 1
                        count += 1
            for q in range(starts[b], starts[b + 1]):  # neighbors of b that do not touch a
                c = neighbours[q]
                if n3 >= triples:
                    break
                if not _meet(bits[a], bits[c]) and not _meet(touching[a], bits[c]):
                    found[count, 0], found[count, 1], found[count, 2] = a, b, c
                    n3 += 1
                    count += 1
    return found[:count]


def combine(opened: Opened, superpixels: SuperpixelGraph, quotas: Quotas) -> np.ndarray:
    """Candidates of one hierarchy, int64 (n, 4): places of up to four regions, padded with -1."""
    unsplit = np.unique(opened.block)
    part_of = np.full(len(opened.nodes), -1, dtype=np.int64)
    part_of[unsplit] = np.arange(len(unsplit))
    parts = part_of[opened.block]
    bits = region_bits(opened.children, unsplit, len(unsplit))
    edges = parts[superpixels.edges]
    edges = edges[edges[:, 0] != edges[:, 1]]
    around = _around_parts(bits.shape[1], edges[:, 0], edges[:, 1])
    touching = _touch_regions(opened.children, bits, around, unsplit)
    singles = np.full((min(quotas[0], len(opened.nodes)), 4), -1, dtype=np.int64)
    singles[:, 0] = np.arange(len(singles))
    return np.concatenate([singles, _tuples(bits, touching, *quotas[1:])])


@compiled
def _touch_regions(children, bits, around, unsplit):
    """Bits uint64 (regions, words) of the parts that touch each region from outside."""
    touching = np.zeros_like(bits)
    for part in range(len(unsplit)):
        touching[unsplit[part]] = around[part]
    for region in range(len(children) - 1, -1, -1):
        if children[region, 0] >= 0:
            for word in range(bits.shape[1]):
                joined = touching[children[region, 0], word] | touching[children[region, 1], word]
                touching[region, word] = joined & ~bits[region, word]
    return touching
