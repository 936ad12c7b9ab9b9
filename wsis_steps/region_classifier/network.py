"""The region classifier: a frozen backbone, and a linear layer on descriptors of region proposals."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from wsis_steps.classifier.network import frozen_backbone
from wsis_steps.classifier.settings import ClassifierExtract
from wsis_steps.classifier.views import features_of, view_whole
from wsis_steps.engine.errors import InputError
from wsis_steps.region_classifier.descriptors import describe_regions, length
from wsis_steps.region_classifier.settings import RegionClassifierInfer
from wsis_steps.vision.backbones import Backbone
from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.finite import check_outputs
from wsis_steps.vision.masks import describe
from wsis_steps.vision.models import TrainedModel, fill, load_model, settings_of
from wsis_steps.vision.regions import RegionProposals, apart

STEP = "region_classifier_train"
CONSIDERED = 200  # most probable regions per class; more than this do not fit side by side


class RegionClassifier(nn.Module):
    """Logits of regions, background first.

    Args:
        backbone: whose last level makes the features.
        class_count: without background.
    """

    def __init__(self, backbone: Backbone, class_count: int):
        super().__init__()
        self.backbone = backbone
        self.linear = nn.Linear(length(backbone.channels[-1]), 1 + class_count)

    def forward(self, descriptors: Tensor) -> Tensor:
        """Float (n, length) to (n, 1 + classes)."""
        return self.linear(descriptors)


@dataclass(frozen=True)
class RegionDetector:
    """A trained region classifier; `views` are the sizes at which its backbone sees an image."""

    model: RegionClassifier
    views: tuple
    settings: RegionClassifierInfer

    def __call__(self, picture: np.ndarray, regions: RegionProposals) -> ImageInstances:
        """Instances of an RGB picture uint8 (h, w, 3), sorted by score, best first."""
        maps = [features_of(self.model.backbone, view(picture)[None]) for view in self.views]
        if not all(np.isfinite(one).all() for one in maps):
            raise InputError(
                f"features of an image are not finite in float16 with backbone {self.model.backbone.name}: choose "
                "another classifier_train.backbone or weights."
            )
        descriptors = torch.from_numpy(describe_regions(maps, regions))
        device = self.model.linear.weight.device
        with torch.inference_mode():
            logits = self.model(descriptors.to(device))
            check_outputs(logits)
            probabilities = logits.softmax(dim=1)[:, 1:].cpu().numpy()
        return best_regions(probabilities, regions, self.settings)


def best_regions(
    probabilities: np.ndarray, regions: RegionProposals, settings: RegionClassifierInfer
) -> ImageInstances:
    """For each class, its most probable regions that overlap each other little, as instances, best first.

    probabilities: float (regions, classes).
    """
    rows, categories = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for category, own in enumerate(probabilities.T):
        best = np.argsort(-own, kind="stable")[:CONSIDERED]
        best = best[own[best] >= settings.min_score]
        rows.append(best[apart(regions.at(best).shared(), settings.max_overlap, settings.max_instances)])
        categories.append(np.full(len(rows[-1]), category))
    rows, categories = np.concatenate(rows), np.concatenate(categories)
    scores = probabilities[rows, categories]
    kept = np.argsort(-scores, kind="stable")[: settings.detections]
    return describe(regions.codes(rows[kept]), categories[kept], scores=scores[kept])


def load_detector(
    path: Path, inference: RegionClassifierInfer, device: torch.device
) -> tuple[TrainedModel, RegionDetector]:
    """A trained region classifier, ready for use; InputError if the file holds none."""
    trained = load_model(path, STEP)
    extraction = settings_of(trained, ClassifierExtract, trained.settings.get("extraction") or {})
    backbone = frozen_backbone(extraction.model_copy(update={"weights": "none"}))
    model = RegionClassifier(backbone, len(trained.class_names))
    fill(model, trained)
    views = tuple(view_whole(side, backbone.strides[-1]) for side in extraction.long_sides)
    return trained, RegionDetector(model.to(device).eval(), views, inference)
