"""Scores pseudo labels of the training images against ground-truth masks, which training never sees.

in   truth    true instances of the training images
     labels   pseudo labels of a round
out  figures  JSON: recall, precision, mask AP, best overlap, CorLoc
"""

from wsis_steps.engine.step import Job, Step
from wsis_steps.evaluation.average_precision import corloc
from wsis_steps.evaluation.figures import check_same_images, write_figures
from wsis_steps.evaluation.label_scores import label_scores
from wsis_steps.evaluation.overlaps import overlap_table
from wsis_steps.evaluation.settings import EvaluationScoreLabels
from wsis_steps.vision.contracts.instances import Instances

STEP = Step("evaluation_score_labels", EvaluationScoreLabels, inputs=("truth", "labels"), outputs=("figures",))


def main(job: Job) -> None:
    truth, labels = Instances(job.inputs["truth"]), Instances(job.inputs["labels"])
    check_same_images(truth, labels)
    table = overlap_table(labels, truth, len(truth.class_names), job.settings.void)
    scores = label_scores(table, job.settings.matching)
    counts = {name: scores.pop(name) for name in ("instances", "truths")}
    metrics = {**scores, "corloc": corloc(table)}
    write_figures(job.outputs["figures"], "train", labels, metrics, job.provenance(), counts)


if __name__ == "__main__":
    STEP.run(main)
