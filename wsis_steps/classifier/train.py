"""Trains the tag classifier whose activation maps locate objects.

in   images   images.h5: the training images and their tags
out  model    state dict of the classifier
     metrics  JSON lines: mean loss and learning rate along the training

BESTIE (CVPR 2022), supplement section 3: VGG-16, three convolutions with peak attention, multi-label soft margin
loss. By hand: python -m wsis_steps.classifier.train --images images.h5 --model model.pt --metrics metrics.jsonl
"""

import numpy as np
import torch
from torch.nn import functional

from wsis_steps.classifier.network import Classifier, build_classifier
from wsis_steps.classifier.settings import ClassifierTrain
from wsis_steps.engine.step import Job, Step
from wsis_steps.vision.batches import to_tensor
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.device import choose_device
from wsis_steps.vision.images import jitter, random_crop
from wsis_steps.vision.loop import train
from wsis_steps.vision.models import save_model
from wsis_steps.vision.samples import Samples, check_tags
from wsis_steps.vision.schedule import build_optimizer, ramp

STEP = Step("classifier_train", ClassifierTrain, inputs=("images",), outputs=("model", "metrics"))


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
    """The loss of an iteration as a function of (model, batch, iteration), which first sets the alpha of that
    iteration, counted from 1. Multi-label soft margin: the mean over classes of the binary cross entropy.
    """

    def loss(model: Classifier, batch: list[torch.Tensor], iteration: int) -> dict[str, torch.Tensor]:
        model.set_alpha(settings.alpha * ramp(settings.alpha_ramp, iteration, iterations))
        pictures, tags = batch
        logits, _ = model(model.backbone.normalize(pictures))
        return {"total": functional.multilabel_soft_margin_loss(logits.float(), tags)}

    return loss


def main(job: Job) -> None:
    settings: ClassifierTrain = job.settings
    device = choose_device(job.threads, fixed_sizes=True)
    torch.manual_seed(settings.seed)
    images = Images(job.inputs["images"])
    dataset = TaggedPictures(images, settings)
    check_tags(images, dataset.members)
    model = build_classifier(settings, len(images.class_names), settings.weights).to(device)
    groups = model.parameter_groups(settings.learning_rate, settings.head_lr_factor)
    optimizer = build_optimizer(settings, groups, nesterov=True)
    iterations = max(settings.epochs * len(dataset) // settings.batch_size, 1)
    train(job, model, optimizer, dataset, build_loss(settings, iterations), iterations, device)
    save_model(job.outputs["model"], model, job.provenance(images.class_names, ["tags"]))


if __name__ == "__main__":
    STEP.run(main)
