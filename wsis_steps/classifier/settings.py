"""Settings of the steps in classifier/."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from wsis_steps.engine.settings import Fraction, Positive, Settings
from wsis_steps.vision.settings import Backbone, Training, Window


def _no_classifier(weights: str) -> str:
    if weights == "classifier":
        raise ValueError("the classifier cannot start from itself; take imagenet, none or a path")
    return weights


class ClassifierTrain(Training):
    """Tag classifier with peak attention (BESTIE supplement, section 3; released code)."""

    backbone: Backbone = "vgg16"
    """Feature extractor; paper vgg16."""
    weights: Annotated[str, AfterValidator(_no_classifier)] = "imagenet"
    """Initial backbone: imagenet, none or a path."""
    attention: Literal["pam", "none"] = "pam"
    """none gives plain class activation maps."""
    alpha: Fraction = 0.5
    """Share of a channel's peak below which peak attention zeroes; supplement 0.5, released code 0.7."""
    alpha_ramp: Fraction = 0.0
    """Share of the training in which alpha grows from 0 to its value; paper 0. Helps where there are few pictures."""
    attention_layers: tuple[Literal[4, 5, 6], ...] = (6,)
    """Layer groups with peak attention (supplement, table 3); 6 is the head."""
    head_width: Positive = 512
    """Channels of the head's convolutions."""
    output_stride: Literal[8, 16, 32, "own"] = 8
    """Pixels between the activation maps' cells; paper 8. own: the backbone's own; a vision transformer has no other
    (DINOv2 14)."""
    head_lr_factor: Annotated[float, Field(gt=0)] = 10.0
    """The head learns this many times as fast as the backbone."""
    epochs: Positive = 15
    """Passes over the training images."""
    batch_size: Positive = 5
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Of the backbone's weights; biases learn twice as fast."""
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    schedule: Literal["constant", "drop", "poly", "one_cycle"] = "drop"
    drop_at: tuple[Fraction, ...] = (4 / 15, 9 / 15)
    """Paper: at the start of epochs 5 and 10 of 15."""
    resize: Positive = 384
    """Images are resized to this square."""
    crop: Positive = 321
    """Side of the random crop."""
    color_jitter: tuple[float, float, float, float] = (0.3, 0.3, 0.3, 0.1)
    """Brightness, contrast, saturation, hue."""
    rot90: bool = False
    """Random quarter turns and vertical flips; for pictures without an up."""


class ClassifierInfer(Settings):
    """Activation maps of the training images (BESTIE released code, point extraction)."""

    size: Positive = 321
    """Images are resized to this square."""
    scales: tuple[float, ...] = (1.0,)
    """Sizes relative to `size` whose maps are averaged; IRN uses 1, 0.5, 1.5, 2."""
    flip: bool = True
    """Average with the mirrored image."""
    stride: Positive = 1
    """Maps are stored at the image's size divided by this. Cues are found at that size: coarser maps have fewer of
    them, but a map of a large picture takes two bytes a pixel before compression; released code 1."""


class ClassifierFindPeaks(Settings):
    """Instance cues: local maxima of the activation maps."""

    kernel: Window = 15
    """Window in pixels in which a peak is the largest value."""
    smoothing: Window = 3
    """Window in pixels of the mean filter before."""
    top_k: Positive = 25
    """Peaks kept per class and image."""
    min_value: Fraction = 0.5
    """Smallest value of a peak; supplement 0.5, released code 0.7."""


class ClassifierAuditTags(Settings):
    """Images whose classifier disagrees with their tags."""

    size: Positive | None = None
    """Images are resized to this square; null takes the side of the crops that the classifier was trained on."""
    shown: Positive = 200
    """Disagreements on the page at most; the table has all."""
