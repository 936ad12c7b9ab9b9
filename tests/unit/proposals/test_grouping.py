"""Hierarchies and what is combined from them, against sets of superpixels written out."""

import itertools

import higra as hg
import numpy as np
import pytest
from region_sets import contours, picture

from wsis_steps.proposals.mcg.candidates import unpack
from wsis_steps.proposals.mcg.grouping import combine, common_blocks, open_top, region_bits
from wsis_steps.proposals.mcg.hierarchy import (
    SuperpixelGraph,
    aligned_weights,
    cut,
    join_heights,
    merge,
    with_areas,
    without_specks,
)

ALL = 10**6


def leaves_below(parents: np.ndarray) -> list[frozenset[int]]:
    """Superpixels of every node of a hierarchy."""
    count = (len(parents) + 1) // 2
    below: list[set[int]] = [{node} if node < count else set() for node in range(len(parents))]
    for node in range(len(parents) - 1):
        below[parents[node]] |= below[node]
    return list(map(frozenset, below))


def opened(seed: int, merges: int):
    superpixels = cut(contours(seed))
    tree = merge(superpixels, superpixels.weights)
    return superpixels, tree, open_top(tree, merges)


@pytest.mark.parametrize("merges", [1, 7, ALL])
@pytest.mark.parametrize("seed", range(3))
def test_the_last_merges_open_a_hierarchy_from_the_top(seed, merges):
    superpixels, tree, regions = opened(seed, merges)
    merges = min(merges, superpixels.count - 1)
    last = range(len(tree.parents) - 1, len(tree.parents) - 1 - merges, -1)
    wanted = [{n for n in range(len(tree.parents) - 1) if tree.parents[n] == split} for split in last]
    assert [set(pair) for pair in regions.nodes.reshape(-1, 2)] == wanted
    below = leaves_below(tree.parents)
    for leaf, place in enumerate(regions.block):
        assert leaf in below[regions.nodes[place]] and regions.children[place, 0] == -1
    bits = region_bits(regions.children, regions.block, superpixels.count)
    held = unpack(bits, superpixels.count)
    assert [set(np.flatnonzero(row)) for row in held] == [set(below[node]) for node in regions.nodes]


@pytest.mark.parametrize("seed", range(3))
def test_pairs_are_the_neighbours_that_are_no_siblings(seed):
    superpixels, tree, regions = opened(seed, 12)
    below = [leaves_below(tree.parents)[node] for node in regions.nodes]
    touch = {tuple(edge) for edge in superpixels.edges.tolist()}

    def neighbours(a: int, b: int) -> bool:
        pairs = itertools.product(below[a], below[b])
        return not below[a] & below[b] and any((min(p), max(p)) in touch for p in pairs)

    wanted = {
        (a, b) for a in range(len(below)) for b in range(a)
        if neighbours(a, b) and tree.parents[regions.nodes[a]] != tree.parents[regions.nodes[b]]
    }  # fmt: skip
    rows = combine(regions, superpixels, (0, ALL, 0, 0))
    assert {tuple(row[:2]) for row in rows.tolist()} == wanted and len(rows) == len(wanted)
    assert (rows[:, 2:] == -1).all()


@pytest.mark.parametrize("seed", range(3))
def test_triples_and_quadruples_are_connected_disjoint_and_come_once(seed):
    superpixels, tree, regions = opened(seed, 15)
    below = [leaves_below(tree.parents)[node] for node in regions.nodes]
    graph = np.zeros((superpixels.count, superpixels.count), bool)
    graph[tuple(superpixels.edges.T)] = True
    graph |= graph.T
    rows = combine(regions, superpixels, (0, 0, 4000, 4000))
    assert len({tuple(sorted(row)) for row in rows.tolist()}) == len(rows) > 100
    for row in rows.tolist():
        sets = [below[place] for place in row if place >= 0]
        assert sum(map(len, sets)) == len(frozenset.union(*sets))
        joined = np.array([[graph[np.ix_(list(a), list(b))].any() for a in sets] for b in sets])
        assert (np.linalg.matrix_power(joined + np.eye(len(sets)), len(sets)) > 0).all()


def test_quotas_are_kept():
    superpixels, _, regions = opened(0, 30)
    rows = combine(regions, superpixels, (5, 7, 11, 13))
    sizes = (rows >= 0).sum(1)
    assert [int((sizes == k).sum()) for k in (1, 2, 3, 4)] == [5, 7, 11, 13]


def test_blocks_are_equal_where_no_hierarchy_tells_superpixels_apart():
    superpixels = cut(contours(1))
    trees = [merge(superpixels, weights) for weights in (superpixels.weights, -superpixels.weights)]
    tops = [open_top(tree, 5) for tree in trees]
    blocks = common_blocks(tops)
    for a, b in itertools.combinations(range(superpixels.count), 2):
        assert (blocks[a] == blocks[b]) == all(top.block[a] == top.block[b] for top in tops)


