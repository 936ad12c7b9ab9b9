"""The network of Deep Community Learning: shared features, detector, mask generation and segmentation.

Deep Community Learning (WACV 2021), section 3.2, figure 2. Proposals are processed in chunks of bounded memory.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from wsis_steps.community_learning.detector import Detections, Detector
from wsis_steps.community_learning.features import Features, in_chunks
from wsis_steps.community_learning.mask_generation import ActivationBranch, Segmentation, upsample
from wsis_steps.community_learning.settings import CommunityLearningTrain
from wsis_steps.vision.backbones import parameter_groups
from wsis_steps.vision.models import TrainedModel, fill, settings_of

LAST = 3  # index of res5 among the four levels
LEVELS = range(LAST + 1)


class Masks(NamedTuple):
    """Outputs for n regions with a category each.

    logits: (n, branches, 1 + C), or (n, branches, C) without a background class; activation: (n, T, T), the mean of
    the branches' maps M, 0 to 1; segmentation: logits (n, T, T) of S, or (n, 0, 0) without segmentation.
    """

    logits: Tensor
    activation: Tensor
    segmentation: Tensor


class CommunityNetwork(nn.Module):
    """Features of the picture first (`forward`), then `detect` and `segment` on regions of it.

    Every layer is built, with the same initial weights, whatever an ablation leaves out; settings only select those in
    use.

    Regions are float (n, 5): index of the image in the batch, x1, y1, x2, y2 in pixels of the pictures.
    """

    def __init__(self, settings: CommunityLearningTrain, class_count: int, weights: str = "none") -> None:
        super().__init__()
        self.settings = settings
        self.features = Features(
            settings.backbone, weights, settings.normalization, settings.norm, settings.roi
        )  # fmt: skip
        channels = self.features.channels
        self.detector = Detector(
            channels[LAST],
            class_count,
            settings.refinement_heads,
            settings.regression,
            settings.regressor_width,
            cells=1 if settings.regressor_pooling == "mean" else settings.roi_size**2,
        )
        sigma = settings.pooling_sigma if settings.weighted_pooling else 0
        kind = settings.activation_width, settings.background_map, settings.feature_smoothing, sigma
        self.branches = nn.ModuleList([ActivationBranch(channels[level], class_count, *kind) for level in LEVELS])
        self.segmentation = Segmentation(
            channels[LAST], class_count, settings.segmentation_width, settings.segmentation_layers
        )

    @property
    def backbone(self) -> nn.Module:
        """The feature extractor, which normalizes pictures."""
        return self.features.backbone

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """The maps of res2, res3 and res4 of normalized pictures (B, 3, H, W)."""
        return self.features(pictures)

    def detect(self, maps: list[Tensor], regions: Tensor, chunk: int) -> Detections:
        """Outputs of the detector for regions (R, 5), `chunk` of them at a time."""

        def detect(part: Tensor) -> Detections:
            cropped = self.features.crop(maps, LAST - 1, part, self.settings.roi_size)
            return self.detector(self.features.last_level(cropped))

        return Detections(*in_chunks(detect, chunk, regions))

    def segment(self, maps: list[Tensor], regions: Tensor, categories: Tensor, chunk: int) -> Masks:
        """Masks of regions (n, 5) for their categories int64 (n,), 0 = background.

        chunk: as in `detect`; since masks have more cells, fewer regions are processed at once, to use as much memory.
        """
        settings = self.settings
        chunk = max(chunk * settings.roi_size**2 // settings.mask_size**2, 1)

        def segment(part: Tensor, chosen: Tensor) -> Masks:
            cropped = self.features.crop(maps, LAST - 1, part, settings.roi_size)
            last = upsample(self.features.last_level(cropped), settings.mask_size)
            found = []
            for level in LEVELS[-settings.activation_maps :]:
                features = last if level == LAST else self.features.crop(maps, level, part, settings.mask_size)
                found.append(self.branches[level](features, chosen))
            logits = torch.stack([each for each, _ in found], dim=1)
            activation = torch.stack([each for _, each in found]).mean(dim=0)
            segmented = self.segmentation(last, chosen) if settings.segmentation else activation[:, :0, :0]
            return Masks(logits, activation, segmented)

        return Masks(*in_chunks(segment, chunk, regions, categories))

    def parameter_groups(self, learning_rate: float, head_lr_factor: float, bias_lr_factor: float) -> list[dict]:
        """Parameter groups for an optimizer: weights and biases of the backbone and of the new layers (paper: a single
        rate; OICR's released code: factors 1, 2, 10 and 20)."""
        return parameter_groups(self, self.features, learning_rate, head_lr_factor, bias_lr_factor, by_rate=True)


def load_community_network(trained: TrainedModel) -> CommunityNetwork:
    """Loads the network from a file of `community_learning_train`."""
    model = CommunityNetwork(settings_of(trained, CommunityLearningTrain), len(trained.class_names))
    fill(model, trained)
    return model


def to_regions(boxes: list[Tensor]) -> Tensor:
    """Regions (R, 5) of the boxes (R_b, 4) of each image of a batch."""
    owners = torch.repeat_interleave(
        torch.arange(len(boxes)), torch.tensor([len(part) for part in boxes])
    ).to(boxes[0].device)  # fmt: skip
    return torch.cat([owners[:, None].to(boxes[0].dtype), torch.cat(boxes)], dim=1)
