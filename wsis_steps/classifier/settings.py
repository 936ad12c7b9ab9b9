"""Settings of the steps in classifier/."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from wsis_steps.engine.settings import Count, Fraction, Positive, Settings
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
    computes once; maps are made of them, too. All that counts then is `backbone`, `weights`, `normalization`,
    `output_stride`, `long_sides` and `l2_penalty`."""
    l2_penalty: Annotated[float, Field(gt=0)] = 0.1
    """L2 penalty on a class's weights, added to its mean cross entropy. Features are standardized. Frozen classifiers
    only."""
    long_sides: LongSides = (480,)
    """Pixels of the pictures' longer side, with their aspect kept and both sides rounded to the output stride. With
    several, each gives features of its own, to learn from and to average maps over. Frozen classifiers only."""
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

    @model_validator(mode="after")
    def _of_frozen(self) -> Self:
        given = [] if self.frozen else _changed(self, ("l2_penalty", "long_sides"))
        if given:
            raise ValueError(f"only a frozen classifier has {' and '.join(given)}; set frozen: true, or leave it out")
        return self

    def without_effect(self) -> list[str]:
        """Keys that are not at their defaults and have no effect where the classifier is frozen."""
        count = {"frozen", "seed", "l2_penalty", *ClassifierExtract.model_fields}
        return _changed(self, (key for key in type(self).model_fields if key not in count))


class ClassifierExtract(Settings):
    """Features of the training images, for a frozen classifier or `class_maps: learned`. This step takes its settings
    over from `classifier_train`. Set them there; where the classifier is not frozen, set here what differs."""

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

    def without_effect(self) -> list[str]:
        """Keys that are not at their defaults and have no effect where the classifier is frozen."""
        return _changed(self, ("size", "scales", "flip"))


class ClassifierLearnPixels(Settings):
    """Probabilities of pixels, background included, learned on frozen features from the activation maps."""

    rounds: Positive = 5
    """Rounds; the first learns from activation maps, each later one from the one before."""
    least_active: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """Share of all pixels, those of least activation, that the first round takes for background."""
    most_active: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """Share of all pixels, those of most activation, that the first round takes for their classes."""
    certainty: Fraction = 0.7
    """Least probability of what later rounds learn from."""
    l2_penalty: Annotated[float, Field(gt=0)] = 0.01
    """What the squares of the weights cost beside the mean cross entropy, features having mean 0 and deviation 1."""
    pixels: Positive = 150
    """Pixels drawn from each image and size of its features."""
    seed: Count = 0
    """Of that draw; set by the run."""

    @model_validator(mode="after")
    def _no_pixel_is_both(self) -> "ClassifierLearnPixels":
        if self.least_active + self.most_active > 1:
            raise ValueError("least_active and most_active are shares of the same pixels; together they exceed 1")
        return self


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
    """Images are resized to this square; null takes the side of the crops that the classifier was trained on. With a
    frozen classifier, to its `long_sides`."""
    shown: Positive = 200
    """Disagreements on the page at most; the table has all."""

    def without_effect(self) -> list[str]:
        """Keys that are not at their defaults and have no effect where the classifier is frozen."""
        return _changed(self, ("size",))


def _changed(values: Settings, keys: Iterable[str]) -> list[str]:
    return [key for key in keys if getattr(values, key) != type(values).model_fields[key].default]
