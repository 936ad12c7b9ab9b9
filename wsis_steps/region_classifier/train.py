"""Learns to classify region proposals from the labels of the training images.

in   features   of classifier_extract
     labels     instances of the training images
     proposals  regions of all images of the data set
out  model      the features' backbone, and a linear layer on descriptors of regions

Multinomial logistic regression on frozen features, as in R-CNN (Girshick et al., CVPR 2014) with regions in place of
boxes (Hariharan et al., ECCV 2014). A few hundred images are enough for it, where a Mask R-CNN learns little
(docs/experiments/photographs.md).
"""

import json
import logging

import numpy as np
import torch

from wsis_steps.classifier.network import frozen_backbone
from wsis_steps.classifier.settings import ClassifierExtract
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.settings import known_settings
from wsis_steps.engine.step import Job, Step
from wsis_steps.region_classifier.descriptors import describe_regions
from wsis_steps.region_classifier.network import RegionClassifier
from wsis_steps.region_classifier.regression import Samples, fit
from wsis_steps.region_classifier.samples import choose_regions
from wsis_steps.region_classifier.settings import RegionClassifierTrain
from wsis_steps.vision.backbones import Backbone, state_digest
from wsis_steps.vision.contracts.agreement import check_same_classes, places
from wsis_steps.vision.contracts.features import Features
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.models import save_model
from wsis_steps.vision.samples import check_instances

log = logging.getLogger("wsis")

STEP = Step(
    "region_classifier_train",
    RegionClassifierTrain,
    inputs=("images", "features", "labels", "proposals"),
    outputs=("model",),
)


def collect(job: Job, images: Images, features: Features, labels: Instances, proposals: Proposals) -> Samples:
    """Descriptors, targets and weights of the regions of all labelled images."""
    rows, own, tagged = places(features, labels), places(proposals, labels), images.tags[places(images, labels)]
    quota, found, incomplete = max(job.settings.most // len(labels), 1), [], 0
    for i in job.progress(range(len(labels))):
        regions, given = proposals.read(int(own[i])), labels.read(i)
        complete = np.isin(np.flatnonzero(tagged[i]), given.categories).all()
        incomplete += not complete
        rng = np.random.default_rng((job.settings.seed, i))
        chosen = choose_regions(regions, given, job.settings, quota, rng, complete)
        seen = describe_regions(features.read(int(rows[i])), regions.at(chosen.rows))
        found.append((seen, chosen.targets, chosen.weights))
    if incomplete:
        log.info("no background from %d images, which have a tag without a label", incomplete)
    return Samples(*(torch.from_numpy(np.concatenate(part)) for part in zip(*found, strict=True)))


def backbone_of(features: Features) -> tuple[Backbone, ClassifierExtract]:
    """The backbone that made the features, and how it did; InputError if its weights are no longer the same."""
    made = json.loads(features.provenance.settings)
    known = made.pop("weights_digest", "")
    extraction = known_settings(ClassifierExtract, made, features.path)
    backbone = frozen_backbone(extraction)
    if known and known != state_digest(backbone):
        raise InputError(
            f"{features.path} was made with other weights than '{made['weights']}'; delete it and run again."
        )
    return backbone, extraction


def main(job: Job) -> None:
    torch.set_num_threads(job.threads)
    images, features = Images(job.inputs["images"]), Features(job.inputs["features"])
    labels, proposals = Instances(job.inputs["labels"]), Proposals(job.inputs["proposals"])
    check_same_classes(images, features, labels)
    check_instances(labels, job.verdict)
    if proposals.kind != "regions":
        raise InputError(f"{proposals.path} holds {proposals.kind}, but region_classifier_train needs regions.")
    samples = collect(job, images, features, labels, proposals)
    positive = int((samples.targets > 0).sum())
    log.info("%d regions on labels, %d of the background", positive, len(samples.targets) - positive)
    if not 0 < positive < len(samples.targets):
        raise InputError(
            f"{labels.path}: {'every' if positive else 'no'} region is on a label, so there is nothing to separate; "
            "check the labels and the proposals."
        )
    backbone, extraction = backbone_of(features)
    model = RegionClassifier(backbone, len(labels.class_names))
    weights, biases, loss = fit(samples, job.settings, 1 + len(labels.class_names))
    model.linear.weight.data, model.linear.bias.data = weights, biases
    log.info("mean cross entropy, with the penalty: %.4g", loss)
    made_by = proposals.provenance
    made = job.provenance(
        labels.class_names,
        {*labels.supervision, *proposals.supervision},
        [labels.provenance],
        extraction=extraction.model_dump(mode="json"),
        grouping=json.loads(made_by.settings) if made_by.step == "proposals_group_regions" else None,
    )
    save_model(job.outputs["model"], model, made, images.picture_range)


if __name__ == "__main__":
    STEP.run(main)
