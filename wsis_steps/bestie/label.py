"""Makes the first pseudo labels: components of the semantic map that hold exactly one cue are instances.

in   images    images.h5: tags and, under point supervision, the points
     semantic  semantic maps of the training images
     peaks     cues of classifier_find_peaks; left out under point supervision
out  labels    instances of the training images; object pixels that no instance took are ignored regions
     counts    JSON: components accepted, empty, ambiguous and small, instances per image

BESTIE (CVPR 2022), semantic knowledge transfer; supplement, listing 4.
"""

import json
import logging
from collections import Counter

import numpy as np

from wsis_steps.bestie.grouping import PseudoLabels, pseudo_instances
from wsis_steps.bestie.settings import BestieLabel
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.pool import fork_map
from wsis_steps.engine.step import Job, Step
from wsis_steps.vision.contracts.agreement import check_same_classes, places
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import ImageInstances, write_instances
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.contracts.points import Points
from wsis_steps.vision.masks import describe, encode, split

log = logging.getLogger("wsis")

KINDS = ("accepted", "empty", "ambiguous", "small")  # of components of a semantic map
STEP = Step(
    "bestie_label",
    BestieLabel,
    inputs=("images", "semantic"),
    optional=("peaks",),
    outputs=("labels", "counts"),
)


def to_instances(found: PseudoLabels, semantic: np.ndarray) -> ImageInstances:
    """Accepted components as instances; other object or unsure pixels are the ignored region."""
    left = (semantic > 0) & (found.instance_map == 0)
    ignore = encode(left[None])[0] if left.any() else None
    rles = encode(split(found.instance_map, found.accepted))
    return describe(rles, found.categories, ignore=ignore)


def summarise(found: list[dict[str, int]]) -> dict:
    """Counts over all images, from those of each by `KINDS`, as JSON values."""
    per_image = Counter(counts["accepted"] for counts in found)
    return {
        **{kind: sum(counts[kind] for counts in found) for kind in KINDS},
        "images": len(found),
        "images_by_instances": {str(count): per_image[count] for count in sorted(per_image)},
    }


def main(job: Job) -> None:
    images, semantic = Images(job.inputs["images"]), Maps(job.inputs["semantic"])
    points = job.settings.supervision == "points"
    if not points and job.inputs["peaks"] is None:
        raise InputError("bestie_label needs --peaks, unless supervision is 'points'.")
    peaks = None if points else Points(job.inputs["peaks"])
    check_same_classes(images, semantic, *([] if points else [peaks]))
    members = places(images, semantic)
    cue_rows = None if points else places(peaks, semantic)

    def label(i: int) -> tuple[dict[str, int], ImageInstances]:
        own = members[i]
        cues = np.pad(images.points[own], ((0, 0), (0, 1)), constant_values=1) if points else peaks.read(cue_rows[i])
        labels = semantic.semantic(i)
        found = pseudo_instances(labels, cues, images.tags[own], job.settings.min_area)
        # what is as large as the image stays here: the results of all images are kept
        return {kind: getattr(found, kind) for kind in KINDS}, to_instances(found, labels)

    results = list(job.progress(fork_map(label, range(len(semantic)), job.threads), len(semantic)))
    supervision = {*semantic.supervision, *(["points"] if points else peaks.supervision)}
    if points and not any(len(images.points[own]) for own in members):
        raise InputError(f"{images.path} has no points, which supervision: points needs.")
    found, labels = zip(*results, strict=True)
    provenance = job.provenance(semantic.class_names, supervision)
    write_instances(job.outputs["labels"], provenance, semantic.ids, semantic.heights, semantic.widths, labels)
    counts = summarise(found)
    job.outputs["counts"].write_text(json.dumps(counts, indent=1) + "\n")
    kinds = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)
    without = counts["images_by_instances"].get("0", 0)
    log.info("%d images, %d of them without a label; components: %s", counts["images"], without, kinds)


if __name__ == "__main__":
    STEP.run(main)
