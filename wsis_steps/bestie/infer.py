"""Segments instances with a trained network: labels for the next stage, and predictions.

in   images       images.h5
     model        of bestie_train
     before       labels of the previous round, to count how many are found again; optional
out  labels       instances of the training images; classes limited to the tags, or guided by the points
     predictions  instances of the evaluation images, from the image alone

BESTIE (CVPR 2022), inference; released code. Offsets are scaled with the maps when those are resized to the image. Not
in the paper, and off by default: the background probability can be weighted down in training images, whose tags must
appear somewhere, and a dense CRF can refine the class probabilities of both splits before they are grouped.
"""

import math
from collections import Counter, deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from wsis_steps.bestie.network import InstanceNetwork, load_network
from wsis_steps.bestie.refinement import instances_from_outputs, instances_from_points
from wsis_steps.bestie.settings import BestieInfer
from wsis_steps.engine.step import Job, Step
from wsis_steps.vision.batches import read_ahead, to_tensor
from wsis_steps.vision.contracts.agreement import check_same_classes
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import ImageInstances, Instances, write_instances
from wsis_steps.vision.contracts.joining import join_shards
from wsis_steps.vision.counts import compare_rounds, count_instances, expect_labels
from wsis_steps.vision.device import autocast, choose_device
from wsis_steps.vision.finite import check_outputs
from wsis_steps.vision.images import Pictures, fit
from wsis_steps.vision.masks import describe, encode, split
from wsis_steps.vision.models import load_model
from wsis_steps.vision.probabilities import limit_to_tags, refine_ahead

STEP = Step(
    "bestie_infer",
    BestieInfer,
    inputs=("images", "model"),
    optional=("before",),
    outputs=("labels", "predictions"),
    join=join_shards,
)
BATCH = 8  # images at once; changes only speed


def prepare(long_side: int, multiple: int):
    """A function from an RGB picture to a uint8 tensor, at its own size or `long_side`, rounded to multiples."""

    def resize(picture: np.ndarray) -> torch.Tensor:
        height, width = picture.shape[:2]
        factor = long_side / max(height, width) if long_side else 1
        sides = [math.ceil(round(side * factor, 6) / multiple) * multiple for side in (height, width)]
        return to_tensor(fit(height, width, *sides).picture(picture))

    return resize


def predict(
    model: InstanceNetwork, pictures: torch.Tensor, flip: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Class probabilities (b, 1 + C, h, w), centers and offsets of uint8 pictures; flip averages the first two."""
    normalized = model.backbone.normalize(pictures)
    outputs = {name: value.float() for name, value in model(normalized).items()}
    probability, centers = outputs["semantic"].softmax(dim=1), outputs["centers"]
    if flip:
        mirrored = {name: value.float().flip(-1) for name, value in model(normalized.flip(-1)).items()}
        probability = (probability + mirrored["semantic"].softmax(dim=1)) / 2
        centers = (centers + mirrored["centers"]) / 2
    return probability, centers, outputs["offsets"]


def resize_outputs(outputs: tuple[torch.Tensor, ...], height: int, width: int) -> tuple[torch.Tensor, ...]:
    """Probability, centers and offsets of one image (without batch axis) at the image's own size."""
    probability, centers, offsets = outputs
    if offsets.shape[-2:] != (height, width):
        probability, centers, offsets = (
            functional.interpolate(part[None], (height, width), mode="bilinear")[0] for part in outputs
        )
        scale = torch.tensor([height, width], device=offsets.device) / torch.tensor(
            outputs[2].shape[-2:], device=offsets.device
        )
        offsets = offsets * scale[:, None, None]
    return probability, centers, offsets


class Outputs(NamedTuple):
    """The network's outputs for one image, at its size: probability (1 + C, h, w), centers, offsets (2, h, w)."""

    image: int
    probability: torch.Tensor
    centers: torch.Tensor
    offsets: torch.Tensor


def compute_outputs(
    job: Job, pictures: Pictures, model: InstanceNetwork, split_name: str, device: torch.device
) -> Iterator[Outputs]:
    """The outputs for every image of a split, in order; classes of training images limited to their tags."""
    settings, images = job.settings, pictures.images
    resized = prepare(settings.long_side, settings.size_multiple)
    for indices, batch in read_ahead(pictures, job.share(images.members(split_name)), resized, job.threads, BATCH):
        with torch.inference_mode(), autocast(device):
            outputs = predict(model, batch.to(device), settings.flip)
            check_outputs(*outputs)
        for k, i in enumerate(indices):
            size = int(images.heights[i]), int(images.widths[i])
            probability, centers, offsets = resize_outputs(tuple(part[k] for part in outputs), *size)
            if split_name == "train":
                tags = torch.from_numpy(images.tags[i]).to(device)
                probability = limit_to_tags(probability, tags, settings.background_weight)
            yield Outputs(i, probability, centers, offsets)


def segment(
    job: Job, images: Images, model: InstanceNetwork, split_name: str, device: torch.device
) -> Iterator[ImageInstances]:
    """Instances of every image of a split, in order."""
    settings: BestieInfer = job.settings
    by_points = split_name == "train" and settings.supervision == "points"
    members = job.share(images.members(split_name))
    pictures = Pictures(images)
    waiting: deque[tuple[int, torch.Tensor, torch.Tensor]] = deque()  # images in the CRF, which runs ahead

    def probabilities() -> Iterator[tuple[int, torch.Tensor]]:
        for outputs in compute_outputs(job, pictures, model, split_name, device):
            waiting.append((outputs.image, outputs.centers, outputs.offsets))
            yield outputs.image, outputs.probability

    refined = refine_ahead(pictures, probabilities(), settings, max(job.threads - 1, 1))
    for probability in job.progress(refined, total=len(members)):
        i, centers, offsets = waiting.popleft()
        if by_points:
            points = torch.from_numpy(np.rint(images.points[i][:, [2, 0, 1]]).astype(np.int64)).to(device)
            instances = instances_from_points(probability=probability, offsets=offsets, points=points)
        else:
            instances = instances_from_outputs(
                probability=probability, centers=centers, offsets=offsets, settings=settings
            )
        rles = encode(split(instances.instance_map, len(instances.categories)))
        yield describe(rles, instances.categories, scores=instances.scores)


def main(job: Job) -> None:
    device = choose_device(job.threads)
    images = Images(job.inputs["images"])
    trained = load_model(job.inputs["model"], "bestie_train")
    check_same_classes(images, trained)
    model = load_network(trained).to(device).eval()
    for split_name, output in (("train", "labels"), ("val", "predictions")):
        members = job.share(images.members(split_name))
        ids, counts = [images.ids[i] for i in members], Counter()
        found = segment(job, images, model, split_name, device)
        supervision = job.settings.supervision if output == "labels" else "tags"
        found = count_instances(found, expect_labels(images, members, supervision), output, counts)
        if output == "labels" and job.inputs["before"]:
            found = compare_rounds(found, ids, Instances(job.inputs["before"]), counts)
        provenance = job.provenance(trained.class_names, trained.supervision, [trained.provenance])
        heights, widths = images.heights[members], images.widths[members]
        write_instances(job.outputs[output], provenance, ids, heights, widths, found, counts)


if __name__ == "__main__":
    STEP.run(main)
