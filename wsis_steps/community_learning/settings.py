"""Settings of the steps in community_learning/."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wsis_steps.engine.settings import Count, Fraction, Positive
from wsis_steps.vision.backbone_table import has_batch_norm
from wsis_steps.vision.settings import Backbone, DenseCrf, Training

Sides = Annotated[tuple[Positive, ...], Field(min_length=1)]


class CommunityLearningTrain(Training):
    """Detector, mask generation and segmentation, trained together (Deep Community Learning, sections 3 and 4.1)."""

    backbone: Backbone = "resnet50_gn"
    """Feature extractor; paper: ResNet-50 with group normalization."""
    norm: Literal["group", "frozen"] = "group"
    """group: the backbone and its weights use group normalization, since weights trained with batch normalization are
    useless without its statistics; frozen: batch normalization keeps the statistics of the weights. Paper: group, for
    its batches of two."""
    proposals: Literal["selective_search", "imported"] = "selective_search"
    """Boxes that may hold an object; paper: Selective Search. imported: those of proposals_import_proposals."""
    iterations: Positive = 120_000
    """Training iterations."""
    batch_size: Positive = 2
    accumulation: Positive = 1
    """Number of parts in which a batch is processed, so that larger batches fit into memory; must divide batch_size."""
    head_lr_factor: Annotated[float, Field(gt=0)] = 1.0
    """Learning rate of new layers, as a multiple of the backbone's; paper: 1, OICR's code: 10 for refinement heads."""
    bias_lr_factor: Annotated[float, Field(gt=0)] = 1.0
    """Learning rate of biases, as a multiple of the weights'; paper: not stated, OICR's code: 2."""
    image_losses: Literal["sum", "mean"] = "sum"
    """How image losses combine to the loss of a batch; paper: not stated, the first author's detector sums them."""
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    schedule: Literal["constant", "drop", "poly", "one_cycle"] = "drop"
    drop_at: tuple[Fraction, ...] = (0.75,)
    short_sides: Sides = (480, 576, 688, 864, 1000)
    """The shorter side in pixels after resizing is one of these, chosen at random."""
    long_side: Positive = 2000
    """Maximum longer side in pixels; takes precedence over the shorter side."""
    rot90: bool = False
    """Random 90-degree rotations and vertical flips; for images without a natural orientation."""
    max_proposals: Positive = 4000
    """Images with more proposals use a random subset of this many, resampled each time; paper: all."""
    roi: Literal["align", "pool"] = "align"
    """How features of a proposal are extracted from those of the image: RoIAlign or RoIPool."""
    roi_size: Positive = 7
    """Cells per side of a proposal's features; paper 7."""
    roi_chunk: Positive = 256
    """Proposals processed at once, fewer if they have more cells. Changes memory and time, not the result."""
    refinement_heads: Positive = 3
    """K of equation 6; paper 3."""
    seeds: Literal["best", "foreground"] = "best"
    """Seeds of the refinement. best: the best proposal of each class (paper, appendix A.2.3), which treats the class's
    other objects as background; foreground: all foreground proposals (section 3.2.1), by the scores that the head
    learns from."""
    seed_boxes: Literal["proposed", "moved", "cluster"] = "proposed"
    """Box of a seed by which proposals are labeled. proposed: the proposal itself (paper, appendix A.2.3); moved: the
    regressed box, a reading of section 4.4.1, where regression helps "by generating better pseudo-ground-truths"
    (without a regressor as proposed); cluster: the score-weighted mean of the proposals near it, which less often
    covers only a part of the object."""
    seed_overlap: Fraction = 0.5
    """Proposals with at least this IoU take the class of their seed."""
    min_seed_overlap: Fraction = 0.0
    """Proposals below this IoU with every seed are ignored; OICR and paper 0, PCL 0.1."""
    foreground_nms: Fraction = 0.3
    """IoU threshold of the suppression that selects foreground proposals."""
    min_foreground_share: Fraction = 0.5
    """Minimum score of foreground proposals, as a fraction of their class's highest; paper: not stated."""
    foreground_overlap: Fraction = 0.5
    """Proposals with at least this IoU with a foreground proposal are objects in mask generation; paper: not stated."""
    background_overlap: Fraction = 0.1
    """Minimum IoU of background proposals with the foreground; paper: not stated."""
    sampled_objects: Positive = 32
    """Maximum number of object proposals per image in mask generation; paper: not stated."""
    sampled_background: Count = 32
    """Maximum number of background proposals per image in mask generation; paper: not stated."""
    regression: Literal["class_agnostic", "class_specific", "none"] = "class_agnostic"
    """Box regressor: one for all classes, one per class (ablation), or none (ablation)."""
    regression_overlap: Fraction = 0.6
    """A proposal is regressed to its nearest pseudo ground truth above this IoU."""
    regression_target: Literal["best", "cluster"] = "best"
    """Pseudo ground truth of a class: its best foreground proposal (paper), or the score-weighted mean of the proposals
    near it."""
    cluster_overlap: Fraction = 0.3
    """IoU from which a proposal counts as near the best one, for regression_target: cluster and seed_boxes: cluster."""
    regression_regions: Literal["sampled", "all"] = "sampled"
    """The proposals R of equation 5, whose number divides the loss: those that section 3.2.1 samples in the detection
    module, or all, few of which have a pseudo ground truth."""
    offset_std: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 0.2)
    """Offsets are divided by these; paper: not stated, those of Fast R-CNN."""
    regressor_width: Positive = 1024
    """Units of the regressor's first layer; paper: not stated."""
    regressor_pooling: Literal["mean", "none"] = "mean"
    """Input of the regressor from res5: the mean over its cells, as for the classifiers, or every cell; paper: not
    stated. The mean says little about where in the proposal the object lies."""
    mask_generation: bool = True
    """Class activation maps of the proposals; false uses boxes as masks (ablation)."""
    activation_maps: Annotated[int, Field(ge=1, le=4)] = 3
    """Number of the backbone's last four levels with a class activation map; paper 3."""
    activation_width: Positive = 512
    """Channels below a class activation map; paper: not stated."""
    background_map: bool = True
    """A background class in the maps' classifiers; false is an ablation."""
    weighted_pooling: bool = True
    """Weight the center of a proposal more in the maps' classifiers; false is an ablation."""
    pooling_sigma: Annotated[float, Field(gt=0)] = 0.25
    """Standard deviation of that weighting, as a fraction of the proposal's side; paper: not stated."""
    feature_smoothing: bool = True
    """log(1 + f) of the features below a map; false is an ablation."""
    mask_size: Positive = 28
    """T, the number of cells per side of a mask."""
    mask_threshold: Fraction = 0.4
    """xi of equations 1 and 10: a mask is where the mean map exceeds it."""
    segmentation: bool = True
    """Instance segmentation trained on the generated masks; false is an ablation."""
    segmentation_width: Positive = 256
    """Channels of its convolutions; paper: not stated."""
    segmentation_layers: Positive = 4
    """Number of convolutions before its output."""
    segmentation_regions: Literal["selected", "foreground", "sampled"] = "selected"
    """The objects of equation 9. selected: "each selected proposal" (section 3.2.2), read as the best foreground
    proposal of each class, which section 3.2.1 calls so; foreground: all foreground proposals after suppression;
    sampled: all sampled objects. Early in training, foreground and sampled both fill `sampled_objects`, whose sum is
    half the whole loss."""
    segmentation_mean: bool = False
    """Divide equation 9 by the number of proposals; as printed it is a sum."""

    @model_validator(mode="after")
    def _check(self) -> "CommunityLearningTrain":
        if self.norm == "group" and self.weights in ("imagenet", "classifier") and has_batch_norm(self.backbone):
            raise ValueError(
                f"{self.backbone} is trained with batch normalization, whose statistics norm: group would lose; use "
                "norm: frozen, or backbone: resnet50_gn"
            )
        if self.segmentation and not self.mask_generation:
            raise ValueError("segmentation learns from mask_generation; set segmentation to false too")
        if self.batch_size % self.accumulation:
            raise ValueError(f"accumulation is {self.accumulation}, which does not divide batch_size {self.batch_size}")
        if self.background_overlap > self.foreground_overlap:
            raise ValueError("background_overlap is above foreground_overlap")
        return self


