"""How well proposals cover the true instances, by number of proposals, best first.

The figures are those of Pont-Tuset et al., "Multiscale Combinatorial Grouping for Image Segmentation and Object
Proposal Generation", and of its benchmark:

    j_instances   J_i: mean over true instances of the best mask IoU of a proposal
    j_classes     J_c: for each class, the summed intersections of its instances with their best proposals, divided by
                  the summed unions; large instances weigh more
    recall50, 70  share of true instances whose best mask IoU is above 0.5, 0.7
    box_abo       mean over true instances of the best box IoU
    box_recall50, 70

More proposals never lower any of them but J_c: a proposal of higher IoU may be so large that the class loses. An
instance that no proposal touches counts with an empty intersection and itself as the union.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.masks import decode
from wsis_steps.vision.regions import BoxProposals, ImageProposals, box_overlaps

THRESHOLDS = (50, 70)  # percent of IoU


@dataclass(frozen=True)
class Coverage:
    """Best overlaps of the first proposals of an image with its m true instances; k columns, one per number of
    proposals.

    taken: int64 (k,), available proposals; categories: int64 (m,); boxes: float64 (m, k), best box IoU; shared,
    covered: float64 (m, k), pixels of the intersection and of the union with the best mask, or None for boxes.
    """

    taken: np.ndarray
    categories: np.ndarray
    boxes: np.ndarray
    shared: np.ndarray | None = None
    covered: np.ndarray | None = None


def best_rows(overlaps: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """For each column, the best of the first `taken` (k,) rows of overlaps (n, m), int64 (m, k).

    Ties go to the first; -1 if none is above 0.
    """
    best = np.maximum.accumulate(overlaps, axis=0)
    before = np.concatenate([np.zeros_like(best[:1]), best[:-1]])
    better = np.where(overlaps > before, np.arange(len(overlaps))[:, None], -1)
    rows = np.full((len(overlaps) + 1, overlaps.shape[1]), -1)
    rows[1:] = np.maximum.accumulate(better, axis=0)
    return rows[taken].T


def _over(shared: np.ndarray, covered: np.ndarray) -> np.ndarray:
    return np.divide(shared, covered, out=np.zeros_like(shared), where=covered > 0)


def cover(
    proposals: ImageProposals,
    truth: ImageInstances,
    height: int,
    width: int,
    counts: Sequence[int],
    drop_void: bool,
) -> Coverage | None:
    """Coverage of the true instances of an image of (height, width) pixels; None if it has none.

    counts: the k - 1 numbers of proposals, ascending; the last column is all of them. Crowds are left out. drop_void:
    pixels that the truth ignores do not count for masks; boxes ignore void.
    """
    kept = np.flatnonzero(~truth.crowd)
    if not len(kept):
        return None
    taken = np.minimum([*counts, len(proposals)], len(proposals))
    ious = box_overlaps(proposals.boxes, truth.boxes[kept])
    coverage = Coverage(taken, truth.categories[kept], _at(ious, best_rows(ious, taken), 0.0))
    if isinstance(proposals, BoxProposals):
        return coverage
    masks, areas = decode([truth.rles[k] for k in kept], height, width), proposals.areas.astype(np.float64)
    if drop_void and truth.ignore is not None:
        void = decode([truth.ignore], height, width)
        areas = areas - proposals.intersections(void)[:, 0]
        masks = masks & (1 - void)
    own = np.count_nonzero(masks, axis=(1, 2)).astype(np.float64)
    shared = proposals.intersections(masks).astype(np.float64)
    covered = areas[:, None] + own - shared
    rows = best_rows(_over(shared, covered), taken)
    return Coverage(taken, coverage.categories, coverage.boxes, _at(shared, rows, 0.0), _at(covered, rows, own))


def _at(table: np.ndarray, rows: np.ndarray, otherwise: np.ndarray | float) -> np.ndarray:
    """Values of a table (n, m) in the rows (m, k) of each column; `otherwise` (m,) for row -1."""
    table = np.concatenate([table, np.broadcast_to(otherwise, (1, table.shape[1]))])  # selected by -1
    return table[rows, np.arange(table.shape[1])[:, None]]


def labels(counts: Sequence[int]) -> list[str]:
    """The numbers of proposals as they appear in the names of figures."""
    return [*map(str, counts), "all"]


def proposal_scores(
    coverages: Sequence[Coverage], counts: Sequence[int], class_count: int
) -> dict[str, float | np.ndarray]:
    """Figures `<name>_<number of proposals>` of a data set, 0 to 1; J_c as float64 (classes,), NaN without instances.

    There must be at least one coverage. Boxes have no mask figures.
    """
    boxes = np.concatenate([coverage.boxes for coverage in coverages])
    figures = {"box_abo": boxes.mean(0)}
    figures |= {f"box_recall{percent}": (boxes > percent / 100).mean(0) for percent in THRESHOLDS}
    if coverages[0].shared is not None:
        shared, covered = (
            np.concatenate([getattr(coverage, name) for coverage in coverages]) for name in ("shared", "covered")
        )
        masks, categories = _over(shared, covered), np.concatenate([coverage.categories for coverage in coverages])
        sums = np.zeros((2, class_count, shared.shape[1]))
        np.add.at(sums, (slice(None), categories), np.stack([shared, covered]))
        by_class = np.divide(*sums, out=np.full(sums.shape[1:], np.nan), where=sums[1] > 0)
        recalls = {f"recall{percent}": (masks > percent / 100).mean(0) for percent in THRESHOLDS}
        figures = {"j_instances": masks.mean(0), "j_classes": by_class.T, **recalls, **figures}
    return {
        f"{name}_{label}": value
        for name, values in figures.items()
        for label, value in zip(labels(counts), values, strict=True)
    }
