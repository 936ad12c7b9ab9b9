"""Settings of the steps in classifier/."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from wsis_steps.engine.settings import Count, Fraction, Positive, Settings
from wsis_steps.vision.settings import Backbone, Normalization, Training, Window, check_normalization


def _no_classifier(weights: str) -> str:
    if weights == "classifier":
        raise ValueError("the classifier cannot start from itself; use imagenet, none or a path")
    return weights


Weights = Annotated[str, AfterValidator(_no_classifier)]
OutputStride = Literal[8, 16, 32, "own"]
LongSides = Annotated[tuple[Positive, ...], Field(min_length=1)]


class ClassifierTrain(Training):
    """Tag classifier with peak attention (BESTIE supplement, section 3; released code)."""

    backbone: Backbone = "vgg16"
    """Feature extractor; paper vgg16."""
    weights: Weights = "imagenet"
    """Initial backbone weights: imagenet, none or a path."""
    frozen: bool = False
    """Keep the backbone's pretrained weights and fit a linear head to its features, which classifier_extract computes
    once; activation maps are made from the same features. Only `backbone`, `weights`, `normalization`, `output_stride`,
    `long_sides` and `l2_penalty` then have an effect."""
    l2_penalty: Annotated[float, Field(gt=0)] = 0.1
    """L2 penalty on a class's weights, added to its mean cross entropy; features are standardized. Frozen classifiers
    only."""
    long_sides: LongSides = (480,)
    """Longer side of the images in pixels; the aspect ratio is kept and both sides are rounded to the output stride.
    Several sizes give separate features, all used in training; their maps are averaged. Frozen classifiers only."""
    attention: Literal["pam", "none"] = "pam"
    """pam: peak attention; none: plain class activation maps."""
    alpha: Fraction = 0.5
    """Peak attention zeroes values below this fraction of a channel's peak; supplement 0.5, released code 0.7."""
    alpha_ramp: Fraction = 0.0
    """Fraction of the training during which alpha rises from 0 to its value; paper 0. Helps with few images."""
    attention_layers: tuple[Literal[4, 5, 6], ...] = (6,)
    """Layer groups with peak attention (supplement, table 3); 6 is the head."""
    head_width: Positive = 512
    """Channels of the head's convolutions."""
    output_stride: OutputStride = 8
    """Stride of the activation maps in pixels; paper 8. own: the backbone's own, the only one that a vision transformer
    has (DINOv2: 14)."""
    head_lr_factor: Annotated[float, Field(gt=0)] = 10.0
    """Learning rate of the head, as a multiple of the backbone's."""
    epochs: Positive = 15
    """Passes over the training images."""
    batch_size: Positive = 5
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Learning rate of the backbone's weights; biases learn twice as fast."""
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
    """Random 90-degree rotations and vertical flips; for images without a natural orientation."""

    @model_validator(mode="after")
    def _of_frozen(self) -> Self:
        given = [] if self.frozen else _changed(self, ("l2_penalty", "long_sides"))
        if given:
            raise ValueError(f"only a frozen classifier has {' and '.join(given)}; set frozen: true, or leave it out")
        return self

    def without_effect(self) -> list[str]:
        """Keys with non-default values that have no effect with a frozen classifier."""
        count = {"frozen", "seed", "l2_penalty", *ClassifierExtract.model_fields}
        return _changed(self, (key for key in type(self).model_fields if key not in count))


class ClassifierExtract(Settings):
    """Features of the training images, for a frozen classifier or `class_maps: learned`. The settings default to those
    of `classifier_train`: set them there, or here if the classifier is not frozen and they should differ."""

    backbone: Backbone = "vgg16"
    """As in classifier_train."""
    weights: Weights = "imagenet"
    """As in classifier_train; with none, the features are those of a random network."""
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
    """Images are resized to this square; for a vision transformer, to the nearest multiple of its patch size. No effect
    with a frozen classifier, whose maps are made from its features."""
    scales: tuple[float, ...] = (1.0,)
    """Sizes relative to `size` whose maps are averaged; IRN uses 1, 0.5, 1.5, 2. No effect with a frozen classifier."""
    flip: bool = True
    """Average with the mirrored image. No effect with a frozen classifier."""
    stride: Positive = 1
    """Maps are stored at the image size divided by this, and cues are found at that size. Coarser maps have fewer cues;
    finer ones take more disk space (two bytes per pixel before compression). Released code 1."""

    def without_effect(self) -> list[str]:
        """Keys with non-default values that have no effect with a frozen classifier."""
        return _changed(self, ("size", "scales", "flip"))


class ClassifierLearnPixels(Settings):
    """Class probabilities of pixels, background included, learned on frozen features from the activation maps."""

    rounds: Positive = 5
    """Number of rounds; the first learns from activation maps, each later one from the previous round."""
    least_active: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """Share of all pixels, those with the lowest activation, that the first round learns as background."""
    most_active: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """Share of all pixels, those with the highest activation, that the first round learns as their class."""
    certainty: Fraction = 0.7
    """Later rounds learn from pixels of at least this probability."""
    l2_penalty: Annotated[float, Field(gt=0)] = 0.01
    """L2 penalty on the weights, added to the mean cross entropy; features are standardized."""
    pixels: Positive = 150
    """Pixels sampled from each image at each of `long_sides`."""
    seed: Count = 0
    """Seed of the sampling; set by the run."""

    @model_validator(mode="after")
    def _no_pixel_is_both(self) -> "ClassifierLearnPixels":
        if self.least_active + self.most_active > 1:
            raise ValueError("least_active and most_active are shares of the same pixels; together they exceed 1")
        return self


class ClassifierFindPeaks(Settings):
    """Instance cues: local maxima of the activation maps."""

    kernel: Window = 15
    """A peak is the largest value in a window of this many pixels."""
    smoothing: Window = 3
    """Window in pixels of the mean filter applied first."""
    top_k: Positive = 25
    """Peaks kept per class and image."""
    min_value: Fraction = 0.5
    """Minimum value of a peak; supplement 0.5, released code 0.7."""


class ClassifierAuditTags(Settings):
    """Images whose tags the classifier disagrees with."""

    size: Positive | None = None
    """Images are resized to this square; null: the crop size of the classifier's training. A frozen classifier uses its
    `long_sides` instead."""
    shown: Positive = 200
    """Maximum number of disagreements on the page; the table lists all."""

    def without_effect(self) -> list[str]:
        """Keys with non-default values that have no effect with a frozen classifier."""
        return _changed(self, ("size",))


def _changed(values: Settings, keys: Iterable[str]) -> list[str]:
    return [key for key in keys if getattr(values, key) != type(values).model_fields[key].default]
