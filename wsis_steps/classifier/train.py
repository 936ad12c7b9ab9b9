"""Trains the tag classifier whose activation maps locate objects.

in   images    images.h5: the training images and their tags
     features  of classifier_extract; only with `frozen`
out  model     state dict of the classifier
     metrics   JSON lines: mean loss during training

BESTIE (CVPR 2022), supplement section 3: VGG-16, three convolutions with peak attention, multi-label soft margin
loss. With `frozen`, the backbone is not trained, and the means of its features are classified linearly. By hand:
python -m wsis_steps.classifier.train --images images.h5 --model model.pt --metrics metrics.jsonl
"""

import logging
import sys

import numpy as np
import torch
from torch.nn import functional

from wsis_steps.classifier.linear import check_features, fit
from wsis_steps.classifier.network import Classifier, build_classifier, frozen_backbone
from wsis_steps.classifier.settings import ClassifierTrain
from wsis_steps.engine.documents import write_lines
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job, Step
from wsis_steps.vision.batches import to_tensor
from wsis_steps.vision.contracts.features import Features
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.device import choose_device, stay_on_cpu
from wsis_steps.vision.images import jitter, random_crop
from wsis_steps.vision.loop import train
from wsis_steps.vision.models import save_model
from wsis_steps.vision.samples import Samples, check_tags
from wsis_steps.vision.schedule import build_optimizer, ramp

log = logging.getLogger("wsis")

STEP = Step(
    "classifier_train", ClassifierTrain, inputs=("images",), optional=("features",), outputs=("model", "metrics")
)


class TaggedPictures(Samples):
    """Augmented training pictures uint8 (3, crop, crop) with their tags float32 (classes,)."""

    settings: ClassifierTrain

    def __init__(self, images: Images, settings: ClassifierTrain) -> None:
        super().__init__(images, images.members("train"), settings)

    def draw(self, index: int, picture: np.ndarray, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        settings, (height, width) = self.settings, picture.shape[:2]
        scale = (settings.resize / height, settings.resize / width)
        geometry = random_crop(rng, height, width, settings.crop, scale, settings.rot90)
        picture = jitter(rng, geometry.picture(picture), settings.color_jitter)
        return to_tensor(picture), torch.from_numpy(self.images.tags[self.members[index]].astype(np.float32))


def build_loss(settings: ClassifierTrain, iterations: int):
    """The loss of an iteration as a function of (model, batch, iteration), which first sets that iteration's alpha;
    iterations count from 1. Multi-label soft margin: the mean over classes of the binary cross entropy.
    """

    def loss(model: Classifier, batch: list[torch.Tensor], iteration: int) -> dict[str, torch.Tensor]:
        model.set_alpha(settings.alpha * ramp(settings.alpha_ramp, iteration, iterations))
        pictures, tags = batch
        logits, _ = model(model.backbone.normalize(pictures))
        return {"total": functional.multilabel_soft_margin_loss(logits.float(), tags)}

    return loss


def learn(job: Job, images: Images) -> Classifier:
    """A classifier trained as a whole on augmented pictures."""
    settings: ClassifierTrain = job.settings
    device = choose_device(job.threads, fixed_sizes=True)
    torch.manual_seed(settings.seed)
    dataset = TaggedPictures(images, settings)
    model = build_classifier(settings, len(images.class_names), settings.weights).to(device)
    groups = model.parameter_groups(settings.learning_rate, settings.head_lr_factor)
    optimizer = build_optimizer(settings, groups, nesterov=True)
    iterations = max(settings.epochs * len(dataset) // settings.batch_size, 1)
    train(job, model, optimizer, dataset, build_loss(settings, iterations), iterations, device)
    return model


def learn_head(job: Job, images: Images) -> Classifier:
    """A classifier with a pretrained, frozen backbone and a linear head on its cached features."""
    settings: ClassifierTrain = job.settings
    stay_on_cpu(job.threads, "float64")
    if idle := settings.without_effect():
        log.info("the classifier is frozen, so these settings have no effect: %s", ", ".join(idle))
    features = Features(job.inputs["features"])
    model = Classifier(frozen_backbone(settings), len(images.class_names), settings)
    check_features(features, images, settings, model.backbone)

    def stop_if_asked() -> None:
        if job.terminated:  # by a signal; there is no checkpoint to save
            sys.exit(143)

    means, tags = [], []
    for i, member in enumerate(job.progress(images.members("train"))):
        stop_if_asked()
        for cached in features.read(i):
            means.append(cached.mean(axis=(1, 2), dtype=np.float64))
            tags.append(images.tags[member])
    samples = torch.from_numpy(np.stack(means)), torch.from_numpy(np.stack(tags))
    weights, biases, lines = fit(*samples, settings.l2_penalty, stop_if_asked)
    model.head.load_state_dict({"0.weight": weights[..., None, None], "0.bias": biases})
    write_lines(job.outputs["metrics"], lines)
    return model


def main(job: Job) -> None:
    frozen, features = job.settings.frozen, job.inputs["features"]
    if frozen and features is None:
        raise InputError("A frozen classifier learns from the features of classifier_extract: give --features.")
    if features is not None and not frozen:
        raise InputError(f"{features} is for a classifier with frozen: true; leave --features out.")
    images = Images(job.inputs["images"])
    check_tags(images, images.members("train"))
    model = (learn_head if frozen else learn)(job, images)
    save_model(job.outputs["model"], model, job.provenance(images.class_names, ["tags"]))


if __name__ == "__main__":
    STEP.run(main)
