"""Imports proposals made elsewhere: regions of MCG, SCG or COB, boxes of Selective Search, masks as COCO RLE.

in   images     images.h5
out  proposals  regions, boxes or masks of all images, in their order, best first

Every image needs proposals, and none may lie outside its image; an image in both splits uses the same ones in both.
Formats: mat_regions.py, mat_boxes.py and coco_masks.py of importers/. Ambiguities of the files are resolved by the
image sizes, or reported as doubts.
"""

import logging
from pathlib import Path

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.pool import fork_map
from wsis_steps.engine.problems import Problems, attempt
from wsis_steps.engine.step import Job, Step
from wsis_steps.proposals.importers.coco_masks import doubt_masks, find_masks, read_masks
from wsis_steps.proposals.importers.image_names import ImageNames
from wsis_steps.proposals.importers.mat_boxes import find_boxes, read_boxes, settle_boxes
from wsis_steps.proposals.importers.mat_regions import find_regions, read_regions
from wsis_steps.proposals.settings import ProposalsImportProposals
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.proposals import Proposals, ProposalsWriter, encode

log = logging.getLogger("wsis")

STEP = Step("proposals_import_proposals", ProposalsImportProposals, inputs=("images",), outputs=("proposals",))
# For each format: its kind of proposals, and functions that find, interpret and read those of each image.
FORMATS = {
    "mcg": ("regions", find_regions, lambda found, sizes: (found, []), read_regions),
    "selective_search": ("boxes", find_boxes, settle_boxes, read_boxes),
    "coco_rle": ("masks", find_masks, doubt_masks, read_masks),
}
SHOWN = 5


def share_twins(images: Images, twins: dict[str, str], found: dict) -> None:
    """Gives evaluation images without proposals those of their training twins, if the two are the same picture."""
    places = {identity: i for i, identity in enumerate(images.ids)}
    for twin, identity in twins.items():
        if twin in found or identity not in found:
            continue
        if np.array_equal(*(images.encoded(places[name]) for name in (twin, identity))):
            found[twin] = found[identity]


def check_complete(path: Path, images: Images, found: dict) -> None:
    """Raises InputError that names the first images without proposals and counts the others."""
    missing = [identity for identity in images.ids if identity not in found]
    if missing:
        names = ", ".join(f"'{identity}'" for identity in missing[:SHOWN])
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise InputError(f"{path} has no proposals for {len(missing)} of the {len(images)} images: {names}{more}.")


def main(job: Job) -> None:
    images, path = Images(job.inputs["images"]), job.settings.path
    kind, find, settle, read = FORMATS[job.settings.format]
    if path is None or not path.exists():
        raise InputError(f"proposals_import_proposals.path is {path}, which does not exist.")
    names = ImageNames(images.ids)
    found = find(path, names, job.settings.ignored)
    share_twins(images, names.twins, found)
    check_complete(path, images, found)
    sizes = zip(images.heights.tolist(), images.widths.tolist(), strict=True)
    found, doubts = settle(found, dict(zip(images.ids, sizes, strict=True)))
    for doubt in doubts:
        log.warning("%s", doubt)

    def read_image(i: int) -> tuple:
        size = int(images.heights[i]), int(images.widths[i])
        return *size, *encode(read(found[images.ids[i]], *size, job.settings.cap))

    provenance = job.provenance(images.class_names, ["masks_seen"] if job.settings.masks_seen else [])
    problems = Problems()
    with create(job.outputs["proposals"], Proposals.schema, provenance) as file:
        writer = ProposalsWriter(file, kind)
        encoded = fork_map(lambda i: attempt(read_image, i), range(len(images)), job.threads)
        for identity, result in zip(images.ids, job.progress(encoded, len(images)), strict=True):
            if isinstance(result, InputError):
                problems.add(str(result))
            else:
                writer.add(identity, *result)
        problems.raise_any(f"What is imported from {path}")
        writer.close()


if __name__ == "__main__":
    STEP.run(main)
