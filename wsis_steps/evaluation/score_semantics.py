"""Scores semantic maps of the training images against the true masks.

in   truth     true instances; where they overlap, the smaller lies on top
     semantic  semantic maps; pixels left open (255) count as missed
out  figures   JSON: mIoU with background, IoU per class
"""

import numpy as np

from wsis_steps.core.masks import decode, paint
from wsis_steps.core.step import Job, Step
from wsis_steps.core.store import Instances, Maps
from wsis_steps.evaluation.class_means import class_mean
from wsis_steps.evaluation.figures import check_same_images, write_figures
from wsis_steps.evaluation.semantic_scores import VOID, class_ious, confusion_matrix
from wsis_steps.settings.evaluation import EvaluationScoreSemantics

STEP = Step(
    "evaluation_score_semantics",
    EvaluationScoreSemantics,
    inputs=("truth", "semantic"),
    outputs=("figures",),
)


def true_map(truth: Instances, i: int) -> np.ndarray:
    """Label map uint8 (h, w) of the true instances of image i."""
    height, width = int(truth.heights[i]), int(truth.widths[i])
    instances = truth.read(i)
    values = np.concatenate([[0], np.where(instances.crowd, VOID, instances.categories + 1)])
    labels = values[paint(instances, height, width)].astype(np.uint8)
    if instances.ignore:
        labels[decode([instances.ignore], height, width)[0] > 0] = VOID
    return labels


def main(job: Job) -> None:
    truth, semantic = Instances(job.inputs["truth"]), Maps(job.inputs["semantic"])
    check_same_images(truth, semantic)
    images = range(len(truth))
    predicted, true = map(semantic.semantic, images), (true_map(truth, i) for i in images)
    ious = class_ious(confusion_matrix(predicted, true, len(truth.class_names)))
    metrics = {"miou": class_mean(ious), "iou": ious[1:], "background_iou": ious[0]}
    write_figures(job.outputs["figures"], "train", semantic, metrics, job.provenance())


if __name__ == "__main__":
    STEP.run(main)