@pytest.mark.parametrize("seed", range(3))
def test_coarse_contours_join_fine_superpixels_at_their_own_heights(seed):
    fine, coarse = cut(contours(seed, 0.8)), cut(contours(seed, 2.5))
    assert coarse.count < fine.count
    owner = [np.bincount(coarse.labels[fine.labels == k]).argmax() for k in range(fine.count)]
    tree = merge(coarse, coarse.weights)
    below = leaves_below(tree.parents)
    for (a, b), weight in zip(fine.edges, aligned_weights(fine, coarse), strict=True):
        common = next(k for k, held in enumerate(below) if {owner[a], owner[b]} <= held)
        assert weight == (0 if owner[a] == owner[b] else tree.altitudes[common])


@pytest.mark.parametrize("seed", range(3))
def test_small_regions_are_merged_first(seed):
    superpixels = cut(contours(seed))
    tree = merge(superpixels, superpixels.weights)
    changed = with_areas(superpixels, tree, smallest=20, share=0.05)
    assert (np.diff(changed.altitudes[superpixels.count :]) >= 0).all()
    sizes = np.bincount(superpixels.labels.ravel())
    below = leaves_below(tree.parents)
    after = dict(zip(map(tuple, superpixels.edges.tolist()), join_heights(superpixels, changed), strict=True))
    weights = dict(zip(after, superpixels.weights, strict=True))
    for node in range(superpixels.count, len(tree.parents)):
        first, second = (below[child] for child in np.flatnonzero(tree.parents == node) if child != node)
        ends = [edge for edge in after if (edge[0] in first) != (edge[1] in first) and set(edge) <= first | second]
        minor = min(sizes[list(first)].sum(), sizes[list(second)].sum())
        factor = 0 if minor < 20 else min(minor / (0.05 * superpixels.labels.size), 1) ** 0.5
        weakest = min(ends, key=weights.get)
        # a path over lower merges may join them earlier
        assert after[weakest] <= tree.altitudes[node] * factor + 1e-9


def dotted() -> SuperpixelGraph:
    """Two halves with a contour between them, and on it a dot of 4 pixels with a stronger one."""
    labels = np.repeat(np.arange(12) >= 6, 10).reshape(12, 10).T.astype(np.int32)
    labels[4:6, 5:7] = 2
    graph = hg.UndirectedGraph(3)
    graph.add_edges([0, 0, 1], [1, 2, 2])
    edges = np.array([[0, 1], [0, 2], [1, 2]])
    return SuperpixelGraph(labels, edges, np.array([8.0, 4, 4]), np.array([0.5, 0.8, 0.9]), graph)


def test_a_dot_between_two_regions_does_not_join_them():
    halves = dotted()
    changed = join_heights(halves, with_areas(halves, merge(halves, halves.weights), smallest=5, share=0.01))
    assert changed == pytest.approx([0.5, 0, 0.5])
    joined = without_specks(halves, 5)
    assert joined.count == 2 and np.bincount(joined.labels.ravel()).tolist() == [62, 58]
    assert joined.edges.tolist() == [[0, 1]] and joined.lengths == pytest.approx([12])
    assert joined.weights == pytest.approx([(8 * 0.5 + 4 * 0.9) / 12])
    assert without_specks(joined, 10**6).count == 1


@pytest.mark.parametrize("seed", range(3))
def test_superpixels_without_specks_are_unions_and_keep_their_contours(seed):
    superpixels = cut(contours(seed))
    joined = without_specks(superpixels, 12)
    assert 1 < joined.count < superpixels.count
    assert np.bincount(joined.labels.ravel()).min() >= 12
    for label in range(superpixels.count):
        assert len(np.unique(joined.labels[superpixels.labels == label])) == 1
    blocks = joined.labels.ravel()[np.unique(superpixels.labels, return_index=True)[1]]
    for (a, b), length, weight in zip(joined.edges, joined.lengths, joined.weights, strict=True):
        between = (np.sort(blocks[superpixels.edges], axis=1) == (a, b)).all(1)
        assert between.any() and length == superpixels.lengths[between].sum()
        assert weight == pytest.approx(np.average(superpixels.weights[between], weights=superpixels.lengths[between]))
    pairs = np.unique(np.sort(blocks[superpixels.edges], axis=1), axis=0)
    assert joined.edges.tolist() == pairs[pairs[:, 0] != pairs[:, 1]].tolist()
    assert joined.graph.num_edges() == len(joined.edges)


def test_superpixels_tile_the_picture_along_its_contours():
    drawn = np.zeros((30, 40, 3), np.uint8)
    drawn[:, 17:] = 255
    from wsis_steps.proposals.contours import Gradient, gradient_contours

    found = gradient_contours(drawn, Gradient(1.0, 12, 1))
    superpixels = cut(found)
    weight_across = superpixels.weights.max()
    left, right = superpixels.labels[:, :17], superpixels.labels[:, 17:]
    assert not set(np.unique(left)) & set(np.unique(right))
    assert weight_across > 0.9
    assert np.allclose(np.abs(np.cos(found.normal[10:20, 16:18])), 1, atol=1e-3)
    assert picture(0).shape == (40, 52, 3)
