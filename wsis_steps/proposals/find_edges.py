"""Finds the edges of all images: the probability that a pixel lies on an object boundary.

in   images  images.h5
out  edges   maps, one per image: contour strength, 0 to 255

For scores that use the contour between two proposals (a pairwise term). Contours of one scale, the finest scale of the
region proposals.
"""

import cv2
import numpy as np
import torch

from wsis_steps.engine.pool import fork_map
from wsis_steps.engine.step import Job, Step
from wsis_steps.proposals.contours import EdgeFinder, find_contours
from wsis_steps.proposals.edge_models import load_edge_finder
from wsis_steps.proposals.settings import ProposalsFindEdges
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.images import Pictures, shrink

STEP = Step("proposals_find_edges", ProposalsFindEdges, inputs=("images",), outputs=("edges",), join=join_shards)


def edge_map(picture: np.ndarray, settings: ProposalsFindEdges, find_edges: EdgeFinder | None) -> np.ndarray:
    """Contour strength uint8 (h, w) of an RGB picture uint8 (h, w, 3)."""
    contours = find_contours(shrink(picture, settings.long_side), "fast", find_edges, settings.gradient_share)
    strength = cv2.resize(contours[0].strength, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.rint(255 * strength).astype(np.uint8)


def main(job: Job) -> None:
    settings: ProposalsFindEdges = job.settings
    torch.set_num_threads(1)  # processes, not threads, share the work
    images = Images(job.inputs["images"])
    find_edges, seen = load_edge_finder(settings.edges, settings.edge_model)
    pictures, members = Pictures(images), job.share(np.arange(len(images)))

    def find(i: int) -> np.ndarray:
        return edge_map(pictures.read(i), settings, find_edges)

    found = job.progress(fork_map(find, members, job.threads), len(members))
    largest = int(images.heights.max()), int(images.widths.max())
    with create(job.outputs["edges"], Maps.schema, job.provenance(images.class_names, seen)) as file:
        writer = MapsWriter(file, largest, np.uint8)
        for i, strength in zip(members, found, strict=True):
            writer.add(images.ids[i], int(images.heights[i]), int(images.widths[i]), strength[None])
        writer.close()


if __name__ == "__main__":
    STEP.run(main)
