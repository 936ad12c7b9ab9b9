"""Settings of the steps in bestie/."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wsis_steps.engine.settings import Count, Fraction, Positive, Settings
from wsis_steps.vision.settings import Backbone, DenseCrf, Training, Window


class Grouping(Settings):
    """Settings of every step that groups pixels around centers."""

    supervision: Literal["tags", "points"] = "tags"
    """Set by the run."""
    min_area: Positive = 50
    """Connected components of fewer pixels are left out."""


class BestieLabel(Grouping):
    """First pseudo labels: components that hold exactly one cue (BESTIE, semantic knowledge transfer)."""

    instances: Literal["components", "regions"] = "components"
    """components: connected components of the semantic map, as in the paper. regions: the region proposals that fit the
    maps of an image's classes best and do not overlap; cues and the semantic map are then not used to separate
    objects."""
    proposals: Literal["mcg", "imported"] = "mcg"
    """Regions only: mcg, from `proposals_group_regions`, or imported, from `proposals_import_proposals`."""
    background: Fraction | None = None
    """Regions only: as in `postprocess_pool_over_regions`."""
    beta: Annotated[float, Field(gt=0)] = 0.55
    """Regions only: beta of the F-measure by which they are chosen; below 1, false positives cost more than misses."""
    max_overlap: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Regions only: of two that reach this intersection over union, the worse one is dropped."""
    min_share: Fraction = 0.7
    """Regions only: minimum F-measure of further regions, as a fraction of the best one of that class and image."""
    max_instances: Positive = 10
    """Regions only: maximum number per class and image."""

    @model_validator(mode="after")
    def _regions_of_tags(self) -> "BestieLabel":
        if self.instances == "regions" and self.supervision == "points":
            raise ValueError("instances: regions is for supervision: tags; points divide components")
        return self


class CenterFinding(Grouping):
    """Centers from center maps, completed by clusters of small offsets (BESTIE supplement, section 1)."""

    window: Window = 41
    """A center is the largest value in a window of this many pixels."""
    cluster_radius: Annotated[float, Field(gt=0)] = 2.5
    """Pixels with offsets shorter than this many pixels form a cluster."""
    cluster_area: Annotated[int, Field(ge=0)] = 21
    """Expected area of a cluster in pixels, at that radius."""
    cluster_tolerance: Annotated[int, Field(ge=0)] = 3
    """Clusters whose area differs from cluster_area by this many pixels or more are ignored; 0 ignores all."""
    cluster_distance: Annotated[float, Field(ge=0)] = 100.0
    """A cluster becomes a center if no peak is nearer than this many pixels."""
    min_cluster_center: Fraction = 0.05
    """Minimum center value at a cluster."""


class BestieTrain(Training, CenterFinding):
    """The instance network, with self-refinement (BESTIE; supplement, listings 4 to 6)."""

    backbone: Backbone = "hrnet_w48"
    """Feature extractor, which also determines the decoder; paper hrnet_w48 and resnet50."""
    iterations: Positive = 50_000
    """Training iterations."""
    batch_size: Positive = 16
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 5e-5
    head_lr_factor: Annotated[float, Field(gt=0)] = 1.0
    """Learning rate of the decoder, as a multiple of the backbone's; paper 1."""
    schedule: Literal["constant", "drop", "poly", "one_cycle"] = "poly"
    warm_up: Count = 2_000
    long_side: Count = 449
    """Longer side after resizing, rounded down to 1 mod 32; the shorter is rounded up to 1 mod 32. 0 keeps the size."""
    scale: tuple[float, float] = (0.7, 1.3)
    """Random scale after that."""
    crop: Positive = 416
    """Side of the random crop."""
    photometric: bool = True
    """Random brightness, contrast and hue, each with probability 1/2."""
    rot90: bool = False
    """Random 90-degree rotations and vertical flips; for images without a natural orientation."""
    class_wise_centers: bool = True
    """One center map per class; false is the class-agnostic ablation."""
    instance_aware_guidance: bool = True
    """Center and offset losses only inside labeled instances; false is the ablation."""
    refinement: bool = True
    """Online self-refinement; false is the ablation."""
    refine_from: Count = 0
    """Iteration from which refined labels are used."""
    min_refined_center: Fraction = 0.3
    """Minimum center value of a peak in refinement."""
    max_instances: Positive = 5
    """Components that would split into more instances are not refined."""
    sigma: Annotated[float, Field(gt=0)] = 6.0
    """Standard deviation in pixels of the Gaussian at a center."""
    hard_pixels: Annotated[float, Field(gt=0, le=1)] = 0.2
    """The semantic loss counts only this share of pixels, those with the largest loss; 1 is plain cross entropy."""
    semantic_weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the semantic term in the loss."""
    center_weight: Annotated[float, Field(ge=0)] = 200.0
    """Weight of the center term in the loss."""
    offset_weight: Annotated[float, Field(ge=0)] = 0.01
    """Weight of the offset term in the loss."""


class BestieInfer(CenterFinding, DenseCrf):
    """Instances from the network's maps (BESTIE, inference)."""

    min_center: Fraction = 0.1
    """Minimum center value of a peak."""
    flip: bool = False
    """Average semantic and center maps with the mirrored image; released code: off for tags, on for points."""
    long_side: Count = 0
    """Longer side of the network's input in pixels; 0 keeps the image's own, as the paper does."""
    size_multiple: Positive = 32
    """Sides of the network's input are rounded up to a multiple of this."""
    crf_iterations: Count = 0
    """Iterations of a dense CRF over the class probabilities before the grouping into instances; paper: 0, none."""
    background_weight: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the background probability in training images, whose tags must appear somewhere; paper: 1."""
