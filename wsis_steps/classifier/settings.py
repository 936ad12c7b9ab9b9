"""Settings of the steps in classifier/."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from wsis_steps.engine.settings import Fraction, Positive, Settings
from wsis_steps.vision.settings import Backbone, Normalization, Training, Window, check_normalization


def _no_classifier(weights: str) -> str:
    if weights == "classifier":
        raise ValueError("the classifier cannot start from itself; take imagenet, none or a path")
    return weights


Weights = Annotated[str, AfterValidator(_no_classifier)]
OutputStride = Literal[8, 16, 32, "own"]
LongSides = Annotated[tuple[Positive, ...], Field(min_length=1)]


class ClassifierTrain(Training):
    """Tag classifier with peak attention (BESTIE supplement, section 3; released code)."""

    backbone: Backbone = "vgg16"
    """Feature extractor; paper vgg16."""
    weights: Weights = "imagenet"
    """Initial backbone: imagenet, none or a path."""
    frozen: bool = False
    """Leave the backbone as its weights have it, and fit a linear head to its features, which classifier_extract
    computes once; maps are made of them, too. Beside the backbone only `output_stride`, `long_sides` and `l2_penalty`
    count then."""
    l2_penalty: Annotated[float, Field(gt=0)] = 0.1
    """Of a frozen classifier: what the squares of a class's weights cost beside its mean cross entropy, features having
    mean 0 and deviation 1."""
    long_sides: LongSides = (480,)
    """Of a frozen classifier: pixels of the pictures' longer side, with their aspect kept and both sides rounded to the
    output stride. With several, each gives features of its own, to learn from and to average maps over."""
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
    output_stride: OutputStride = 8
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


class ClassifierExtract(Settings):
    """Features of the training images for a frozen classifier. All settings are those of `classifier_train`, where they
    need to be given only."""

    backbone: Backbone = "vgg16"
    """As in classifier_train."""
    weights: Weights = "imagenet"
    """As in classifier_train; with none the features are those of a random network."""
    normalization: Normalization = "imagenet"
    """As in classifier_train."""
    output_stride: OutputStride = 8
    """As in classifier_train."""
    long_sides: LongSides = (480,)
    """As in classifier_train."""

    _normalized = model_validator(mode="after")(check_normalization)


class ClassifierInfer(Settings):
    """Activation maps of the training images (BESTIE released code, point extraction)."""

    size: Positive = 321
    """Images are resized to this square, for a vision transformer to the nearest of whole patches; not of a frozen
    classifier, whose maps are made from its features."""
    scales: tuple[float, ...] = (1.0,)
    """Sizes relative to `size` whose maps are averaged; IRN uses 1, 0.5, 1.5, 2. Not of a frozen classifier."""
    flip: bool = True
    """Average with the mirrored image; not of a frozen classifier."""
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
    """Images are resized to this square; null takes the side of the crops that the classifier was trained on. Those of a
    frozen classifier are resized to its `long_sides`."""
    shown: Positive = 200
    """Disagreements on the page at most; the table has all."""
