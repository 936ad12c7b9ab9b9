"""The detector: a multiple instance network, refinement heads and a box regressor on the features of proposals.

Deep Community Learning (WACV 2021), section 3.2.1 and appendix A.2; based on OICR (Tang et al., CVPR 2017) and WSDDN
(Bilen and Vedaldi, CVPR 2016).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

STD = 0.01  # initial weights of new fully connected layers (section 4.1)


class Detections(NamedTuple):
    """Outputs for the proposals of a batch, before softmax.

    classes, places: float (R, C), x^c and x^d of equations 11 and 12; refined: (R, heads, 1 + C), background first;
    offsets: (R, 4), (R, 4 C) with one set per class, or (R, 0) without regression.
    """

    classes: Tensor
    places: Tensor
    refined: Tensor
    offsets: Tensor


class Detector(nn.Module):
    """Heads on the mean of a proposal's features; the regressor on the mean or on every cell.

    Every layer is built whatever `regression` is, so all ablations start from the same weights.

    Args:
        channels: of res5.
        class_count: classes without background.
        heads: number of refinement heads (paper 3).
        regression: kind of offsets: class_agnostic, class_specific or none.
        width: of the regressor's first layer.
        cells: number of a proposal's cells as separate inputs of the regressor; 1 for their mean.
    """

    def __init__(self, channels: int, class_count: int, heads: int, regression: str, width: int, cells: int) -> None:
        super().__init__()
        self.classes = linear(channels, class_count)
        self.places = linear(channels, class_count)
        self.refine = nn.ModuleList([linear(channels, 1 + class_count) for _ in range(heads)])
        self.cells, self.regression = cells, regression
        self.regress = nn.Sequential(linear(cells * channels, width), nn.ReLU(inplace=True))
        self.offsets = nn.ModuleDict(
            {"class_agnostic": linear(width, 4), "class_specific": linear(width, 4 * class_count)}
        )

    def forward(self, features: Tensor) -> Detections:
        """Outputs for res5's features (R, channels, size, size)."""
        pooled = features.mean(dim=(2, 3))
        refined = torch.stack([head(pooled) for head in self.refine], dim=1)
        offsets = pooled[:, :0]
        if self.regression != "none":
            hidden = self.regress(pooled if self.cells == 1 else features.flatten(1))
            offsets = self.offsets[self.regression](hidden)
        return Detections(self.classes(pooled), self.places(pooled), refined, offsets)


def midn_scores(classes: Tensor, places: Tensor) -> Tensor:
    """z, (R, C), of the proposals of one image: equations 11, 12 and 13. Its sum over proposals is phi."""
    return classes.float().softmax(dim=1) * places.float().softmax(dim=0)


def refined_scores(refined: Tensor) -> Tensor:
    """Scores (R, 1 + C) as the mean of the refinement heads' softmax (section 3.4), from (R, heads, 1 + C)."""
    return refined.float().softmax(dim=2).mean(dim=1)


def offsets_of(offsets: Tensor, categories: Tensor) -> Tensor:
    """Offsets (R, 4) for categories int64 (R,) from 1: the class's own, if each class has its own."""
    if offsets.shape[1] == 4:
        return offsets
    rows = torch.arange(len(offsets), device=offsets.device)
    return offsets.unflatten(1, (-1, 4))[rows, categories - 1]


def linear(before: int, after: int) -> nn.Linear:
    """A fully connected layer with normal initial weights of standard deviation 0.01 and zero bias."""
    layer = nn.Linear(before, after)
    nn.init.normal_(layer.weight, std=STD)
    nn.init.zeros_(layer.bias)
    return layer
