"""From a picture to ranked region proposals: Multiscale Combinatorial Grouping (Pont-Tuset et al., TPAMI 2017).

Contours at several scales, hierarchies aligned on one superpixel map, spectral globalization, a hierarchy by color,
sets of neighboring regions, ranking, filling of holes, removal of duplicates, diversity.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from wsis_steps.proposals.contours import Contours
from wsis_steps.proposals.mcg.candidates import (
    Parts,
    describe_parts,
    fill_holes,
    keep_different,
    measure,
    members,
    unpack,
)
from wsis_steps.proposals.mcg.grouping import Opened, Quotas, combine, common_blocks, open_top, region_bits
from wsis_steps.proposals.mcg.hierarchy import (
    Hierarchy,
    SuperpixelGraph,
    aligned_weights,
    color_hierarchy,
    cut,
    join_heights,
    merge,
    spectral_weights,
    with_areas,
    without_specks,
)
from wsis_steps.proposals.mcg.ranking import Ranker, choose_diverse, describe, rank
from wsis_steps.proposals.settings import ProposalsGroupRegions
from wsis_steps.vision.regions import RegionProposals

SPECK = 16  # pixels; smaller superpixels are merged into a neighbor first
DOUBLE = 0.95  # overlap from which two candidates are duplicates (MCG)
SMALLEST_MERGE, FULL_SHARE = 24, 0.003  # pixels, share of the picture: see with_areas


@dataclass(frozen=True)
class Recipe:
    """How candidates are generated.

    merges: number per hierarchy, from the top; quotas by hierarchy, its name as in HIERARCHIES; smallest: minimum share
    of the picture that a candidate covers; looked_at: candidates considered per requested proposal.
    """

    merges: int
    quotas: dict[str, Quotas]
    smallest: float = 0.0002
    looked_at: int = 4


HIERARCHIES = ("multi", "fine", "middle", "coarse", "color")  # among duplicates, candidates of earlier ones are kept
RECIPES = {
    "accurate": Recipe(
        1000,
        {
            "multi": (90, 2000, 300, 300),
            "fine": (1200, 2500, 2000, 500),
            "middle": (600, 5000, 5000, 300),
            "coarse": (500, 3000, 10000, 4000),
            "color": (500, 2000, 3000, 500),
        },
    ),
    "fast": Recipe(800, {"fine": (700, 2500, 3000, 1000), "color": (300, 1000, 1000, 200)}, looked_at=3),
}


@dataclass(frozen=True)
class Candidates:
    """Sets of parts of one picture: bits uint64 (n, words), the results of `measure`, features float32 (n, f)."""

    parts: Parts
    bits: np.ndarray
    areas: np.ndarray
    boxes: np.ndarray
    features: np.ndarray

    def overlaps(self, masks: np.ndarray) -> np.ndarray:
        """Intersection over union float32 (n, m) with given masks (m, h, w)."""
        held = unpack(self.bits, self.parts.count)
        return RegionProposals(self.boxes, self.areas, self.parts.labels, held).overlaps(masks)


def build_hierarchies(fine: SuperpixelGraph, coarser: Sequence[Contours], lab: np.ndarray) -> dict[str, Hierarchy]:
    """Hierarchies by name over the superpixels of the finest contours; lab: float32 (h, w, 3)."""
    scales = [fine.weights, *(aligned_weights(fine, cut(one)) for one in coarser)]
    joint = fine.weights
    if coarser:  # those of coarser scales are already heights of a hierarchy
        joint = np.mean([join_heights(fine, merge(fine, fine.weights)), *scales[1:]], axis=0)
    jumps = spectral_weights(fine, joint)
    jumps = jumps / max(jumps.mean(), 1e-12)
    trees = [merge(fine, weights + weights.mean() * jumps) for weights in scales]
    names = ("fine",)
    if len(trees) > 1:
        joint = np.mean([join_heights(fine, tree) for tree in trees], axis=0)
        trees, names = [merge(fine, joint), *trees], ("multi", "fine", "middle", "coarse")
    named = {name: with_areas(fine, tree, SMALLEST_MERGE, FULL_SHARE) for name, tree in zip(names, trees, strict=False)}
    return {**named, "color": color_hierarchy(fine, lab)}


def find_candidates(picture: np.ndarray, contours: Sequence[Contours], mode: str) -> Candidates | None:
    """All distinct candidates of an RGB picture uint8 (h, w, 3).

    None if no contour divides it, or only into regions that are too small and one that is nearly the whole.
    """
    recipe = RECIPES[mode]
    superpixels = without_specks(cut(contours[0]), SPECK)
    if superpixels.count == 1:
        return None
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    hierarchies = build_hierarchies(superpixels, contours[1:], lab)
    opened = {name: open_top(tree, recipe.merges) for name, tree in hierarchies.items()}
    blocks = common_blocks(list(opened.values()))
    main = hierarchies.get("multi", hierarchies["fine"])
    parts = describe_parts(superpixels, blocks, join_heights(superpixels, main), lab)
    sets = [
        _sets_of(opened[name], combine(opened[name], superpixels, recipe.quotas[name]), blocks, parts, number)
        for number, name in enumerate(HIERARCHIES)
        if name in opened
    ]
    hashes, areas, boxes, centers, bits, origin = (np.concatenate(column) for column in zip(*sets, strict=True))
    size = parts.labels.size
    kept = np.sort(np.unique(hashes, return_index=True)[1])
    kept = kept[(areas[kept] >= recipe.smallest * size) & (areas[kept] < DOUBLE * size)]
    if not len(kept):
        return None
    bits, areas, boxes, origin = bits[kept], areas[kept], boxes[kept], origin[kept]
    different = keep_different(bits, parts.sizes, areas, boxes, centers[kept], DOUBLE)
    bits, areas, boxes, origin = bits[different], areas[different], boxes[different], origin[different]
    found, place = members(bits)
    features = describe(
        bits, found, place, areas, boxes, parts.sizes, parts.colors, parts.outer, parts.starts, parts.second,
        parts.lengths, parts.strengths, *parts.labels.shape,
    )  # fmt: skip
    return Candidates(parts, bits, areas, boxes, np.concatenate([features, origin], axis=1))


def _sets_of(opened: Opened, combined: np.ndarray, blocks: np.ndarray, parts: Parts, number: int) -> tuple:
    """For each candidate of a hierarchy: hash, area, box, centroid, bits, and features of its regions.

    Regions of a candidate are disjoint, so all but the last follow from those of the regions.
    """
    unsplit = np.zeros(parts.count, dtype=np.int64)
    unsplit[blocks] = opened.block
    bits = region_bits(opened.children, unsplit, parts.count)
    found, starts = members(bits)
    areas, boxes, centers = measure(found, starts, parts.sizes, parts.boxes, parts.sums)
    codes = np.random.default_rng(0).integers(1 << 63, size=parts.count, dtype=np.uint64)
    hashes = np.add.reduceat(codes[found], starts[:-1])
    # a last row for place -1, which is empty
    areas, centers = np.append(areas, 0), np.append(centers * areas[:, None], [[0, 0]], axis=0)
    boxes = np.append(boxes, [[np.inf, np.inf, -np.inf, -np.inf]], axis=0)
    bits, hashes = np.append(bits, np.zeros_like(bits[:1]), axis=0), np.append(hashes, np.uint64(0))
    total = areas[combined].sum(1)
    around = boxes[combined]
    return (
        hashes[combined].sum(1),
        total,
        np.concatenate([around[..., :2].min(1), around[..., 2:].max(1)], axis=1),
        centers[combined].sum(1) / total[:, None],
        bits[combined[:, 0]] | bits[combined[:, 1]] | bits[combined[:, 2]] | bits[combined[:, 3]],
        _origin(opened, combined, number),
    )


def _origin(opened: Opened, combined: np.ndarray, number: int) -> np.ndarray:
    """Features float32 (n, 8) of a candidate's regions: heights, number, and hierarchy."""
    heights = opened.heights / max(opened.heights.max(), 1e-12)
    present = combined >= 0
    made = np.where(present, heights[combined, 0], 0).max(1)
    merged = np.where(present, heights[combined, 1], np.inf).min(1)
    which = np.tile(np.arange(len(HIERARCHIES)) == number, (len(combined), 1))
    return np.column_stack([made, merged, present.sum(1), which]).astype(np.float32)


