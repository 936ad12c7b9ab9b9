"""Makes region proposals of all images: ranked unions of superpixels, best first.

in   images     images.h5
out  proposals  proposals of kind regions, of the images of this shard

Multiscale Combinatorial Grouping (Pont-Tuset et al., TPAMI 2017); differences from it: docs/proposals.md. Every image
is computed independently, so neither the number of processes nor that of shards changes a byte of the merged result.
"""

import cv2
import numpy as np
import torch

from wsis_steps.engine.pool import fork_map
from wsis_steps.engine.step import Job, Step
from wsis_steps.proposals.contours import EdgeFinder, find_contours
from wsis_steps.proposals.edge_models import load_edge_finder
from wsis_steps.proposals.mcg.candidates import boxes_of
from wsis_steps.proposals.mcg.combinatorial_grouping import choose, find_candidates, whole_picture
from wsis_steps.proposals.mcg.rankers import load_ranker
from wsis_steps.proposals.mcg.ranking import Ranker
from wsis_steps.proposals.settings import ProposalsGroupRegions
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.contracts.proposals import encode, write_proposals
from wsis_steps.vision.images import Pictures, shrink
from wsis_steps.vision.regions import RegionProposals

STEP = Step(
    "proposals_group_regions",
    ProposalsGroupRegions,
    inputs=("images",),
    outputs=("proposals",),
    join=join_shards,
)

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


def main(job: Job) -> None:
    settings: ProposalsGroupRegions = job.settings
    torch.set_num_threads(1)  # processes, not threads, share the work
    images = Images(job.inputs["images"])
    members = job.share(np.arange(len(images)))
    find_edges, edges_seen = load_edge_finder(settings.edges, settings.edge_model)
    ranker, ranker_seen = load_ranker(settings.ranker, settings.ranker_model, settings.edges, settings.mode)
    pictures = Pictures(images)

    def propose_image(i: int) -> tuple[dict, dict]:
        return encode(propose(pictures.read(int(i)), settings, find_edges, ranker))

    found = job.progress(fork_map(propose_image, members, job.threads, chunk=2), len(members))
    provenance = job.provenance(images.class_names, edges_seen + ranker_seen)
    write_proposals(job.outputs["proposals"], provenance, "regions", images, members, found)


if __name__ == "__main__":
    STEP.run(main)
