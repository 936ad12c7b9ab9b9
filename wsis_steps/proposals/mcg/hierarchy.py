"""Hierarchies of regions over one map of superpixels.

The finest contours divide a picture into superpixels by an oriented watershed; every hierarchy merges them in its own
order. Multiscale Combinatorial Grouping (Pont-Tuset et al., TPAMI 2017), section 4, with the alignment of scales done
on the graph of superpixels.
"""

from dataclasses import dataclass

import cv2
import higra as hg
import numpy as np
from scipy.sparse import coo_matrix, diags
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigsh

from wsis_steps.proposals.contours import Contours

EIGENVECTORS = 8
AFFINITY = 0.12  # contour strength that reduces the affinity of two superpixels by a factor of e (MCG's ic_gamma)


@dataclass(frozen=True)
class SuperpixelGraph:
    """Superpixels and their adjacency.

    labels: int32 (h, w), numbered from 0; edges: int64 (e, 2), lower number first; lengths: float64 (e,), common
    contour in pixels; weights: float64 (e,), its mean strength; graph: the same for higra.
    """

    labels: np.ndarray
    edges: np.ndarray
    lengths: np.ndarray
    weights: np.ndarray
    graph: hg.UndirectedGraph

    @property
    def count(self) -> int:
        return self.graph.num_vertices()


@dataclass(frozen=True)
class Hierarchy:
    """A binary tree of regions: parents int64 (2n - 1,) with the n superpixels first and the root last, its own parent;
    altitudes float64 (2n - 1,), the contour strength at which a region is made."""

    parents: np.ndarray
    altitudes: np.ndarray


def cut(contours: Contours) -> SuperpixelGraph:
    """Superpixels of a contour map by the oriented watershed transform."""
    shape = contours.strength.shape
    graph = hg.get_4_adjacency_graph(shape)
    source, target = graph.edge_list()
    strength = contours.strength.ravel().astype(np.float64)
    weights = (strength[source] + strength[target]) / 2
    twice = 2 * contours.normal.ravel().astype(np.float64)
    cosine, sine = np.cos(twice), np.sin(twice)
    normals = np.arctan2(sine[source] + sine[target], cosine[source] + cosine[target]) / 2 % np.pi
    regions, region_weights = hg.oriented_watershed(graph, weights, shape, normals)
    labels = hg.CptRegionAdjacencyGraph.get_vertex_map(regions).reshape(shape).astype(np.int32)
    edge_map = hg.CptRegionAdjacencyGraph.get_edge_map(regions)
    lengths = np.bincount(edge_map[edge_map >= 0], minlength=regions.num_edges()).astype(np.float64)
    edges = np.stack(regions.edge_list(), axis=1).astype(np.int64)
    return SuperpixelGraph(labels, np.sort(edges, axis=1), lengths, region_weights, regions)


def merge(superpixels: SuperpixelGraph, weights: np.ndarray) -> Hierarchy:
    """Merges the superpixels by the mean weight of their common contour (average linkage)."""
    tree, altitudes = hg.binary_partition_tree_average_linkage(superpixels.graph, weights, superpixels.lengths)
    return Hierarchy(tree.parents().astype(np.int64), altitudes)


