"""Trains the conditional network of a round by direct loss minimization, with a fixed prediction network.

in   images       images.h5: the training images with their tags or boxes
     proposals    regions of all images
     edges        edge maps, for the boundary-aware pairwise term
     conditional  conditional network of the previous round
     prediction   prediction network of the previous round
out  model        state dict of the conditional network
     metrics      JSON lines: the surrogate and the diversities during training

Annotation Consistent Instances (ECCV 2020), supplement, section 2.2: minimizes DIV(p, c) - gamma DIV(c, c), equations
11 to 15 and algorithm 1, as in `losses.direct_loss`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from wsis_steps.annotation_consistency.inference import forbid, infer
from wsis_steps.annotation_consistency.losses import direct_loss
from wsis_steps.annotation_consistency.network import (
    CONDITIONAL_STEPS,
    ConditionalNetwork,
    load_conditional,
    network_settings,
)
from wsis_steps.annotation_consistency.prediction import losses_of_proposals
from wsis_steps.annotation_consistency.region_graph import with_matrices
from wsis_steps.annotation_consistency.samples import GraphReader, TrainingSamples, features_of, read_edges
from wsis_steps.annotation_consistency.scores import final_scores
from wsis_steps.annotation_consistency.settings import AnnotationConsistencyTrainConditional
from wsis_steps.engine.step import Job, Step
from wsis_steps.maskrcnn.network import load_maskrcnn
from wsis_steps.vision.contracts.agreement import check_same_classes
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.device import choose_device
from wsis_steps.vision.loop import train
from wsis_steps.vision.models import load_model, save_model
from wsis_steps.vision.schedule import build_optimizer

STEP = Step(
    "annotation_consistency_train_conditional",
    AnnotationConsistencyTrainConditional,
    inputs=("images", "proposals", "conditional", "prediction"),
    optional=("edges",),
    outputs=("model", "metrics"),
)


def build_loss(prediction: GeneralizedRCNN, settings: AnnotationConsistencyTrainConditional) -> Callable:
    """The loss of an iteration as a function of (model, batch, iteration), averaged over the pictures."""
    gamma = settings.gamma if settings.self_diversity else 0.0

    def of_picture(model: ConditionalNetwork, features: Tensor, sample: dict[str, Any]) -> dict[str, Tensor]:
        picture, claims = sample["picture"], sample["claims"]
        graph = with_matrices(sample["graph"], features[0].numel())
        noise = model.draw_noise(settings.samples, *picture.shape[1:])
        scores = final_scores(model.score(features, noise, graph, claims["labels"]), graph, settings)
        losses = losses_of_proposals(prediction, picture, graph, claims["labels"], settings)
        best = partial(infer, claimed=claims["claimed"], candidates=claims["candidates"])
        return direct_loss(forbid(scores, claims["allowed"]), losses.float(), best, gamma, settings.epsilon)

    def loss(model: ConditionalNetwork, batch: list[dict[str, Any]], iteration: int) -> dict[str, Tensor]:
        features = features_of(model, batch)
        with torch.autocast(features[0].device.type, enabled=False):  # 8 bits would hide how samples differ
            found = [of_picture(model, *pair) for pair in zip(features, batch, strict=True)]
        return {name: torch.stack([terms[name] for terms in found]).mean() for name in found[0]}

    return loss


def main(job: Job) -> None:
    settings: AnnotationConsistencyTrainConditional = job.settings
    device = choose_device(job.threads)
    torch.manual_seed(settings.seed)
    images, proposals = Images(job.inputs["images"]), Proposals(job.inputs["proposals"])
    edges = read_edges(job.inputs["edges"], settings)
    before = load_model(job.inputs["conditional"], *CONDITIONAL_STEPS)
    fixed = load_model(job.inputs["prediction"], "annotation_consistency_train_prediction")
    check_same_classes(images, before, fixed)
    model = load_conditional(before).to(device)
    prediction = load_maskrcnn(fixed).to(device).eval().requires_grad_(False)
    dataset = TrainingSamples(GraphReader(images, proposals, edges), settings, model.stride, settings)
    groups = model.parameter_groups(model.trunk, settings.learning_rate, settings.head_lr_factor)
    optimizer = build_optimizer(settings, groups)
    train(job, model, optimizer, dataset, build_loss(prediction, settings), settings.iterations, device, list)
    seen = {settings.supervision, *before.supervision, *fixed.supervision, *proposals.supervision}
    seen |= set(edges.supervision if edges else ())
    handed_on = network_settings(before).model_dump(mode="json")
    provenance = job.provenance(before.class_names, seen, network_settings=handed_on)
    save_model(job.outputs["model"], model, provenance)


if __name__ == "__main__":
    STEP.run(main)
