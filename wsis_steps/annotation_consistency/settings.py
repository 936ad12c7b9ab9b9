"""Settings of the steps in annotation_consistency/."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from wsis_steps.engine.settings import Count, Fraction, Positive, Settings
from wsis_steps.maskrcnn.settings import MaskrcnnTrain
from wsis_steps.vision.settings import Training, backbone_type

Above = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]


class Scoring(Settings):
    """The score of a labeling and the annotation that it must agree with (Annotation Consistent Instances)."""

    supervision: Literal["tags", "boxes"] = "tags"
    """Set by the run."""
    pairwise: bool = True
    """The boundary-aware pairwise term; false is an ablation."""
    neighbours: Literal["touching", "within"] = "touching"
    """Which proposals count as neighbors. touching: those that a proposal touches or overlaps, where I is the mean
    strength of the contour between them; within: its parts, where I is the summed strength of the contours outside the
    part. Other defaults of the term were chosen for `touching`. Paper: not known."""
    pairwise_choice: Literal["highest_score", "greatest_gain"] = "highest_score"
    """Which of several neighbors a proposal grows along. Paper: not known."""
    pairwise_iterations: Positive = 3
    """N, the number of times that scores grow along pairs; paper: not known."""
    delta: Above = 1.0
    """Added to the score difference that a gain is divided by, in units of the spread of the image's scores; paper: not
    known."""
    edge_scale: Weight = 10.0
    """Factor of I in exp(-I). I is a mean from 0 to 1, or with `neighbours: within` a sum: 1 for a contour of full
    strength as long as the side of a square of the image's area. Paper: not known."""
    anchors: Positive = 16
    """Number of proposals per label, the best by mean score, that others may grow along; paper: not known."""
    higher_order: bool = True
    """The annotation-consistent term: every tag or box has a proposal; false is an ablation."""
    absent_classes: Literal["forbidden", "allowed"] = "forbidden"
    """Whether a proposal may take a class outside the annotation: one that the image is not tagged with or, with boxes,
    one without a box that the proposal overlaps enough (`box_overlap`). Applies with and without the higher-order term.
    Paper: not known."""
    box_overlap: Fraction = 0.5
    """Boxes only: minimum IoU of a proposal's box with an annotated one to take its class; paper: not known."""


class ConditionalTraining(Training):
    """Settings of both trainings of the conditional network."""

    proposals: Literal["mcg", "imported"] = "mcg"
    """Regions that may hold an object; paper: MCG. imported: those of proposals_import_proposals."""
    iterations: Positive = 10_582
    """Training iterations; ten passes over VOC. Paper: not known."""
    batch_size: Positive = 10
    """As Kohl et al.; paper: not known."""
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    learning_rate: Above = 1e-5
    """The final learning rate of Kohl et al."""
    weight_decay: Weight = 1e-5
    head_lr_factor: Above = 1.0
    """Learning rate of new layers or, in later rounds, of the layers after the noise, as a multiple of the rest's;
    paper: not known."""
    long_side: Count = 500
    """Larger images are downscaled to this longer side in pixels; 0 keeps their size. Paper: not known."""
    rot90: bool = False
    """Random 90-degree rotations and vertical flips; for images without a natural orientation."""
    max_proposals: Positive = 2000
    """Images with more proposals use a random subset of this many, resampled each time."""


