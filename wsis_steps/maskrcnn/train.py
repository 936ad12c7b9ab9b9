"""Trains Mask R-CNN on the labels of any run.

in   images      images.h5: the training images
     labels      instances of the training images: pseudo labels, or ground truth for the run `supervised`
     pretrained  classifier whose backbone is the initial one, with weights: classifier
out  model       state dict of the detector
     metrics     JSON lines: the loss terms during training

Schedule and sizes: the IRN author's recipe for pseudo labels. Labels are weighted by score and weight; ignored regions
and crowds are neither object nor background.
"""

import torch

from wsis_steps.engine.step import Job, Step
from wsis_steps.maskrcnn.network import build_maskrcnn
from wsis_steps.maskrcnn.samples import LabelledPictures
from wsis_steps.maskrcnn.settings import MaskrcnnTrain
from wsis_steps.maskrcnn.training import train_maskrcnn
from wsis_steps.vision.contracts.agreement import check_same_classes
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.device import choose_device
from wsis_steps.vision.models import save_model
from wsis_steps.vision.samples import check_instances

STEP = Step(
    "maskrcnn_train",
    MaskrcnnTrain,
    inputs=("images", "labels"),
    optional=("pretrained",),
    outputs=("model", "metrics"),
)


def main(job: Job) -> None:
    settings: MaskrcnnTrain = job.settings
    device = choose_device(job.threads)
    torch.manual_seed(settings.seed)
    images, labels = Images(job.inputs["images"]), Instances(job.inputs["labels"])
    check_same_classes(images, labels)
    check_instances(labels, job.verdict)
    dataset = LabelledPictures(images, labels, settings)
    weights = str(job.inputs["pretrained"] or settings.weights)
    model = build_maskrcnn(settings, len(labels.class_names), weights).to(device)
    train_maskrcnn(job, model, dataset, device)
    made = job.provenance(labels.class_names, labels.supervision)
    save_model(job.outputs["model"], model, made, images.picture_range)


if __name__ == "__main__":
    STEP.run(main)
