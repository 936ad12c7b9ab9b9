"""Masks of proposals: class activation maps of several levels, and the segmentation that learns from them.

Deep Community Learning (WACV 2021), sections 3.2.2 and 3.2.3 and appendix A.3.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsis_steps.community_learning.detector import linear


class ActivationBranch(nn.Module):
    """A class activation map of one level: smoothing, a convolution, weighted pooling and a linear classifier.

    The classifier always has a weight for the background, so all ablations start from the same weights.

    Args:
        channels: of the level.
        class_count: classes without background.
        width: channels of the convolution.
        background: whether background is a class with its own logit.
        smoothing: whether features enter as log(1 + f) (section 3.2.2).
        sigma: standard deviation of the pooling's Gaussian, as a fraction of the proposal's side; 0 pools evenly.
    """

    def __init__(
        self, channels: int, class_count: int, width: int, background: bool, smoothing: bool, sigma: float
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, width, 3, padding=1)
        nn.init.kaiming_normal_(self.convolution.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.convolution.bias)
        self.classifier = linear(width, 1 + class_count)
        self.background, self.smoothing, self.sigma = background, smoothing, sigma

    def forward(self, features: Tensor, categories: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, 1 + C), or (n, C) without background, and normalized maps (n, T, T) of given categories.

        features: (n, channels, T, T); categories: int64 (n,), 0 = background. Without a background class the map of a
        background region is 0.
        """
        features = features.relu()  # some levels end in a linear layer, and the logarithm needs f >= 0
        features = self.convolution(features.log1p() if self.smoothing else features).relu()
        logits = self.classifier(weighted_mean(features, self.sigma))
        maps = activation_map(features, self.classifier.weight[categories])
        if self.background:
            return logits, maps
        return logits[:, 1:], maps * (categories > 0)[:, None, None]


def weighted_mean(features: Tensor, sigma: float) -> Tensor:
    """(n, channels): the mean of (n, channels, T, T) with weights that sum to 1 and fall off from the center.

    sigma: of the isotropic Gaussian, as a fraction of T (section 3.2.2; the width is not stated); 0 weights all
    equally.
    """
    if not sigma:
        return features.mean(dim=(2, 3))
    side = features.shape[-1]
    places = (torch.arange(side, device=features.device) + 0.5) / side - 0.5
    along = (-0.5 * (places / sigma).square()).exp()
    along = (along / along.sum()).to(features.dtype)
    return torch.einsum("nchw,h,w->nc", features, along, along)


def activation_map(features: Tensor, weights: Tensor) -> Tensor:
    """Equation 15, M = w . F, scaled to 0..1 by its own minimum and maximum: (n, T, T).

    features: (n, channels, T, T), F; weights: (n, channels), w of each region's class. 0 where M is constant.
    """
    with torch.autocast(features.device.type, enabled=False):  # 8 bits would become visible steps
        maps = torch.einsum("nchw,nc->nhw", features.float(), weights.float())
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    return (maps - low) / (high - low).clamp(min=1e-12)


def pseudo_masks(activation: Tensor, threshold: float) -> Tensor:
    """Equation 1: bool (n, T, T), where the mean of the branches' maps (n, T, T) is above xi. Has no gradient."""
    return activation.detach() > threshold


class Segmentation(nn.Module):
    """Convolutions with ReLU and an output map for each class and background (section 3.2.3; paper: 4 of them)."""

    def __init__(self, channels: int, class_count: int, width: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        for before in (channels, *[width] * (layers - 1)):
            self.layers.append(nn.Conv2d(before, width, 3, padding=1))
            self.layers.append(nn.ReLU(inplace=True))
        for layer in self.layers[::2]:
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.output = nn.Conv2d(width, 1 + class_count, 1)
        nn.init.normal_(self.output.weight, std=0.001)
        nn.init.zeros_(self.output.bias)

    def forward(self, features: Tensor, categories: Tensor) -> Tensor:
        """Logits (n, T, T) of the maps of categories int64 (n,), from features (n, channels, T, T)."""
        maps = self.output(self.layers(features))
        return maps[torch.arange(len(maps), device=maps.device), categories]


def upsample(features: Tensor, size: int) -> Tensor:
    """res5's features at (size, size)."""
    return functional.interpolate(features, (size, size), mode="bilinear", align_corners=False)
