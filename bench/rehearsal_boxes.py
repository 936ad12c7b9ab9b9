"""Adds random boxes to the proposals of a rehearsal, which must not cost less than those of photographs.

Selective Search finds 150 to 470 boxes in a generated image, but up to 2,700 in a photograph, and the cost of Deep
Community Learning is nearly proportional to their number.
"""

from pathlib import Path

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.proposals import Proposals, ProposalsWriter, encode
from wsis_steps.vision.regions import BoxProposals

BOXES = 2000  # of each image
LEAST_SIDE = 20  # pixels, the `min_size` of the preset's boxes


def fill_boxes(path: Path, count: int = BOXES) -> None:
    """Adds random boxes after those of each image that has fewer than `count`. A file with enough is not written again.

    InputError if the proposals are not boxes.
    """
    proposals = Proposals(path)
    if proposals.kind != "boxes":
        raise InputError(f"{path} holds {proposals.kind}; only boxes can be added.")
    every = [proposals.read(i) for i in range(len(proposals))]
    if all(len(found) >= count for found in every):
        return
    filled = path.with_name(f"{path.stem}_filled{path.suffix}")
    with create(filled, Proposals.schema, proposals.provenance) as file:
        writer = ProposalsWriter(file, "boxes")
        for i, found in enumerate(every):
            rng, more = np.random.default_rng((0, i)), max(count - len(found), 0)
            boxes = np.concatenate([found.boxes, random_boxes(rng, more, found.height, found.width)])
            scores = 1 - np.arange(len(boxes), dtype=np.float32) / len(boxes)  # by rank, as Selective Search's
            whole = BoxProposals(boxes, scores, found.height, found.width)
            writer.add(proposals.ids[i], found.height, found.width, *encode(whole))
        writer.close()
    filled.replace(path)


def random_boxes(rng: np.random.Generator, count: int, height: int, width: int) -> np.ndarray:
    """Boxes float32 (count, 4) xyxy in whole pixels, inside the image, with sides of at least LEAST_SIDE."""
    low = np.minimum(LEAST_SIDE, (width, height))
    sides = rng.integers(low, (width, height), (count, 2), endpoint=True)
    corners = rng.integers(0, np.array((width, height)) - sides, endpoint=True)
    return np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
