"""Trains the prediction network of a round: Mask R-CNN on the sampled label sets, rewarded for its own diversity.

in   images      images.h5: the training images
     samples     label sets of the round
     previous    prediction network of the previous round, from which it continues; none in the first
     pretrained  classifier whose backbone is the initial one, with weights: classifier
out  model       state dict of the detector
     metrics     JSON lines: the loss terms during training

Annotation Consistent Instances (ECCV 2020), supplement, section 2.1: minimizes DIV(p, c) - (1 - gamma) DIV(p, p)
(equation 10) with Mask R-CNN's losses in DIV(p, c). Regression targets are the boxes of the sampled masks.
"""

import torch

from wsis_steps.annotation_consistency.prediction import SampledPictures, diversity_reward
from wsis_steps.annotation_consistency.settings import AnnotationConsistencyTrainPrediction
from wsis_steps.engine.step import Job, Step
from wsis_steps.maskrcnn.network import build_maskrcnn, load_state
from wsis_steps.maskrcnn.training import train_maskrcnn
from wsis_steps.vision.contracts.agreement import check_same_classes
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.label_sets import LabelSets
from wsis_steps.vision.device import choose_device
from wsis_steps.vision.models import load_model, save_model
from wsis_steps.vision.samples import check_instances

STEP = Step(
    "annotation_consistency_train_prediction",
    AnnotationConsistencyTrainPrediction,
    inputs=("images", "samples"),
    optional=("previous", "pretrained"),
    outputs=("model", "metrics"),
)


def main(job: Job) -> None:
    settings: AnnotationConsistencyTrainPrediction = job.settings
    device = choose_device(job.threads)
    torch.manual_seed(settings.seed)
    images, samples = Images(job.inputs["images"]), LabelSets(job.inputs["samples"])
    check_same_classes(images, samples)
    check_instances(samples)
    dataset = SampledPictures(images, samples, settings)
    previous = job.inputs["previous"]
    weights = str(job.inputs["pretrained"] or settings.weights)
    model = build_maskrcnn(settings, len(samples.class_names), weights)
    if previous is not None:
        before = load_model(previous, STEP.name)
        check_same_classes(images, before)
        load_state(model, before)
    if settings.self_diversity:
        model.roi_heads.further_losses = diversity_reward(settings.gamma)
    model.to(device)
    train_maskrcnn(job, model, dataset, device)
    made = job.provenance(samples.class_names, samples.supervision)
    save_model(job.outputs["model"], model, made, images.picture_range)


if __name__ == "__main__":
    STEP.run(main)
