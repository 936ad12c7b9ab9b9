"""The conditional network: features of a picture with a noise sample, and scores of its proposals.

Annotation Consistent Instances (ECCV 2020), supplement, sections 3.1 and 3.2: a U-Net with a noise channel before its
last 1 x 1 convolutions, or a ResNet with noise next to its last features. The features within a proposal's mask go
through a 1 x 1 convolution to classes and a global average; both are linear, so the scores of all proposals are one
matrix product.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsis_steps.annotation_consistency.settings import AnnotationConsistencyInitialise
from wsis_steps.vision.backbones import build_backbone, parameter_groups, refuse_single_level
from wsis_steps.vision.models import TrainedModel, fill, settings_of
from wsis_steps.vision.weights import load_weights

CONDITIONAL_STEPS = ("annotation_consistency_initialise", "annotation_consistency_train_conditional")


class ConditionalNetwork(nn.Module):
    """Features first (`forward`), then `score` for any number of noise samples: only the layers after the noise are
    recomputed for each (supplement, section 3.1).

    Attributes:
        stride: pixels per cell of the features.
    """

    def __init__(self, settings: AnnotationConsistencyInitialise, class_count: int, weights: str = "none") -> None:
        super().__init__()
        self.settings = settings
        if settings.backbone == "plain":
            self.trunk = PlainUNet(settings.widths)
        else:
            self.trunk = BackboneTrunk(settings, weights)
        self.stride, width = self.trunk.stride, self.trunk.width
        self.mix = nn.Conv2d(width + settings.noise_channels, width, 1)  # features and noise to as many channels
        self.classify = nn.Conv2d(width, 1 + class_count, 1)  # label 0 is the background
        for layer in (self.mix, self.classify):  # as in Probabilistic U-Net's layers after the noise, released code
            nn.init.orthogonal_(layer.weight)
            nn.init.trunc_normal_(layer.bias, std=1e-3)

    @property
    def backbone(self) -> nn.Module:
        """The module that normalizes pictures."""
        return self.trunk.backbone

    def forward(self, pictures: Tensor) -> Tensor:
        """Features float (B, width, ceil(H / stride), ceil(W / stride)) of normalized pictures (B, 3, H, W)."""
        return self.trunk(pictures)

    def draw_noise(self, samples: int, height: int, width: int, generator: torch.Generator | None = None) -> Tensor:
        """Uniform noise in -1 to 1, (samples, noise_channels, rows, columns): one vector per sample (`noise: tiled`),
        or one for each `noise_cell` pixels of a picture."""
        rows, columns = 1, 1
        if self.settings.noise == "grid":
            rows, columns = (-(-side // self.settings.noise_cell) for side in (height, width))
        device = self.mix.weight.device if generator is None else generator.device
        drawn = torch.rand(samples, self.settings.noise_channels, rows, columns, generator=generator, device=device)
        return 2 * drawn.to(self.mix.weight.device) - 1

    def score(self, features: Tensor, noise: Tensor, graph: dict[str, Any], labels: Tensor) -> Tensor:
        """F^k: scores float32 (K, P, L) of a picture's proposals.

        Args:
            features: (width, h, w) of the picture.
            noise: (K, noise_channels, rows, columns).
            graph: of the picture, as `samples.py` describes it.
            labels: int64 (L,), of 0 to C.
        """
        height, width = features.shape[-2:]
        features, weight = features.float(), self.mix.weight.float()
        mixed = functional.conv2d(features[None], weight[:, : len(features)], self.mix.bias.float())
        if self.settings.noise == "grid":
            noise = functional.interpolate(noise, (height, width), mode="bilinear", align_corners=False)
        mixed = (mixed + functional.conv2d(noise, weight[:, len(features) :])).relu()
        evidence = functional.conv2d(mixed, self.classify.weight.float()[labels])  # (K, L, h, w)
        by_cell = evidence.flatten(2).permute(2, 0, 1).flatten(1)  # (h w, K L)
        sums = graph["members"] @ torch.sparse.mm(graph["cells"], by_cell)
        if self.settings.pooling == "full":
            means = sums / (height * width)
        else:
            means = sums / graph["areas"][:, None].clamp(min=1e-6)
        scores = means.unflatten(1, (len(noise), len(labels))).transpose(0, 1)
        return scores + self.classify.bias.float()[labels]

    def parameter_groups(self, slow: nn.Module, learning_rate: float, head_lr_factor: float) -> list[dict]:
        """Parameter groups for an optimizer: everything but the part `slow` learns `head_lr_factor` times as fast as
        that."""
        return parameter_groups(self, slow, learning_rate, head_lr_factor)


class Convolutions(nn.Sequential):
    """3 x 3 convolutions with ReLU, initialized by He's method."""

    def __init__(self, before: int, width: int, count: int) -> None:
        super().__init__()
        for k in range(count):
            layer = nn.Conv2d(width if k else before, width, 3, padding=1)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.trunc_normal_(layer.bias, std=1e-3)  # Probabilistic U-Net, released code
            self.extend([layer, nn.ReLU(inplace=True)])


