"""Scores semantic maps against ground-truth masks.

in   truth     true instances; where they overlap, the smaller one is on top
     semantic  semantic maps; unsure pixels (255) count as missed
out  figures   JSON: mIoU with background, IoU and boundary F-measure per class
"""

from collections.abc import Iterator

from wsis_steps.engine.step import Job, Step
from wsis_steps.evaluation.boundary_scores import boundary_f_measures
from wsis_steps.evaluation.class_means import class_mean
from wsis_steps.evaluation.figures import check_same_images, write_figures
from wsis_steps.evaluation.semantic_scores import class_ious, confusion_matrix
from wsis_steps.evaluation.settings import EvaluationScoreSemantics
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.masks import true_labels

STEP = Step(
    "evaluation_score_semantics",
    EvaluationScoreSemantics,
    inputs=("truth", "semantic"),
    values=("split",),
    outputs=("figures",),
)


def main(job: Job) -> None:
    truth, semantic = Instances(job.inputs["truth"]), Maps(job.inputs["semantic"])
    check_same_images(truth, semantic)
    images, class_count = range(len(truth)), len(truth.class_names)

    def pairs() -> tuple[Iterator, Iterator]:  # read again for each figure: the maps of a data set do not fit in memory
        sizes = zip(truth.heights.tolist(), truth.widths.tolist(), strict=True)
        return map(semantic.semantic, images), (true_labels(truth.read(i), *size) for i, size in enumerate(sizes))

    ious = class_ious(confusion_matrix(*pairs(), class_count))
    outlines = boundary_f_measures(*pairs(), class_count)
    metrics = {"miou": class_mean(ious), "iou": ious[1:], "background_iou": ious[0], "boundary_f": outlines}
    write_figures(job.outputs["figures"], job.values["split"], semantic, metrics, job.provenance())


if __name__ == "__main__":
    STEP.run(main)
