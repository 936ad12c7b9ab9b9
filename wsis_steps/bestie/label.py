"""Makes the first pseudo labels: components of the semantic map that hold exactly one cue, or region proposals that fit
the class maps.

in   images     images.h5: tags and, under point supervision, the points
     semantic   semantic maps of the training images
     peaks      cues of classifier_find_peaks; left out under point supervision, and with `instances: regions`
     maps       class maps of each image, only with `instances: regions`
     proposals  region proposals, only with `instances: regions`
out  labels     instances of the training images; object pixels in no instance are ignored regions
     counts     JSON: components (or regions) accepted, empty, ambiguous and small, instances per image

BESTIE (CVPR 2022), semantic knowledge transfer; supplement, listing 4.
"""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from wsis_steps.bestie.grouping import PseudoLabels, pseudo_instances
from wsis_steps.bestie.region_instances import region_instances
from wsis_steps.bestie.settings import BestieLabel
from wsis_steps.engine.documents import write_document
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.pool import fork_map
from wsis_steps.engine.provenance import Provenance
from wsis_steps.engine.step import Job, Step
from wsis_steps.vision.contracts.agreement import check_same_classes, places
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import ImageInstances, write_instances
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.contracts.points import Points
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.counts import count_instances, expect_labels
from wsis_steps.vision.masks import describe, encode, paint, split
from wsis_steps.vision.region_means import least_background

log = logging.getLogger("wsis")

KINDS = ("accepted", "empty", "ambiguous", "small")  # for components; regions use the first and the last
STEP = Step(
    "bestie_label",
    BestieLabel,
    inputs=("images", "semantic"),
    optional=("peaks", "maps", "proposals"),
    outputs=("labels", "counts"),
)


Labelled = tuple[dict[str, int], ImageInstances]  # counts by KINDS, and instances, of an image


class Way(NamedTuple):
    """A function that labels an image by its number; the supervision of its inputs, and their provenance."""

    label: Callable[[int], Labelled]
    supervision: set[str]
    made: list[Provenance]


def with_ignored(instances: ImageInstances, semantic: np.ndarray) -> ImageInstances:
    """The instances; object and unsure pixels of the semantic map outside them become the ignored region."""
    left = (semantic > 0) & (paint(instances, *semantic.shape) == 0)
    return replace(instances, ignore=encode(left[None])[0] if left.any() else None)


def to_instances(found: PseudoLabels) -> ImageInstances:
    """Accepted components as instances."""
    return describe(encode(split(found.instance_map, found.accepted)), found.categories)


def summarise(found: list[dict[str, int]]) -> dict:
    """Counts over all images, from the counts of each by `KINDS`, as JSON values."""
    per_image = Counter(counts["accepted"] for counts in found)
    return {
        **{kind: sum(counts[kind] for counts in found) for kind in KINDS},
        "images": len(found),
        "images_by_instances": {str(count): per_image[count] for count in sorted(per_image)},
    }


def why_without(found: list[dict[str, int]], expected: np.ndarray) -> dict[str, int]:
    """Number of images that lack expected labels, by cause: a component holds several cues (crowded), none holds a cue
    (uncued), all are too small (undersized), or there are none (bare).

    found: counts of each image by `KINDS`; expected: bool (images,).
    """
    causes = {"ambiguous": "crowded", "empty": "uncued", "small": "undersized"}
    images = dict.fromkeys([*causes.values(), "bare"], 0)
    for counts in (counts for counts, wanted in zip(found, expected.tolist(), strict=True) if wanted):
        if not counts["accepted"]:
            images[next((cause for kind, cause in causes.items() if counts[kind]), "bare")] += 1
    return images


def by_components(job: Job, images: Images, semantic: Maps) -> Way:
    """Labels images by the components of their semantic maps."""
    points = job.settings.supervision == "points"
    if not points and job.inputs["peaks"] is None:
        raise InputError("bestie_label needs --peaks, unless supervision is 'points'.")
    peaks = None if points else Points(job.inputs["peaks"])
    check_same_classes(images, semantic, *([] if points else [peaks]))
    members = places(images, semantic)
    if points and not any(len(images.points[own]) for own in members):
        raise InputError(f"{images.path} has no points, which supervision: points needs.")
    cue_rows = None if points else places(peaks, semantic)

    def label(i: int) -> Labelled:
        own = members[i]
        cues = np.pad(images.points[own], ((0, 0), (0, 1)), constant_values=1) if points else peaks.read(cue_rows[i])
        found = pseudo_instances(semantic.semantic(i), cues, images.tags[own], job.settings.min_area)
        return {kind: getattr(found, kind) for kind in KINDS}, to_instances(found)

    return Way(label, {"points"}, []) if points else Way(label, set(peaks.supervision), [peaks.provenance])


def by_regions(job: Job, images: Images, semantic: Maps) -> Way:
    """Labels images by the region proposals that fit the maps of their classes."""
    if None in (job.inputs["maps"], job.inputs["proposals"]):
        raise InputError("bestie_label needs --maps and --proposals if instances is 'regions'.")
    maps, proposals = Maps(job.inputs["maps"]), Proposals(job.inputs["proposals"])
    check_same_classes(images, semantic, maps)
    if proposals.kind != "regions":
        raise InputError(f"{proposals.path} holds {proposals.kind}, but instances: regions needs regions.")
    background = least_background(maps, job.settings.background)
    map_rows, proposal_rows = places(maps, semantic), places(proposals, semantic)

    def label(i: int) -> Labelled:
        regions = proposals.read(int(proposal_rows[i]))
        found = region_instances(*maps.read(int(map_rows[i])), regions, background, job.settings)
        kept = found.at(np.flatnonzero(found.areas >= job.settings.min_area))
        return dict.fromkeys(KINDS, 0) | {"accepted": len(kept), "small": len(found) - len(kept)}, kept

    return Way(label, {*maps.supervision, *proposals.supervision}, [maps.provenance])


def main(job: Job) -> None:
    images, semantic = Images(job.inputs["images"]), Maps(job.inputs["semantic"])
    of_regions = job.settings.instances == "regions"
    label, supervision, made = (by_regions if of_regions else by_components)(job, images, semantic)

    def label_image(i: int) -> Labelled:
        counts, instances = label(i)
        # full-size arrays stay in here: the results of all images are kept
        return counts, with_ignored(instances, semantic.semantic(i))

    results = list(job.progress(fork_map(label_image, range(len(semantic)), job.threads), len(semantic)))
    found, labels = zip(*results, strict=True)
    provenance = job.provenance(
        semantic.class_names, {*semantic.supervision, *supervision}, [semantic.provenance, *made]
    )
    counts = summarise(found)
    expected = expect_labels(images, places(images, semantic), job.settings.supervision)
    of_components = {} if of_regions else {kind: counts[kind] for kind in KINDS}
    judged = Counter({**why_without(found, expected), **of_components})
    labels = count_instances(labels, expected, "labels", judged)
    write_instances(job.outputs["labels"], provenance, semantic.ids, semantic.heights, semantic.widths, labels, judged)
    write_document(job.outputs["counts"], counts)
    kinds = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)
    without = counts["images_by_instances"].get("0", 0)
    units = "regions" if of_regions else "components"
    log.info("%d images, %d of them without a label; %s: %s", counts["images"], without, units, kinds)


if __name__ == "__main__":
    STEP.run(main)
