"""Settings of the steps in community_learning/."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wsis_steps.engine.settings import Count, Fraction, Positive, Settings
from wsis_steps.vision.backbone_table import has_batch_norm
from wsis_steps.vision.settings import Backbone, Training

Sides = Annotated[tuple[Positive, ...], Field(min_length=1)]


class CommunityLearningTrain(Training):
    """Detector, mask generation and segmentation, trained together (Deep Community Learning, sections 3 and 4.1)."""

    backbone: Backbone = "resnet50_gn"
    """Feature extractor; paper: ResNet-50 with group normalization."""
    norm: Literal["group", "frozen"] = "group"
    """group: the backbone has group normalization, and so must its weights, since those for batch normalization mean
    nothing without its statistics; frozen: batch normalization keeps the statistics of the weights. Paper: group, for
    its batches of two."""
    proposals: Literal["selective_search", "imported"] = "selective_search"
    """Boxes that may hold an object; paper: Selective Search. imported: those of proposals_import_proposals."""
    iterations: Positive = 120_000
    """Training iterations."""
    batch_size: Positive = 2
    accumulation: Positive = 1
    """Parts that a batch goes through the network in, so that a larger one fits into memory; divides batch_size."""
    head_lr_factor: Annotated[float, Field(gt=0)] = 1.0
    """New layers learn this many times as fast as the backbone; paper: 1, OICR's code: 10 for refinement heads."""
    bias_lr_factor: Annotated[float, Field(gt=0)] = 1.0
    """Biases learn this many times as fast as weights; paper: not stated, OICR's code: 2."""
    image_losses: Literal["sum", "mean"] = "sum"
    """What the loss of a batch is of those of its images; paper: not stated, the first author's detector sums them."""
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    schedule: Literal["constant", "drop", "poly", "one_cycle"] = "drop"
    drop_at: tuple[Fraction, ...] = (0.75,)
    short_sides: Sides = (480, 576, 688, 864, 1000)
    """Pixels; the shorter side after resizing is one of these, drawn at random."""
    long_side: Positive = 2000
    """Pixels; the longer side is at most this, whatever the shorter would be."""
    rot90: bool = False
    """Random quarter turns and vertical flips; for pictures without an up."""
    max_proposals: Positive = 4000
    """Of an image with more, this many are drawn at random each time; paper: all."""
    roi: Literal["align", "pool"] = "align"
    """How the features of a proposal are taken from those of the picture."""
    roi_size: Positive = 7
    """Cells of a side of the detector's features; paper 7."""
    roi_chunk: Positive = 256
    """Proposals that go through the network at once, fewer where they have more cells. Changes memory and time, not the
    result."""
    refinement_heads: Positive = 3
    """K of equation 6; paper 3."""
    seeds: Literal["best", "foreground"] = "best"
    """Seeds of the refinement: the best proposal of each class (paper, appendix A.2.3), which makes background of its
    other objects, or all foreground proposals (those of section 3.2.1, of the scores that the head learns from)."""
    seed_boxes: Literal["proposed", "moved", "cluster"] = "proposed"
    """Where a seed lies when proposals are labeled by their overlap with it: where it was proposed (paper, appendix
    A.2.3); where the regressor moves it, a reading of section 4.4.1, by which regression helps "by generating better
    pseudo-ground-truths" (without a regressor as proposed); or at the mean of the proposals near it, weighted by their
    scores, which is less often a part of its object."""
    seed_overlap: Fraction = 0.5
    """A proposal takes the class of its seed from this IoU on."""
    min_seed_overlap: Fraction = 0.0
    """Proposals below this IoU with every seed teach nothing; OICR and paper 0, PCL 0.1."""
    foreground_nms: Fraction = 0.3
    """IoU of the suppression that leaves the foreground proposals."""
    min_foreground_share: Fraction = 0.5
    """Foreground proposals have at least this share of their class's highest score; paper: not stated."""
    foreground_overlap: Fraction = 0.5
    """Proposals with this IoU with a foreground proposal are objects in mask generation; paper: not stated."""
    background_overlap: Fraction = 0.1
    """Background proposals overlap the foreground at least by this; paper: not stated."""
    sampled_objects: Positive = 32
    """Most proposals of objects of an image in mask generation; paper: not stated."""
    sampled_background: Count = 32
    """Most proposals of background of an image in mask generation; paper: not stated."""
    regression: Literal["class_agnostic", "class_specific", "none"] = "class_agnostic"
    """Box regressor: one for all classes, one for each (ablation), or none (ablation)."""
    regression_overlap: Fraction = 0.6
    """A proposal is regressed to its nearest pseudo ground truth above this IoU."""
    regression_target: Literal["best", "cluster"] = "best"
    """Pseudo ground truth of a class: its best foreground proposal (paper), or the mean of the proposals near that,
    weighted by their scores."""
    cluster_overlap: Fraction = 0.3
    """IoU from which a proposal is near the best one, for regression_target and seed_boxes: cluster."""
    regression_regions: Literal["sampled", "all"] = "sampled"
    """The proposals R of equation 5, by whose number it divides: those that section 3.2.1 samples in the detection
    module, or all, few of which have a pseudo ground truth."""
    offset_std: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 0.2)
    """Offsets are divided by these; paper: not stated, those of Fast R-CNN."""
    regressor_width: Positive = 1024
    """Units of the regressor's first layer; paper: not stated."""
    regressor_pooling: Literal["mean", "none"] = "mean"
    """What the regressor sees of res5: the mean over its cells, as the classifiers do, or each cell; paper: not
    stated. In the mean little is left of where in the proposal its object lies."""
    mask_generation: bool = True
    """Class activation maps of the proposals; without them boxes are the masks (ablation)."""
    activation_maps: Annotated[int, Field(ge=1, le=4)] = 3
    """How many of the backbone's last four levels have a class activation map; paper 3."""
    activation_width: Positive = 512
    """Channels below a class activation map; paper: not stated."""
    background_map: bool = True
    """A background class in the maps' classifiers; false is an ablation."""
    weighted_pooling: bool = True
    """The middle of a proposal weighs more in the maps' classifiers; false is an ablation."""
    pooling_sigma: Annotated[float, Field(gt=0)] = 0.25
    """Width of that Gaussian over the proposal's side; paper: not stated."""
    feature_smoothing: bool = True
    """log(1 + f) of the features below a map; false is an ablation."""
    mask_size: Positive = 28
    """T: cells of a side of a mask."""
    mask_threshold: Fraction = 0.4
    """xi of equations 1 and 10: where the mean map is higher, an object is taken to be."""
    segmentation: bool = True
    """Instance segmentation, trained on the masks that the maps make; false is an ablation."""
    segmentation_width: Positive = 256
    """Channels of its convolutions; paper: not stated."""
    segmentation_layers: Positive = 4
    """Convolutions before its output."""
    segmentation_regions: Literal["selected", "foreground", "sampled"] = "selected"
    """The objects of equation 9: "each selected proposal" (section 3.2.2), which section 3.2.1 says of the best
    foreground proposal of each class; all foreground proposals, which suppression leaves; or all that are sampled.
    Before scores differ all but the first are `sampled_objects`, whose sum is half of the whole loss."""
    segmentation_mean: bool = False
    """Divide equation 9 by the number of proposals; as printed it is their sum."""

    @model_validator(mode="after")
    def _check(self) -> "CommunityLearningTrain":
        if self.norm == "group" and self.weights in ("imagenet", "classifier") and has_batch_norm(self.backbone):
            raise ValueError(
                f"{self.backbone} is trained with batch normalization, whose statistics norm: group would lose; take "
                "norm: frozen, or backbone: resnet50_gn"
            )
        if self.segmentation and not self.mask_generation:
            raise ValueError("segmentation learns from mask_generation; set segmentation to false too")
        if self.batch_size % self.accumulation:
            raise ValueError(f"accumulation is {self.accumulation}, which does not divide batch_size {self.batch_size}")
        if self.background_overlap > self.foreground_overlap:
            raise ValueError("background_overlap is above foreground_overlap")
        return self


class CommunityLearningInfer(Settings):
    """Detections with masks, the mean over scales and mirrored pictures (Deep Community Learning, section 3.4)."""

    short_sides: Sides = (480, 576, 688, 864, 1000)
    """Pixels; the shorter side of the picture in each of the passes that are averaged."""
    long_side: Positive = 2000
    """Pixels; the longer side at most."""
    flip: bool = True
    """Each pass also on the mirrored picture."""
    nms: Fraction = 0.3
    """Box overlap above which the weaker detection of a class goes."""
    box_voting: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Above 0 a detection's box is the mean of all of its class that overlap it by more, also of those that go,
    weighted by their scores (Gidaris and Komodakis, ICCV 2015); 0: its own, as in the paper."""
    min_score: Fraction = 1e-3
    """Detections with a lower score are left out; paper: not stated."""
    detections: Positive = 100
    """Detections an image at most; paper: not stated."""
    roi_chunk: Positive = 256
    """Proposals that go through the network at once, fewer where they have more cells. Changes memory and time, not the
    result."""