class AnnotationConsistencyInitialise(ConditionalTraining):
    """The conditional network as a tag classifier, scored by its best proposals. Its schedule is that of Kohl et al.,
    which the paper cites."""

    iterations: Positive = 240_000
    """Training iterations."""
    learning_rate: Above = 1e-4
    schedule: Literal["constant", "drop", "poly", "one_cycle"] = "drop"
    drop_at: tuple[Fraction, ...] = (1 / 3, 2 / 3)
    drop_to: tuple[Fraction, ...] = (0.5, 0.1)
    """Fraction of `learning_rate` from each of drop_at on. Empty, which is the default with another drop_at: a tenth of
    the previous rate."""
    network: Literal["unet", "resnet"] = "unet"
    """unet: fine features of a U-Net; resnet: the last features of the backbone (supplement, section 3.2)."""
    backbone: backbone_type("plain") = "plain"
    """plain: the paper's U-Net, from random weights; any other is the encoder of the U-Net, or the whole ResNet. ResNet
    variant of the paper: resnet50 for tags, resnet101 for boxes."""
    weights: str = "none"
    widths: Annotated[tuple[Positive, ...], Field(min_length=2)] = (32, 64, 128, 192, 192, 192, 192)
    """Channels of the scales of `plain`; paper: as Kohl et al."""
    width: Positive = 32
    """Channels of the finest features with another backbone."""
    decoder_width: Positive = 64
    """Maximum number of channels of the decoder's coarser features with another backbone."""
    decoder_layers: Positive = 3
    """Convolutions per scale of the decoder with another backbone."""
    noise: Literal["tiled", "grid"] = "tiled"
    """tiled: one noise vector per sample at every pixel, as Kohl et al.; grid: one for each `noise_cell` pixels,
    interpolated. Paper: similar to Kohl et al."""
    noise_channels: Positive = 6
    """Length of these vectors; Kohl et al. 6, paper: an extra channel."""
    noise_cell: Positive | None = None
    """`noise: grid` only: side in pixels of the cells that share a vector, by default 32."""
    pooling: Literal["full", "mask"] = "mask"
    """Average a proposal's features over the whole image, as printed, or over its mask."""
    sharpness: Above = 4.0
    """The score of a tag is the log-mean-exp over proposals at this scale: near 0 their mean, high values their
    maximum."""

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
    """K, the number of label sets; paper 10."""
    long_side: Count = 500
    """Larger images are downscaled to this longer side in pixels; 0 keeps their size. Paper: not known."""
    candidates: Positive = 200
    """Instances are chosen from this many best proposals per label of a sample."""
    nms: Fraction = 0.3
    """Overlap above which the weaker of two proposals of a class is suppressed; paper: not known."""
    overlap: Literal["union", "smaller"] = "smaller"
    """Overlap is the intersection of two proposals divided by their union, or by the smaller of the two."""
    instances: Positive = 20
    """Maximum number of instances per class and image; paper: not known."""
    fit_power: Weight = 6.0
    """Boxes only: a proposal's quality is multiplied by the IoU of its box with the annotated one to this power; paper:
    not known."""
    min_share: Fraction = 0.2
    """Minimum quality of an instance, as a fraction of the best of its class in the image."""
    area_power: Weight = 1.0
    """Exponent of a proposal's area in its quality, by which instances are chosen; paper: not known."""
    prior_weight: Weight = 0.0
    """Weight of the proposal's own score, in standard deviations within the image, in the logarithm of its quality;
    paper: not known."""


class AnnotationConsistencyTrainPrediction(MaskrcnnTrain):
    """The prediction network: Mask R-CNN on the sampled label sets. Paper: resnet50 for tags, resnet101 for boxes."""

    gamma: Fraction = 0.5
    """gamma of the dissimilarity coefficient; paper 0.5."""
    self_diversity: bool = True
    """Reward the prediction network's own diversity; false is an ablation."""
    supervision: Literal["tags", "boxes"] = "tags"
    """Set by the run."""
    use_scores: bool | None = None
    """Weight each instance by its score; by default only with tags, since with boxes every box is an object. Paper:
    equal weights."""
    min_score: Fraction | None = None
    """Instances with a lower score are ignored regions: neither object nor background. By default 0.05 with tags, 0
    with boxes; paper: all are objects."""

    @model_validator(mode="after")
    def _resolve(self) -> "AnnotationConsistencyTrainPrediction":
        from_tags = self.supervision == "tags"
        if self.use_scores is None:
            self.use_scores = from_tags
        if self.min_score is None:
            self.min_score = 0.05 if from_tags else 0.0
        return self


class TaskLoss(Settings):
    """Delta between two labelings."""

    mask_weight: Weight = 1.0
    """Weight of the mask term; 0 skips the mask head. Paper: not known."""
    missed_cost: Above = 1.0
    """Cost of background where the prediction network sees a class; other errors cost 1. Mask R-CNN learns from few
    regions with objects and many without, so it is overconfident about background; paper: not known."""


class AnnotationConsistencyTrainConditional(Scoring, TaskLoss, ConditionalTraining):
    """The conditional network by direct loss minimization."""

    weights: Literal["previous"] = "previous"
    """Training continues from the network of the previous round."""
    samples: Annotated[int, Field(ge=2)] = 10
    """K, the number of samples; paper 10."""
    gamma: Fraction = 0.5
    """gamma of the dissimilarity coefficient; paper 0.5."""
    self_diversity: bool = True
    """Reward the conditional network's own diversity; false is an ablation."""
    epsilon: float = 1.0
    """epsilon of direct loss minimization, not 0; paper +1."""

    @field_validator("epsilon")
    @classmethod
    def _nonzero(cls, value: float) -> float:
        if value == 0:
            raise ValueError("scores are shifted by epsilon times a loss and divided by it; take 1 or -1")
        return value
