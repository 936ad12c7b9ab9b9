"""Replaces each predicted mask with the proposal that overlaps it most.

in   predictions  instances with scores
     proposals    proposals of any kind, of all images of the data set; boxes count as filled
out  replaced     the same instances with the outlines of the proposals

Deep Community Learning (WACV 2021), section 3.4: superpixels follow object outlines. Scores and categories are kept;
boxes are those of the new masks. The result has the supervision of the proposals, too.
"""

import numpy as np

from wsis_steps.engine.pool import fork_map
from wsis_steps.engine.step import Job, Step
from wsis_steps.postprocess.settings import PostprocessReplaceWithProposals
from wsis_steps.vision.contracts.agreement import places
from wsis_steps.vision.contracts.instances import ImageInstances, Instances, write_instances
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.masks import decode, describe
from wsis_steps.vision.regions import ImageProposals

STEP = Step(
    "postprocess_replace_with_proposals",
    PostprocessReplaceWithProposals,
    inputs=("predictions", "proposals"),
    outputs=("replaced",),
)


def replace_masks(
    instances: ImageInstances, proposals: ImageProposals, height: int, width: int, min_overlap: float
) -> ImageInstances:
    """The instances of an image of (height, width) pixels, each with the mask of the proposal of highest IoU.

    Ties go to the first proposal. A mask is kept if that IoU is 0 or below `min_overlap` (0 to 1).
    """
    if not len(instances) or not len(proposals):
        return instances
    overlaps = proposals.overlaps(decode(instances.rles, height, width))
    best, reached = overlaps.argmax(0), overlaps.max(0)
    changed = np.flatnonzero((reached > 0) & (reached >= min_overlap))
    rles = list(instances.rles)
    for k, code in zip(changed, proposals.codes(best[changed]), strict=True):
        rles[k] = code
    columns = {name: getattr(instances, name) for name in ("scores", "weights", "crowd", "ignore")}
    return describe(rles, instances.categories, **columns)


def main(job: Job) -> None:
    predictions, proposals = Instances(job.inputs["predictions"]), Proposals(job.inputs["proposals"])
    members = places(proposals, predictions)

    def replace_image(i: int) -> ImageInstances:
        instances = predictions.read(i)
        if not len(instances):
            return instances
        found = proposals.read(int(members[i]))
        size = int(predictions.heights[i]), int(predictions.widths[i])
        return replace_masks(instances, found, *size, job.settings.min_overlap)

    replaced = job.progress(fork_map(replace_image, range(len(predictions)), job.threads), len(predictions))
    supervision = {*predictions.supervision, *proposals.supervision}
    provenance = job.provenance(predictions.class_names, supervision)
    write_instances(
        job.outputs["replaced"], provenance, predictions.ids, predictions.heights, predictions.widths, replaced
    )


if __name__ == "__main__":
    STEP.run(main)
