"""Settings of the steps in annotation_consistency/."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from wsis_steps.engine.settings import Count, Fraction, Positive, Settings
from wsis_steps.maskrcnn.settings import MaskrcnnTrain
from wsis_steps.vision.settings import Training, backbone_type

Above = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]


class Scoring(Settings):
    """The score of a labelling and the annotation that it must agree with (Annotation Consistent Instances)."""

    supervision: Literal["tags", "boxes"] = "tags"
    """Set by the run."""
    pairwise: bool = True
    """The boundary-aware pairwise term; false is an ablation."""
    neighbours: Literal["touching", "within"] = "touching"
    """Whom a proposal grows along: others that it touches or overlaps, I being the mean strength of the contour between
    them; or parts of it, I being the strength of the contours beyond the part, summed along them. Other defaults of the
    term were set for `touching`. Paper: not known."""
    pairwise_choice: Literal["highest_score", "greatest_gain"] = "highest_score"
    """Of several neighbours, the one that a proposal grows along. Paper: not known."""
    pairwise_iterations: Positive = 3
    """N, how often scores grow along pairs; paper: not known."""
    delta: Above = 1.0
    """Added to the difference of two scores that a gain is divided by, in units of the spread of the picture's scores;
    paper: not known."""
    edge_scale: Weight = 10.0
    """Factor of I in exp(-I). I is a mean from 0 to 1, or with `neighbours: within` a sum: 1 for a contour of full
    strength as long as the side of a square of the picture's area. Paper: not known."""
    anchors: Positive = 16
    """Proposals of each label, the best by mean score, from which others may grow; paper: not known."""
    higher_order: bool = True
    """The annotation-consistent term: every tag or box has a proposal; false is an ablation."""
    absent_classes: Literal["forbidden", "allowed"] = "forbidden"
    """Whether a proposal may have a class that the image's tags lack or, with boxes, that no box has which it overlaps
    enough (`box_overlap`); with the higher-order term or without. Paper: not known."""
    box_overlap: Fraction = 0.5
    """Boxes: IoU of a proposal's box with an annotated one from which it may have its class; paper: not known."""


class ConditionalTraining(Training):
    """What both trainings of the conditional network set."""

    proposals: Literal["mcg", "imported"] = "mcg"
    """Regions that may hold an object; paper: MCG. imported: those of proposals_import_proposals."""
    iterations: Positive = 10_582
    """Training iterations; ten passes over VOC. Paper: not known."""
    batch_size: Positive = 10
    """As Kohl et al.; paper: not known."""
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    learning_rate: Above = 1e-5
    """Where that of Kohl et al. ends."""
    weight_decay: Weight = 1e-5
    head_lr_factor: Above = 1.0
    """How many times as fast as the rest new layers learn or, in later rounds, the layers after the noise; paper: not
    known."""
    long_side: Count = 500
    """Pixels; larger pictures are shrunk to it, 0 keeps their size. Paper: not known."""
    rot90: bool = False
    """Random quarter turns and vertical flips; for pictures without an up."""
    max_proposals: Positive = 2000
    """Of an image with more, this many are drawn at random each time."""


class AnnotationConsistencyInitialise(ConditionalTraining):
    """The conditional network as a classifier of tags, by its best proposals. Its schedule is that of Kohl et al.,
    which the paper names."""

    iterations: Positive = 240_000
    """Training iterations."""
    learning_rate: Above = 1e-4
    schedule: Literal["constant", "drop", "poly", "one_cycle"] = "drop"
    drop_at: tuple[Fraction, ...] = (1 / 3, 2 / 3)
    drop_to: tuple[Fraction, ...] = (0.5, 0.1)
    """Share of `learning_rate` from each of drop_at on; empty, and by default with another drop_at: a tenth of what was
    before."""
    network: Literal["unet", "resnet"] = "unet"
    """unet: fine features of a U-Net; resnet: the last features of the backbone (supplement, section 3.2)."""
    backbone: backbone_type("plain") = "plain"
    """plain: the paper's U-Net, from random weights; otherwise the way down of the U-Net, or the whole ResNet. Paper's
    ResNet variant: resnet50 for tags, resnet101 for boxes."""
    weights: str = "none"
    widths: Annotated[tuple[Positive, ...], Field(min_length=2)] = (32, 64, 128, 192, 192, 192, 192)
    """Channels of the scales of `plain`; paper: as Kohl et al."""
    width: Positive = 32
    """Channels of the finest features with another backbone."""
    decoder_width: Positive = 64
    """Most channels of coarser features on the way up with another backbone."""
    decoder_layers: Positive = 3
    """Convolutions of each scale on the way up with another backbone."""
    noise: Literal["tiled", "grid"] = "tiled"
    """One vector of a sample at every pixel, as Kohl et al.; or one for each `noise_cell` pixels, interpolated. Paper:
    similar to Kohl et al."""
    noise_channels: Positive = 6
    """Length of these vectors; Kohl et al. 6, paper: an extra channel."""
    noise_cell: Positive | None = None
    """`noise: grid`: pixels of a side of what shares a vector, by default 32; `tiled` takes none."""
    pooling: Literal["full", "mask"] = "mask"
    """Mean of a proposal's features over the whole picture, as printed, or over its mask."""
    sharpness: Above = 4.0
    """The score of a tag is log-mean-exp over proposals at this scale: near 0 their mean, high their best."""

    @model_validator(mode="after")
    def _check(self) -> "AnnotationConsistencyInitialise":
        if self.backbone == "plain" and self.network == "resnet":
            raise ValueError("network: resnet needs a backbone other than plain")
        if self.backbone == "plain" and self.weights != "none":
            raise ValueError("backbone: plain starts from random weights; set weights to none")
        if self.noise == "tiled" and self.noise_cell is not None:
            raise ValueError("noise: tiled has no cells; leave noise_cell out, or set noise to grid")
        if self.noise == "grid" and self.noise_cell is None:
            self.noise_cell = 32
        return self