class CommunityLearningInfer(DenseCrf):
    """Detections with masks, averaged over scales and mirrored images (Deep Community Learning, section 3.4)."""

    short_sides: Sides = (480, 576, 688, 864, 1000)
    """Shorter sides in pixels of the passes that are averaged."""
    long_side: Positive = 2000
    """Maximum longer side in pixels."""
    flip: bool = True
    """Run each pass also on the mirrored image."""
    nms: Fraction = 0.3
    """Box overlap above which the weaker detection of a class is suppressed."""
    box_voting: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Above 0, a detection's box is the score-weighted mean of all boxes of its class, also suppressed ones, that
    overlap it by more than this (Gidaris and Komodakis, ICCV 2015); 0: its own box, as in the paper."""
    min_score: Fraction = 1e-3
    """Detections with a lower score are left out; paper: not stated."""
    detections: Positive = 100
    """Maximum number of detections per image; paper: not stated."""
    crf_iterations: Count = 0
    """Iterations of a dense CRF around each mask; 0: none, as in the paper, and `certainty` and the kernels have no
    effect."""
    certainty: Annotated[float, Field(gt=0.5, lt=1)] = 0.7
    """Probability given to a mask that enters the CRF."""
    roi_chunk: Positive = 256
    """Proposals processed at once, fewer if they have more cells. Changes memory and time, not the result."""
