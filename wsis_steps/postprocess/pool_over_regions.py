"""Makes semantic maps that follow the outlines of regions from class maps.

in   maps       class maps: activation maps of classifier_infer, or probabilities of classifier_learn_pixels
     proposals  regions of all images of the data set
out  semantic   semantic maps, uint8: 0 background, 1 + category

Probabilities are averaged over all regions that contain a superpixel (`region_votes.vote`). Each class then gets the
superpixels of largest expected overlap (`region_votes.most_likely_extent`), so every class of every image has its own
threshold. Not from a paper; measured in docs/experiments/photographs.md.
"""

from collections import Counter

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.pool import fork_map
from wsis_steps.engine.step import Job, Step
from wsis_steps.postprocess.region_votes import label_superpixels, vote
from wsis_steps.postprocess.settings import PostprocessPoolOverRegions
from wsis_steps.vision.contracts.agreement import places
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.counts import count_map
from wsis_steps.vision.masks import check_class_count
from wsis_steps.vision.region_means import least_background, superpixel_sums, with_background
from wsis_steps.vision.regions import RegionProposals

STEP = Step(
    "postprocess_pool_over_regions",
    PostprocessPoolOverRegions,
    inputs=("maps", "proposals"),
    outputs=("semantic",),
    join=join_shards,
)


def label(
    maps: np.ndarray,
    categories: np.ndarray,
    regions: RegionProposals,
    background: float,
    settings: PostprocessPoolOverRegions,
) -> np.ndarray:
    """Semantic map uint8 (h, w) from maps (k, any size), 0 to 1, of an image's classes, and the minimum background
    value."""
    if not len(maps):
        return np.zeros(regions.superpixels.shape, dtype=np.uint8)
    probabilities = with_background(maps, background)
    votes = vote(superpixel_sums(probabilities, regions), regions, settings.confidence)
    found = label_superpixels(votes, regions.sizes, settings.power, settings.missed)
    values = np.concatenate([[0], categories + 1]).astype(np.uint8)
    return values[found][regions.superpixels]


def main(job: Job) -> None:
    maps, proposals = Maps(job.inputs["maps"]), Proposals(job.inputs["proposals"])
    check_class_count(len(maps.class_names), maps.path)
    if proposals.kind != "regions":
        raise InputError(f"{proposals.path} holds {proposals.kind}, but pooling needs regions over superpixels.")
    members, mine = places(proposals, maps), job.share(np.arange(len(maps)))
    background = least_background(maps, job.settings.background)
    largest = (int(maps.heights.max()), int(maps.widths.max()))

    def label_image(i: int) -> np.ndarray:
        return label(*maps.read(i), proposals.read(int(members[i])), background, job.settings)

    provenance = job.provenance(maps.class_names, {*maps.supervision, *proposals.supervision}, [maps.provenance])
    counts: Counter = Counter()
    with create(job.outputs["semantic"], Maps.schema, provenance, counts) as file:
        writer = MapsWriter(file, largest, np.uint8)
        labelled = fork_map(label_image, mine, job.threads)
        for i, labels in zip(mine, job.progress(labelled, len(mine)), strict=True):
            writer.add(maps.ids[i], *labels.shape, labels[None])
            count_map(labels, maps.first[i + 1] > maps.first[i], counts)
        writer.close()


if __name__ == "__main__":
    STEP.run(main)