class AnnotationConsistencySample(Scoring):
    """K label sets of every training image."""

    seed: int = 0
    """Set by the run."""
    proposals: Literal["mcg", "imported"] = "mcg"
    """Regions that may hold an object; paper: MCG. imported: those of proposals_import_proposals."""
    samples: Positive = 10
    """K; paper 10."""
    long_side: Count = 500
    """Pixels; larger pictures are shrunk to it, 0 keeps their size. Paper: not known."""
    candidates: Positive = 200
    """Proposals of each label of a sample, the best, that instances are chosen from."""
    nms: Fraction = 0.3
    """Overlap above which the weaker of two proposals of a class goes; paper: not known."""
    overlap: Literal["union", "smaller"] = "smaller"
    """What the intersection of two proposals is divided by: their union, or the smaller of the two."""
    instances: Positive = 20
    """Most instances of a class of an image; paper: not known."""
    fit_power: Weight = 6.0
    """Boxes: of the IoU of a proposal's box with the annotated one, which multiplies its quality for that; paper: not
    known."""
    min_share: Fraction = 0.2
    """Of the quality of the best instance of its class in the image; those with less are left out."""
    area_power: Weight = 1.0
    """Of a proposal's area in its quality, by which instances are chosen; paper: not known."""
    prior_weight: Weight = 0.0
    """Of the score that a proposal came with, in standard deviations of the image's, in the logarithm of its quality;
    paper: not known."""


class AnnotationConsistencyTrainPrediction(MaskrcnnTrain):
    """The prediction network: Mask R-CNN on the sampled label sets. Paper: resnet50 for tags, resnet101 for boxes."""

    gamma: Fraction = 0.5
    """Of the dissimilarity coefficient; paper 0.5."""
    self_diversity: bool = True
    """The prediction network's own diversity, which its objective rewards; false is an ablation."""
    supervision: Literal["tags", "boxes"] = "tags"
    """Set by the run."""
    use_scores: bool | None = None
    """Weigh each instance by its score; by default with tags. With boxes every box is an object. Paper: all alike."""
    min_score: Fraction | None = None
    """Instances below are ignored regions: neither object nor background. By default 0.05 with tags, 0 with boxes;
    paper: all are objects."""

    @model_validator(mode="after")
    def _resolve(self) -> "AnnotationConsistencyTrainPrediction":
        from_tags = self.supervision == "tags"
        if self.use_scores is None:
            self.use_scores = from_tags
        if self.min_score is None:
            self.min_score = 0.05 if from_tags else 0.0
        return self


class TaskLoss(Settings):
    """Delta between two labellings."""

    mask_weight: Weight = 1.0
    """Of the mask's part; 0 spares the mask head. Paper: not known."""
    missed_cost: Above = 1.0
    """Of background where the prediction network sees a class, other mistakes having 1. Mask R-CNN learns from few
    regions with objects and from many without, so that it is too sure of background; paper: not known."""


class AnnotationConsistencyTrainConditional(Scoring, TaskLoss, ConditionalTraining):
    """The conditional network by direct loss minimization."""

    weights: Literal["previous"] = "previous"
    """It goes on from the round before."""
    samples: Annotated[int, Field(ge=2)] = 10
    """K; paper 10."""
    gamma: Fraction = 0.5
    """Of the dissimilarity coefficient; paper 0.5."""
    self_diversity: bool = True
    """The conditional network's own diversity, which its objective rewards; false is an ablation."""
    epsilon: float = 1.0
    """Of direct loss minimization, not 0; paper +1."""

    @field_validator("epsilon")
    @classmethod
    def _nonzero(cls, value: float) -> float:
        if value == 0:
            raise ValueError("scores are shifted by epsilon times a loss and divided by it; take 1 or -1")
        return value
