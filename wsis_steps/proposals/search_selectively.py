"""Finds boxes that may hold an object, by Selective Search.

in   images     images.h5
out  proposals  boxes of the images of this shard, in their order

Uijlings et al., Selective Search for Object Recognition (IJCV 2013), as implemented by OpenCV: the most similar regions
are merged first, in several color spaces; every region's box is a proposal. Its rank is the number of merges below it
times a random number, so small boxes tend to come first. No annotation is used.
"""

import ctypes

import cv2
import numpy as np

from wsis_steps.engine.pool import fork_map
from wsis_steps.engine.step import Job, Step
from wsis_steps.proposals.settings import ProposalsSearchSelectively
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.contracts.proposals import encode, write_proposals
from wsis_steps.vision.images import Pictures, shrink
from wsis_steps.vision.regions import BoxProposals

STEP = Step(
    "proposals_search_selectively",
    ProposalsSearchSelectively,
    inputs=("images",),
    outputs=("proposals",),
    join=join_shards,
)


def search(picture: np.ndarray, mode: str, seed: int) -> np.ndarray:
    """Boxes int64 (n, 4) x1, y1, x2, y2 of an RGB picture uint8 (h, w, 3), best first."""
    method = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    method.setBaseImage(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if mode == "fast":
        method.switchToSelectiveSearchFast()
    else:
        method.switchToSelectiveSearchQuality()
    # ranks come from the C library's rand(), which cv2.setRNGSeed does not set; srand treats 0 and 1 as the same seed
    ctypes.CDLL(None).srand(ctypes.c_uint(seed + 1))
    boxes = method.process().astype(np.int64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def enlarge(boxes: np.ndarray, small: tuple[int, int], full: tuple[int, int]) -> np.ndarray:
    """The smallest boxes of whole pixels in an image of size `full` (height, width) that contain int64 boxes found in
    `small`."""
    numerator, denominator = np.array(full)[[1, 0]], np.array(small)[[1, 0]]
    return np.hstack([boxes[:, :2] * numerator // denominator, -(-boxes[:, 2:] * numerator // denominator)])


def propose(picture: np.ndarray, settings: ProposalsSearchSelectively) -> BoxProposals:
    """The boxes of an RGB picture; of n boxes kept, the one of rank k, from 0, has score 1 - k / n."""
    height, width = picture.shape[:2]
    small = shrink(picture, settings.long_side)
    boxes = search(small, settings.mode, settings.seed)
    boxes = enlarge(boxes, small.shape[:2], (height, width))
    boxes = boxes[(boxes[:, 2:] - boxes[:, :2]).min(1) >= settings.min_size]
    first = np.sort(np.unique(boxes, axis=0, return_index=True)[1])
    boxes = boxes[first[: settings.cap or None]]
    scores = 1 - np.arange(len(boxes)) / max(len(boxes), 1)
    return BoxProposals(boxes.astype(np.float32), scores.astype(np.float32), height, width)


def main(job: Job) -> None:
    images = Images(job.inputs["images"])
    members = job.share(np.arange(len(images)))
    pictures = Pictures(images)

    def propose_image(i: int) -> tuple:
        return encode(propose(pictures.read(i), job.settings))

    found = job.progress(fork_map(propose_image, members, job.threads), len(members))
    write_proposals(job.outputs["proposals"], job.provenance(images.class_names), "boxes", images, members, found)


if __name__ == "__main__":
    STEP.run(main)