def aligned_weights(fine: SuperpixelGraph, coarse: SuperpixelGraph) -> np.ndarray:
    """Weights float64 (e,) on the fine graph from the hierarchy of a coarser scale, whose map may be smaller.

    A fine superpixel belongs to the coarse one that contains most of its pixels; the weight of an edge is the height at
    which the coarse hierarchy joins its two ends, 0 inside one coarse superpixel.
    """
    tree, altitudes = hg.binary_partition_tree_average_linkage(coarse.graph, coarse.weights, coarse.lengths)
    labels = cv2.resize(coarse.labels, fine.labels.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    shared = coo_matrix(
        (np.ones(labels.size, np.int32), (fine.labels.ravel(), labels.ravel())),
        shape=(fine.count, coarse.count),
    )
    owner = np.asarray(shared.tocsr().argmax(axis=1)).ravel()
    first, second = owner[fine.edges].T
    common = tree.lowest_common_ancestor(first.astype(np.int64), second.astype(np.int64))
    return np.where(first == second, 0, altitudes[common])


def spectral_weights(superpixels: SuperpixelGraph, weights: np.ndarray) -> np.ndarray:
    """Differences float64 (e,), 0 to 1, of the first eigenvectors of the normalized Laplacian across each edge.

    Each is divided by the square root of its eigenvalue (Arbelaez et al., TPAMI 2011, section 3.2).
    """
    count = superpixels.count
    if count <= EIGENVECTORS + 2:
        return np.zeros(len(weights))
    first, second = superpixels.edges.T
    likeness = superpixels.lengths * np.exp(-weights / AFFINITY) + 1e-6
    affinity = coo_matrix((likeness, (first, second)), shape=(count, count)).tocsr()
    affinity = affinity + affinity.T
    root = diags(1 / np.sqrt(np.asarray(affinity.sum(1)).ravel()))
    start = np.full(count, count**-0.5)  # fixed, like the generator, so the same picture gives the same vectors
    values, vectors = eigsh(
        root @ affinity @ root, k=EIGENVECTORS + 1, which="LA", v0=start, tol=1e-2, rng=np.random.default_rng(0)
    )
    order = np.argsort(-values)[1:]
    vectors = root @ vectors[:, order]
    scaled = vectors / vectors.std(0) / np.sqrt(np.maximum(1 - values[order], 1e-4))
    jumps = np.abs(scaled[first] - scaled[second]).sum(1)
    return jumps / max(jumps.max(), 1e-12)


def join_heights(superpixels: SuperpixelGraph, hierarchy: Hierarchy) -> np.ndarray:
    """Altitude float64 (e,) at which the hierarchy joins the two ends of each edge."""
    first, second = superpixels.edges.T
    return hierarchy.altitudes[hg.Tree(hierarchy.parents).lowest_common_ancestor(first, second)]


def smaller_areas(superpixels: SuperpixelGraph, tree: hg.Tree) -> np.ndarray:
    """Pixels float64 (n - 1,) of the smaller of the two regions that each merge joins."""
    sizes = np.bincount(superpixels.labels.ravel(), minlength=superpixels.count).astype(np.float64)
    areas = hg.accumulate_sequential(tree, sizes, hg.Accumulators.sum)
    return hg.accumulate_parallel(tree, areas, hg.Accumulators.min)[superpixels.count :]


def weakest_edges(superpixels: SuperpixelGraph, tree: hg.Tree) -> tuple[np.ndarray, np.ndarray]:
    """Ends int64 (n - 1,) and (n - 1,) of one edge for each merge: where the contour between the two is weakest.

    A merge that is made early happens only at this edge; with all of its edges, a speck between two regions would join
    these, too.
    """
    first, second = superpixels.edges[np.argsort(superpixels.weights, kind="stable")].T
    chosen = np.unique(tree.lowest_common_ancestor(first, second), return_index=True)[1]
    return first[chosen], second[chosen]


def with_areas(superpixels: SuperpixelGraph, hierarchy: Hierarchy, smallest: int, share: float) -> Hierarchy:
    """The hierarchy with early merges of small regions: altitude x (smaller area / share of the image)^0.5.

    Merges whose smaller child has fewer than `smallest` pixels get altitude 0.
    """
    tree = hg.Tree(hierarchy.parents)
    minor = smaller_areas(superpixels, tree)
    factor = np.minimum(minor / (share * superpixels.labels.size), 1) ** 0.5
    altitudes = hierarchy.altitudes[superpixels.count :] * np.where(minor < smallest, 0, factor)
    joining = hg.UndirectedGraph(superpixels.count)
    joining.add_edges(*weakest_edges(superpixels, tree))
    reordered, altitudes = hg.bpt_canonical(joining, altitudes)
    return Hierarchy(reordered.parents().astype(np.int64), altitudes)


def without_specks(superpixels: SuperpixelGraph, smallest: int) -> SuperpixelGraph:
    """Superpixels of at least `smallest` pixels, if there are two: smaller ones are merged into a neighbor, as they
    would be in the hierarchy of mean contours."""
    if superpixels.count == 1:
        return superpixels
    tree = hg.Tree(merge(superpixels, superpixels.weights).parents)
    small = smaller_areas(superpixels, tree) < smallest
    first, second = (ends[small] for ends in weakest_edges(superpixels, tree))
    joined = coo_matrix((np.ones(len(first)), (first, second)), shape=(superpixels.count,) * 2)
    count, block = connected_components(joined, directed=False)
    ends = np.sort(block[superpixels.edges], axis=1)
    apart = ends[:, 0] != ends[:, 1]
    edges, which = np.unique(ends[apart], axis=0, return_inverse=True)
    lengths = np.bincount(which, weights=superpixels.lengths[apart])
    weights = np.bincount(which, weights=(superpixels.lengths * superpixels.weights)[apart]) / lengths
    graph = hg.UndirectedGraph(count)
    graph.add_edges(*edges.T)
    return SuperpixelGraph(block[superpixels.labels].astype(np.int32), edges.astype(np.int64), lengths, weights, graph)


def color_hierarchy(superpixels: SuperpixelGraph, lab: np.ndarray) -> Hierarchy:
    """Ward linkage of the superpixels' mean colors; lab: float32 (h, w, 3)."""
    labels, count = superpixels.labels.ravel(), superpixels.count
    sizes = np.bincount(labels, minlength=count).astype(np.float64)
    sums = [np.bincount(labels, weights=lab[..., k].ravel(), minlength=count) for k in range(3)]
    means = np.stack(sums, axis=1) / sizes[:, None]
    tree, altitudes = hg.binary_partition_tree_ward_linkage(superpixels.graph, means, sizes, altitude_correction="max")
    return Hierarchy(tree.parents().astype(np.int64), altitudes)
