"""Makes region proposals of all images: ranked unions of superpixels, best first.

in   images     images.h5
out  proposals  proposals of kind regions, of the images of this shard

Multiscale Combinatorial Grouping (Pont-Tuset et al., TPAMI 2017); differences from it: docs/proposals.md. Every image
is computed independently, so neither the number of processes nor that of shards changes a byte of the merged result.
"""

import numpy as np
import torch

from wsis_steps.engine.pool import fork_map
from wsis_steps.engine.step import Job, Step
from wsis_steps.proposals.edge_models import load_edge_finder
from wsis_steps.proposals.mcg.rankers import load_ranker
from wsis_steps.proposals.region_proposals import propose
from wsis_steps.proposals.settings import ProposalsGroupRegions
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.contracts.proposals import encode, write_proposals
from wsis_steps.vision.images import Pictures

STEP = Step(
    "proposals_group_regions",
    ProposalsGroupRegions,
    inputs=("images",),
    outputs=("proposals",),
    join=join_shards,
)


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
