"""Region proposals of one picture, whatever its size."""

import cv2
import numpy as np

from wsis_steps.proposals.contours import EdgeFinder, find_contours
from wsis_steps.proposals.mcg.candidates import boxes_of
from wsis_steps.proposals.mcg.combinatorial_grouping import choose, find_candidates, whole_picture
from wsis_steps.proposals.mcg.ranking import Ranker
from wsis_steps.proposals.settings import ProposalsGroupRegions
from wsis_steps.vision.images import shrink
from wsis_steps.vision.regions import RegionProposals

SMALLEST_SIDE = 4  # pixels; smaller pictures are not split


def propose(
    picture: np.ndarray, settings: ProposalsGroupRegions, find_edges: EdgeFinder | None, ranker: Ranker | None
) -> RegionProposals:
    """Proposals of an RGB picture uint8 (h, w, 3)."""
    height, width = picture.shape[:2]
    shrunk = shrink(picture, settings.long_side)
    if min(shrunk.shape[:2]) < SMALLEST_SIDE:
        return whole_picture(height, width)
    contours = find_contours(shrunk, settings.mode, find_edges, settings.gradient_share)
    candidates = find_candidates(shrunk, contours, settings.mode)
    if candidates is None:
        return whole_picture(height, width)
    proposals = choose(candidates, ranker, settings)
    return proposals if shrunk is picture else enlarge(proposals, height, width)


def enlarge(proposals: RegionProposals, height: int, width: int) -> RegionProposals:
    """The same proposals on a picture of another size."""
    superpixels = cv2.resize(proposals.superpixels, (width, height), interpolation=cv2.INTER_NEAREST)
    boxes = boxes_of(superpixels, proposals.members)
    return RegionProposals(boxes, proposals.scores, superpixels, proposals.members)