class Decoder(nn.Module):
    """A U-Net's decoder: bilinear upsampling, concatenation of the finer level, convolutions.

    channels: of the levels, fine to coarse; widths: of the outputs, for all levels but the coarsest.
    """

    def __init__(self, channels: tuple[int, ...], widths: tuple[int, ...], count: int) -> None:
        super().__init__()
        below = (*widths[1:], channels[-1])
        joined = [fine + coarse for fine, coarse in zip(channels[:-1], below, strict=True)]
        self.stages = nn.ModuleList(
            Convolutions(before, width, count) for before, width in zip(joined, widths, strict=True)
        )

    def forward(self, levels: list[Tensor]) -> Tensor:
        """The finest features from levels, fine to coarse."""
        features = levels[-1]
        for level, stage in zip(levels[-2::-1], self.stages[::-1], strict=True):
            raised = functional.interpolate(features, level.shape[-2:], mode="bilinear", align_corners=False)
            features = stage(torch.cat([level, raised], dim=1))
        return features


class PlainUNet(nn.Module):
    """The paper's trunk: the U-Net of Kohl et al. (NeurIPS 2018), from random weights.

    Three 3 x 3 convolutions per scale, 2 x 2 average pooling in the encoder.
    """

    stride = 1

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.backbone = Normalization()
        self.width = widths[0]
        self.encoder = nn.ModuleList(
            Convolutions(before, width, 3) for before, width in zip((3, *widths), widths, strict=False)
        )
        self.decoder = Decoder(widths, widths[:-1], 3)

    def forward(self, pictures: Tensor) -> Tensor:
        levels = [self.encoder[0](pictures)]
        for stage in list(self.encoder)[1:]:
            levels.append(stage(functional.avg_pool2d(levels[-1], 2, ceil_mode=True)))
        return self.decoder(levels)


class Normalization(nn.Module):
    """Bytes to -1 ... 1, for a network without pretrained weights."""

    def normalize(self, pictures: Tensor) -> Tensor:
        """B x 3 x H x W RGB bytes to float32."""
        return pictures.float() / 127.5 - 1


class BackboneTrunk(nn.Module):
    """A backbone's last features, or (`unet`) a U-Net whose encoder is the backbone."""

    def __init__(self, settings: AnnotationConsistencyInitialise, weights: str) -> None:
        super().__init__()
        self.backbone = build_backbone(settings.backbone, normalization=settings.normalization)
        if settings.network == "unet":
            refuse_single_level(self.backbone, "A U-Net (network: unet)")
        load_weights(self.backbone, weights)
        self.backbone.round_up()  # so that the cells of proposals match those of the features
        if weights != "none":
            self.backbone.fix_norm()
        channels = self.backbone.channels
        if settings.network == "unet":
            widths = (settings.width, *(min(count, settings.decoder_width) for count in channels[1:-1]))
            self.decoder = Decoder(channels, widths, settings.decoder_layers)
            self.stride, self.width = self.backbone.strides[0], settings.width
        else:
            self.decoder = None
            self.stride, self.width = self.backbone.strides[-1], channels[-1]

    def forward(self, pictures: Tensor) -> Tensor:
        levels = self.backbone(pictures)
        return levels[-1] if self.decoder is None else self.decoder(levels)


def network_settings(trained: TrainedModel) -> AnnotationConsistencyInitialise:
    """Settings of the first training of a conditional network, which later trainings pass on."""
    return settings_of(
        trained, AnnotationConsistencyInitialise, trained.settings.get("network_settings", trained.settings)
    )


def load_conditional(trained: TrainedModel) -> ConditionalNetwork:
    """Loads the conditional network from a file of one of CONDITIONAL_STEPS."""
    settings = network_settings(trained)
    model = ConditionalNetwork(settings, len(trained.class_names))
    fill(model, trained)
    if settings.weights != "none":
        model.backbone.fix_norm()  # as in the first training
    return model
