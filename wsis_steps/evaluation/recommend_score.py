"""Recommends the score below which instances are left out, and keeps the settings of the predictions beside the model.

in   images       images.h5: the tags of the evaluation images
     predictions  of the model on the evaluation images
     figures      scores of these predictions, optional: if the evaluation images have ground truth
out  advice       JSON beside the model: the score with the best F1, what it is based on, and the settings

Without ground truth, pairs of an image and a class are counted instead of instances: a pair is right if the image has
an instance and the tag of the class. This tells nothing of the masks, but it uses images that nothing was trained on
and the scores of these predictions. docs/report.md compares it with other ways.
"""

import logging

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job, Step
from wsis_steps.evaluation.figures import read_figures
from wsis_steps.evaluation.recommendation import recommend, write_recommendation
from wsis_steps.evaluation.score_thresholds import against_tags, curves
from wsis_steps.evaluation.settings import EvaluationRecommendScore
from wsis_steps.vision.contracts.agreement import check_same_classes, places
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances

log = logging.getLogger("wsis")

STEP = Step(
    "evaluation_recommend_score",
    EvaluationRecommendScore,
    inputs=("images", "predictions"),
    optional=("figures",),
    outputs=("advice",),
)


def highest_scores(predictions: Instances) -> np.ndarray:
    """Highest score of the instances of each class on each image, float32 (images, classes); 0 where there are none."""
    highest = np.zeros((len(predictions), len(predictions.class_names)), np.float32)
    for row, found in zip(highest, predictions, strict=True):
        np.maximum.at(row, found.categories, found.scores)
    return highest


def best_by_tags(predictions: Instances, images: Images) -> dict[str, float] | None:
    """The best score and its figures, over the tagged ones of the images; None if nothing right is found."""
    check_same_classes(images, predictions)
    tags = images.tags[places(images, predictions)]
    tagged = tags.any(axis=1)
    counts = against_tags(tags[tagged], highest_scores(predictions)[tagged])
    return curves(counts, predictions.class_names)["pooled"]["best"]


def main(job: Job) -> None:
    predictions, figures = Instances(job.inputs["predictions"]), job.inputs["figures"]
    if figures:
        basis, best = "truth", read_figures(figures).get("thresholds", {}).get("pooled", {}).get("best")
    else:
        basis, best = "tags", best_by_tags(predictions, Images(job.inputs["images"]))
    if "model" not in predictions.provenance.inputs:
        raise InputError(f"{predictions.path} was not predicted by a model; delete it and run again.")
    found = recommend(predictions.provenance, basis, best)
    made = job.provenance(predictions.class_names, predictions.supervision, [predictions.provenance])
    write_recommendation(job.outputs["advice"], found, made)
    if best:
        log.info("recommended score %.2f: %s", found.score, found.sentence())
    else:
        log.warning("no score can be recommended: nothing right was found")


if __name__ == "__main__":
    STEP.run(main)
