"""The segmentation network of Learning to Segment: class logits of every cell at a quarter of the resolution.

Learning to Segment with Image-level Supervision (WACV 2019), sections 3.2 and 5.1, figure 2. The paper says that
1x1 convolutions of encoder layers are concatenated to decoder layers, but not which layers or how wide; those are
this package's choices.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsis_steps.engine.errors import InputError
from wsis_steps.learning_to_segment.settings import LearningToSegmentTrain
from wsis_steps.vision.backbones import Backbone, build_backbone, parameter_groups, refuse_single_level
from wsis_steps.vision.models import TrainedModel, fill, settings_of
from wsis_steps.vision.weights import load_weights

OUTPUT_STRIDE = 4  # pixels between cells of the output; paper section 6: a quarter of the input


class SemanticNetwork(nn.Module):
    """An encoder, and a decoder that returns to a quarter of the resolution with a skip connection per step.

    Every level of the backbone from stride 4 has a step, coarse to fine. A step doubles the decoder's map
    (bilinear), concatenates the level after a 1x1 convolution and applies two 3x3 convolutions; the coarsest step
    has only the level. Then a 1x1 convolution gives the logits. Each convolution of the decoder but this last is
    followed by ReLU and then by batch normalization, in this order (figure 2).

    Levels are those of `Backbone`. vgg16's end before the pools and after ReLU, so they are conv5_3 at stride 16,
    conv4_3 at 8 and conv3_3 at 4: 14, 28 and 56 cells for 224 pixels. resnet50 and mobilenet_v2 have one step more, at
    stride 32; small starts at 16, and its level of stride 2 has no skip. vgg16's cells are centered on their pixels.
    The others' strided convolutions center them on the first pixel, which the upsampling does not undo: untrained, they
    see the image up to half a cell of the coarsest level too far to the right and down.

    Args:
        backbone: the pretrained part, with a level of stride 4 (paper: vgg16). It is not changed; if it has batch
            normalization of its own, that stays before ReLU.
        class_count: classes without background.
        settings: of these `skip_width`, channels of each level after its 1x1 convolution, and `decoder_width`, channels
            of the 3x3 convolutions. With small and images of about 100 px, widths of 32 and 64 keep the decoder
            lighter than the backbone.

    New convolutions start from He's normal distribution with biases of 0, the last one without his factor for
    ReLU: logits start with a variance of about 1.
    """

    def __init__(self, backbone: Backbone, class_count: int, settings: LearningToSegmentTrain) -> None:
        super().__init__()
        skip_width, decoder_width = settings.skip_width, settings.decoder_width
        self.backbone = backbone
        refuse_single_level(backbone, "Learning to Segment")
        if OUTPUT_STRIDE not in backbone.strides:
            strides = ", ".join(map(str, backbone.strides))
            raise InputError(
                f"Learning to Segment needs a level of stride {OUTPUT_STRIDE}, but backbone {backbone.name} has levels "
                f"of {strides}."
            )
        self.first = backbone.strides.index(OUTPUT_STRIDE)  # finest level in use
        channels = backbone.channels[self.first :][::-1]  # coarse to fine
        inputs = (skip_width, *[decoder_width + skip_width] * (len(channels) - 1))
        self.skips = nn.ModuleList(_block(before, skip_width, 1) for before in channels)
        self.steps = nn.ModuleList(
            nn.Sequential(_block(before, decoder_width, 3), _block(decoder_width, decoder_width, 3))
            for before in inputs
        )
        self.head = nn.Conv2d(decoder_width, 1 + class_count, 1)
        for part in (self.skips, self.steps, self.head):
            for module in part.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, nonlinearity="linear" if module is self.head else "relu")
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the classes; their softmax is the predicted distribution (equation 3).

        Args:
            images: (B, 3, H, W) float of any size, normalized.

        Returns:
            (B, 1 + C, ceil(H / 4), ceil(W / 4)) logits, channel 0 = background; cell (i, j) covers the pixels
            from (4i, 4j) to (4i + 3, 4j + 3).
        """
        height, width = images.shape[-2:]
        stride = self.backbone.strides[-1]
        # 0 is the mean color after normalization
        levels = self.backbone(F.pad(images, (0, -width % stride, 0, -height % stride)))
        coarsest, *finer = (skip(level) for skip, level in zip(self.skips, reversed(levels[self.first :]), strict=True))
        maps = self.steps[0](coarsest)
        for side, step in zip(finer, self.steps[1:], strict=True):
            doubled = F.interpolate(maps, side.shape[-2:], mode="bilinear", align_corners=False)
            maps = step(torch.cat([doubled, side], dim=1))
        return self.head(maps)[..., : -(-height // OUTPUT_STRIDE), : -(-width // OUTPUT_STRIDE)]

    def parameter_groups(self, learning_rate: float, head_lr_factor: float) -> list[dict]:
        """Parameter groups for an optimizer: the backbone, and the new layers with `head_lr_factor` times its learning
        rate.

        Paper section 5.3: 1e-3 for pretrained layers, 1e-2 for new ones.
        """
        return parameter_groups(self, self.backbone, learning_rate, head_lr_factor)


def _block(before: int, after: int, kernel: int) -> nn.Sequential:
    # with bias, since normalization follows only after the ReLU and could not replace it
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, padding=kernel // 2), nn.ReLU(inplace=True), nn.BatchNorm2d(after)
    )


def load_semantic_network(trained: TrainedModel) -> SemanticNetwork:
    """Loads the network from a file of `learning_to_segment_train`."""
    settings = settings_of(trained, LearningToSegmentTrain)
    model = build_semantic_network(settings, len(trained.class_names))
    fill(model, trained)
    return model


def build_semantic_network(
    settings: LearningToSegmentTrain, class_count: int, weights: str = "none"
) -> SemanticNetwork:
    """The network that settings describe; `weights` fill its backbone (`load_weights`), the rest is random.

    Raises:
        InputError: an unknown backbone or normalization, or weights that are missing or not this backbone's.
    """
    backbone = build_backbone(settings.backbone, normalization=settings.normalization)
    load_weights(backbone, weights)
    return SemanticNetwork(backbone, class_count, settings)
