"""The tag classifier of BESTIE: class activation maps shaped by peak attention.

BESTIE (CVPR 2022) supplement section 3, and its released code.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsis_steps.classifier.settings import ClassifierExtract, ClassifierTrain
from wsis_steps.engine.errors import InputError
from wsis_steps.vision.backbones import Backbone, build_backbone, parameter_groups
from wsis_steps.vision.models import TrainedModel, fill, settings_of
from wsis_steps.vision.weights import load_weights


class PeakAttention(nn.Module):
    """Peak attention module: a ReLU that also zeroes values below alpha times the channel's peak.

    The peak is taken per image and channel; a value equal to the threshold is kept. Gradients flow only through the
    kept entries, not through the threshold. No parameters. BESTIE supp. section 3; released code.
    """

    def __init__(self, alpha: float):
        super().__init__()
        if not 0 <= alpha <= 1:
            raise InputError(f"alpha of the peak attention is {alpha}; it must lie in 0..1")
        self.alpha = alpha

    def forward(self, features: Tensor) -> Tensor:
        """B x K x H x W float to the same shape."""
        features = features.relu()
        thresholds = features.detach().amax(dim=(2, 3), keepdim=True) * self.alpha
        return torch.where(features < thresholds, torch.zeros_like(features), features)

    def extra_repr(self) -> str:
        """The text of print(model)."""
        return f"alpha={self.alpha}"


class Classifier(nn.Module):
    """A backbone, three 3 x 3 convolutions with peak attention, a 1 x 1 convolution to classes, mean pooling; with a
    `frozen` backbone, the 1 x 1 convolution alone.

    Args:
        backbone: its coarsest level is classified (paper: vgg16 of output stride 8).
        class_count: number of tags.
        settings: with `attention` pam, the groups `attention_layers` have peak attention instead of ReLU: 6 is the
            three convolutions here, 4 and 5 the backbone's fourth and fifth level (supp. table 3: 6 alone is best).

    The head has batch normalization if the backbone has it, since from random weights peak attention hardly learns
    without; vgg16 has none, and neither has the paper's head.

    Raises:
        InputError: a group of layers that the backbone does not have.
    """

    def __init__(self, backbone: Backbone, class_count: int, settings: ClassifierTrain):
        super().__init__()
        if settings.frozen:
            self.backbone, self.head = backbone, nn.Sequential(nn.Conv2d(backbone.channels[-1], class_count, 1))
            return
        attended, alpha, width = set(settings.attention_layers), settings.alpha, settings.head_width
        if settings.attention == "none":
            attended = set()
        for group in attended - {6}:
            _attend(backbone, group, alpha)
        self.backbone = backbone
        self.head = nn.Sequential()
        normalized = any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
        for before in (backbone.channels[-1], width, width):
            self.head.append(nn.Conv2d(before, width, 3, padding=1))
            if normalized:
                self.head.append(nn.BatchNorm2d(width))
            self.head.append(PeakAttention(alpha) if 6 in attended else nn.ReLU(inplace=True))
        self.head.append(nn.Conv2d(width, class_count, 1))
        for layer in self.head:
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=math.sqrt(2 / (layer.kernel_size[0] ** 2 * layer.out_channels)))
                nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the tags, and the maps whose means they are.

        Args:
            images: B x 3 x H x W float, normalized.

        Returns:
            B x C logits and B x C x h x w raw activation maps (before any ReLU), h = H / output stride.
        """
        maps = self.head(self.backbone(images)[-1])
        return maps.mean(dim=(2, 3)), maps

    def set_alpha(self, alpha: float) -> None:
        """Sets the threshold of all peak attention modules, as a fraction of the peak."""
        for module in self.modules():
            if isinstance(module, PeakAttention):
                module.alpha = alpha

    def parameter_groups(self, learning_rate: float, head_lr_factor: float) -> list[dict]:
        """Parameter groups for an optimizer: the head learns `head_lr_factor` times as fast, biases twice as fast.

        BESTIE released code: factors 1, 2, 10, 20 for the backbone's weights and biases and the head's.
        """
        return parameter_groups(self, self.backbone, learning_rate, head_lr_factor, bias_lr_factor=2)


