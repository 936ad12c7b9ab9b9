"""Scores predicted instances of the evaluation images against ground-truth masks.

in   truth        true instances
     predictions  predicted instances with scores
out  figures      JSON: mean over classes and value per class of every metric; precision, recall and F1 by score, and
                  the kinds of errors at the score with the best F1

Mask AP at 0.25, 0.5, 0.7, 0.75 as defined by chainercv, average best overlap, COCO AP, box AP50.
"""

from wsis_steps.engine.step import Job, Step
from wsis_steps.evaluation.average_precision import box_ap50, mask_ap
from wsis_steps.evaluation.best_overlap import average_best_overlap
from wsis_steps.evaluation.coco_scores import coco_ap
from wsis_steps.evaluation.error_kinds import assign, error_kinds
from wsis_steps.evaluation.figures import check_same_images, write_figures
from wsis_steps.evaluation.overlaps import overlap_table
from wsis_steps.evaluation.score_thresholds import curves
from wsis_steps.evaluation.settings import EvaluationScoreInstances
from wsis_steps.evaluation.truth_counts import against_truth
from wsis_steps.vision.contracts.instances import Instances

STEP = Step(
    "evaluation_score_instances",
    EvaluationScoreInstances,
    inputs=("truth", "predictions"),
    outputs=("figures",),
)


def main(job: Job) -> None:
    settings: EvaluationScoreInstances = job.settings
    truth, predictions = Instances(job.inputs["truth"]), Instances(job.inputs["predictions"])
    check_same_images(truth, predictions)
    count = len(truth.class_names)
    table = overlap_table(predictions, truth, count, settings.void)
    metrics = {
        **mask_ap(table, settings.matching),
        "abo": average_best_overlap(table),
        "abo_any_class": average_best_overlap(table, class_aware=False),
        **coco_ap(table),
        "box_ap50": box_ap50(table),
    }
    counts = {
        "images": len(truth),
        "truths": len(table.truth_images),
        "predictions": len(table.prediction_images),
    }
    thresholds = curves(against_truth(table, settings.matching), truth.class_names)
    if best := thresholds["pooled"]["best"]:
        thresholds["errors"] = error_kinds(table, assign(table, best["score"], settings.matching), truth.class_names)
    path = job.outputs["figures"]
    write_figures(path, "val", predictions, metrics, job.provenance(), counts, thresholds=thresholds)


if __name__ == "__main__":
    STEP.run(main)
