"""Learned edges: a small convolutional network that predicts the probability of a drawn boundary.

An encoder and a decoder with skip connections (as in U-Net, Ronneberger et al., MICCAI 2015) whose finest level has
half the picture's resolution, so it is fast on one core; each of its cells predicts four pixels.
`proposals_train_edges` trained the package's weights (edge_models.py) on the training images of BSDS500 in half an hour
on one core. On its 100 val images the best F-measure (as contour_scores.py approximates it) is 0.770, for the mean over
the scales 0.5, 1 and 2 it is 0.779, for smoothed Lab gradients 0.694.
"""

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from wsis_steps.engine.errors import InputError
from wsis_steps.vision.models import load_model


class Convolution(nn.Module):
    """A convolution with batch normalization or, if not `normalized`, with a bias."""

    def __init__(self, before: int, after: int, kernel: int, normalized: bool, stride: int = 1, dilation: int = 1):
        super().__init__()
        padding = (kernel - stride + 1) // 2 * dilation
        self.convolution = nn.Conv2d(before, after, kernel, stride, padding, dilation, bias=not normalized)
        self.normalization = nn.BatchNorm2d(after) if normalized else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        return self.normalization(self.convolution(features))


class Residual(nn.Module):
    """Two 3 x 3 convolutions with a shortcut."""

    def __init__(self, width: int, normalized: bool, dilation: int = 1):
        super().__init__()
        self.first = Convolution(width, width, 3, normalized)
        self.second = Convolution(width, width, 3, normalized, dilation=dilation)

    def forward(self, features: Tensor) -> Tensor:
        return (features + self.second(self.first(features).relu_())).relu_()


class EdgeNetwork(nn.Module):
    """Boundary logits of pictures.

    Args:
        widths: channels of the levels, which have strides 2, 4, 8, ...
        normalized: with batch normalization, for training; without it, as returned by `fused`.
    """

    def __init__(self, widths: tuple[int, ...], normalized: bool = True):
        super().__init__()
        self.widths = tuple(widths)
        self.stride = 2 ** len(widths)
        coarser = list(zip(widths[:-1], widths[1:], strict=True))
        self.enter = Convolution(3, widths[0], 6, normalized, stride=2)
        self.descend = nn.ModuleList(Convolution(fine, coarse, 3, normalized, stride=2) for fine, coarse in coarser)
        last = len(widths) - 1
        self.encode = nn.ModuleList(
            Residual(width, normalized, dilation=2 if k == last else 1) for k, width in enumerate(widths)
        )
        self.ascend = nn.ModuleList(Convolution(coarse, fine, 1, normalized) for fine, coarse in coarser)
        self.decode = nn.ModuleList(Convolution(fine, fine, 3, normalized) for fine, _ in coarser)
        self.predict = nn.Conv2d(widths[0], 4, 3, padding=1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits B x H x W of pictures B x 3 x H x W (RGB, 0 to 255); H and W are multiples of `stride`."""
        features = self.encode[0](self.enter((pictures.float() - 128) / 64).relu_())
        levels = [features]
        for descend, encode in zip(self.descend, list(self.encode)[1:], strict=True):
            levels.append(encode(descend(levels[-1]).relu_()))
        features = levels.pop()
        for level, ascend, decode in zip(levels[::-1], self.ascend[::-1], self.decode[::-1], strict=True):
            raised = functional.interpolate(ascend(features), scale_factor=2, mode="bilinear")
            features = decode((level + raised).relu_()).relu_()
        return functional.pixel_shuffle(self.predict(features), 2)[:, 0]

    def fused(self) -> "EdgeNetwork":
        """The same function without batch normalization, which is saved and used to find edges."""
        plain = EdgeNetwork(self.widths, normalized=False)
        plain.load_state_dict(self.state_dict(), strict=False)
        for name, module in self.eval().named_modules():
            if isinstance(module, Convolution):
                plain.get_submodule(name).convolution = fuse_conv_bn_eval(module.convolution, module.normalization)
        return plain.eval()


def load_network(path: Path) -> EdgeNetwork:
    """Loads the network from a file of `proposals_train_edges`, ready for `find_edges`.

    Raises:
        InputError: the file is missing or not such a model.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; train the weights of learned edges with proposals_train_edges.")
    trained = load_model(path, "proposals_train_edges")
    network = EdgeNetwork(tuple(trained.settings["widths"]), normalized=False)
    try:
        network.load_state_dict({name: value.float() for name, value in trained.state.items()})
    except RuntimeError as error:
        raise InputError(f"{path} does not fit the network of this program; train it again.") from error
    return network.to(memory_format=torch.channels_last).eval()


@torch.inference_mode()
def find_edges(network: EdgeNetwork, picture: np.ndarray) -> np.ndarray:
    """Boundary probability float32 (h, w), 0 to 1, of a picture uint8 RGB (h, w, 3) of any size.

    Runs on the network's device; on a CPU with torch's number of threads.
    """
    height, width = picture.shape[:2]
    below, right = -height % network.stride, -width % network.stride
    padded = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REFLECT)
    batch = torch.from_numpy(padded).to(network.predict.weight.device).permute(2, 0, 1)[None]
    return network(batch)[0, :height, :width].sigmoid().cpu().numpy()