def choose(candidates: Candidates, ranker: Ranker | None, settings: ProposalsGroupRegions) -> RegionProposals:
    """The best candidates, best first, without holes and duplicates."""
    parts = candidates.parts
    scores = rank(candidates.features, ranker) - settings.small_weight * np.log(candidates.areas / parts.labels.size)
    best = np.argsort(-scores, kind="stable")[: RECIPES[settings.mode].looked_at * settings.count]
    bits = candidates.bits[best]
    bits = fill_holes(
        bits, *members(bits), parts.boxes, candidates.boxes[best], parts.starts, parts.second, parts.outer
    )
    found, place = members(bits)
    areas, boxes, centers = measure(found, place, parts.sizes, parts.boxes, parts.sums)
    apart = np.flatnonzero(keep_different(bits, parts.sizes, areas, boxes, centers, settings.overlap))
    scores = scores[best]
    order, values = choose_diverse(
        bits[apart], *members(bits[apart]), parts.sizes, areas[apart], boxes[apart], scores[apart],
        settings.count, settings.diversity,
    )  # fmt: skip
    order, values = _fill_up(apart[order], values, scores, settings.count)
    different = keep_different(bits[order], parts.sizes, areas[order], boxes[order], centers[order], DOUBLE)
    order, values = order[different][: settings.count], values[different][: settings.count]
    return _without_needless_borders(parts.labels, unpack(bits[order], parts.count), boxes[order], values)


def _fill_up(chosen: np.ndarray, values: np.ndarray, scores: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """If fewer than `count` are diverse enough, the others follow by score, shifted below the values of the first."""
    if len(chosen) >= count:
        return chosen, values
    rest = np.setdiff1d(np.arange(len(scores)), chosen)  # in order of score, like all candidates
    moved = scores[rest] - scores[rest[:1]].sum() + values[-1]
    return np.concatenate([chosen, rest]), np.concatenate([values, moved])


def _without_needless_borders(
    labels: np.ndarray, held: np.ndarray, boxes: np.ndarray, scores: np.ndarray
) -> RegionProposals:
    """The proposals over fewer superpixels: those in exactly the same proposals become one."""
    columns = np.ascontiguousarray(np.packbits(held, axis=0).T)
    _, first, which = np.unique(columns.view(f"V{columns.shape[1]}")[:, 0], return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))  # numbered in their previous order
    return RegionProposals(
        boxes.astype(np.float32),
        scores.astype(np.float32),
        order[which].astype(np.int32)[labels],
        held[:, np.sort(first)],
    )


def whole_picture(height: int, width: int) -> RegionProposals:
    """The only proposal of a picture without contours."""
    box = np.array([[0, 0, width, height]], np.float32)
    return RegionProposals(box, np.ones(1, np.float32), np.zeros((height, width), np.int32), np.ones((1, 1), bool))