def _attend(backbone: Backbone, group: int, alpha: float) -> None:
    """Replaces every ReLU of a level of the backbone (counted from 1) with peak attention."""
    prefixes = backbone.levels[group - 1] if group in range(1, len(backbone.levels) + 1) else []
    names = [
        name
        for name, module in backbone.named_modules()
        if isinstance(module, nn.ReLU) and any(name == p or name.startswith(f"{p}.") for p in prefixes)
    ]
    if not names:
        raise InputError(
            f"attention_layers: backbone {backbone.name} has no layer group {group} with ReLU; valid: 6, "
            f"and 4 and 5 with vgg16"
        )
    for name in names:
        backbone.set_submodule(name, PeakAttention(alpha))


@torch.no_grad()
def activation_maps(
    model: nn.Module,
    images: Tensor,
    tags: Tensor,
    scales: tuple[float, ...],
    flip: bool,
    size: tuple[int, int] | None = None,
    multiple: int = 1,
) -> Tensor:
    """Normalized class activation maps of the classes that each image is tagged with.

    Per scale, every map is passed through ReLU, resized and divided by its maximum, and averaged with the one of the
    mirrored image (BESTIE released code). With several scales, their sum is divided by its maximum again (as in IRN).

    Args:
        model: a `Classifier`, or anything that returns (logits, maps), in evaluation mode.
        images: B x 3 x H x W float, normalized, at scale 1 (BESTIE: 321 x 321 for any aspect ratio).
        tags: B x C, non-zero if the image has the class.
        scales: factors on H and W.
        flip: whether to average with the mirrored image.
        size: (height, width) of the result; that of `images` by default.
        multiple: height and width at scales other than 1 are rounded to the nearest multiple.

    Returns:
        B x C x height x width float32 in 0..1; zero for classes that are not tagged.
    """
    size = tuple(size or images.shape[-2:])
    present = tags.to(images.device) > 0
    total = images.new_zeros((int(present.sum()), *size), dtype=torch.float32)
    for scale in scales:
        sides = [nearest_multiple(scale * side, multiple) for side in images.shape[-2:]]
        scaled = images if scale == 1 else _resize(images, sides, antialias=True)
        maps = normalize(_resize(model(scaled)[1].float().relu()[present][:, None], size)[:, 0])
        if flip:
            mirrored = model(scaled.flip(-1))[1].flip(-1)
            maps = (maps + normalize(_resize(mirrored.float().relu()[present][:, None], size)[:, 0])) / 2
        total += maps
    result = total.new_zeros((*present.shape, *size))
    result[present] = total if len(scales) == 1 else normalize(total)
    return result


def _resize(images: Tensor, size: list[int] | tuple[int, ...], antialias: bool = False) -> Tensor:
    if not len(images):
        return images.new_zeros((*images.shape[:2], *size))
    return functional.interpolate(images, size=tuple(size), mode="bilinear", align_corners=False, antialias=antialias)


def nearest_multiple(side: float, stride: int) -> int:
    """The multiple of `stride` nearest to a side in pixels, at least one."""
    return max(round(side / stride), 1) * stride


def normalize(maps: Tensor) -> Tensor:
    """Nonnegative maps (..., h, w), each divided by its maximum."""
    return maps / (maps.amax(dim=(-2, -1), keepdim=True) + 1e-5)


def load_classifier(trained: TrainedModel) -> Classifier:
    """Loads the classifier from a file of `classifier_train`."""
    model = build_classifier(settings_of(trained, ClassifierTrain), len(trained.class_names))
    fill(model, trained)
    return model


def build_classifier(settings: ClassifierTrain, class_count: int, weights: str = "none") -> Classifier:
    """The classifier that settings describe, with a random head; `weights` fill its backbone (`load_weights`)."""
    return Classifier(_build_backbone(settings, weights), class_count, settings)


def frozen_backbone(settings: ClassifierTrain | ClassifierExtract) -> Backbone:
    """The backbone that settings describe, in evaluation mode; with `none`, the random weights are always the same."""
    torch.manual_seed(0)
    return _build_backbone(settings, settings.weights).eval()


def _build_backbone(settings: ClassifierTrain | ClassifierExtract, weights: str) -> Backbone:
    stride = None if settings.output_stride == "own" else settings.output_stride
    backbone = build_backbone(settings.backbone, stride, settings.normalization)
    load_weights(backbone, weights)
    return backbone
