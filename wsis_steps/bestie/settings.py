"""Settings of the steps in bestie/."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wsis_steps.engine.settings import Count, Fraction, Positive, Settings
from wsis_steps.vision.settings import Backbone, DenseCrf, Training, Window


class Grouping(Settings):
    """Settings shared by every stage that groups pixels around centers."""

    supervision: Literal["tags", "points"] = "tags"
    """Set by the run."""
    min_area: Positive = 50
    """Connected components below this many pixels are left out."""


class BestieLabel(Grouping):
    """First pseudo labels: components that hold exactly one cue (BESTIE, semantic knowledge transfer)."""

    instances: Literal["components", "regions"] = "components"
    """components: of the semantic map, as in the paper. regions: the region proposals that overlap the maps of an
    image's classes best, as many as lie side by side; cues and semantic map then do not divide objects."""
    proposals: Literal["mcg", "imported"] = "mcg"
    """Of regions: ours, or those that `proposals_import_proposals` read."""
    background: Fraction | None = None
    """Of regions: as in `postprocess_pool_over_regions`."""
    beta: Annotated[float, Field(gt=0)] = 0.55
    """Of regions: of the F-measure by which they are chosen; below 1 covering wrongly costs more than missing."""
    max_overlap: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Of regions: intersection over union at which the worse one goes."""
    min_share: Fraction = 0.7
    """Of regions: least F-measure of further ones of a class and image, as a share of the best one's."""
    max_instances: Positive = 10
    """Of regions: most of a class and image."""

    @model_validator(mode="after")
    def _regions_of_tags(self) -> "BestieLabel":
        if self.instances == "regions" and self.supervision == "points":
            raise ValueError("instances: regions is for supervision: tags; points divide components")
        return self


class CenterFinding(Grouping):
    """Centers from center maps, completed by clusters of small offsets (BESTIE supplement, section 1)."""

    window: Window = 41
    """Pixels; a center is the largest value of this window."""
    cluster_radius: Annotated[float, Field(gt=0)] = 2.5
    """Pixels; offsets shorter than this belong to a cluster."""
    cluster_area: Annotated[int, Field(ge=0)] = 21
    """Pixels; a cluster's area at that radius."""
    cluster_tolerance: Annotated[int, Field(ge=0)] = 3
    """Pixels; clusters this far or further from cluster_area are not trusted; 0 takes none."""
    cluster_distance: Annotated[float, Field(ge=0)] = 100.0
    """Pixels; a cluster becomes a center where no peak is nearer."""
    min_cluster_center: Fraction = 0.05
    """Smallest center value at a cluster."""


class BestieTrain(Training, CenterFinding):
    """The instance network, with self-refinement (BESTIE; supplement, listings 4 to 6)."""

    backbone: Backbone = "hrnet_w48"
    """Feature extractor and, with it, the decoder; paper hrnet_w48 and resnet50."""
    iterations: Positive = 50_000
    """Training iterations."""
    batch_size: Positive = 16
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 5e-5
    head_lr_factor: Annotated[float, Field(gt=0)] = 1.0
    """The decoder learns this many times as fast as the backbone; paper 1."""
    schedule: Literal["constant", "drop", "poly", "one_cycle"] = "poly"
    warm_up: Count = 2_000
    long_side: Count = 449
    """The longer side after resizing, down to 1 mod 32; the shorter goes up to 1 mod 32. 0 keeps the image's size."""
    scale: tuple[float, float] = (0.7, 1.3)
    """Random scale after that."""
    crop: Positive = 416
    """Side of the random crop."""
    photometric: bool = True
    """Random brightness, contrast and hue, each with probability 1/2."""
    rot90: bool = False
    """Random quarter turns and vertical flips; for pictures without an up."""
    class_wise_centers: bool = True
    """One center map a class; false is the class-agnostic ablation."""
    instance_aware_guidance: bool = True
    """Center and offset losses on labelled instances only; false is the ablation."""
    refinement: bool = True
    """Online self-refinement; false is the ablation."""
    refine_from: Count = 0
    """Iteration from which refined labels are used."""
    min_refined_center: Fraction = 0.3
    """Smallest center value of a peak in refinement."""
    max_instances: Positive = 5
    """Components that fall into more instances are not refined."""
    sigma: Annotated[float, Field(gt=0)] = 6.0
    """Pixels; Gaussian of a center."""
    hard_pixels: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Share of pixels with the largest semantic loss that count; 1 is plain cross entropy."""
    semantic_weight: Annotated[float, Field(ge=0)] = 1.0
    """Of the semantic term in the loss."""
    center_weight: Annotated[float, Field(ge=0)] = 200.0
    """Of the center term in the loss."""
    offset_weight: Annotated[float, Field(ge=0)] = 0.01
    """Of the offset term in the loss."""


class BestieInfer(CenterFinding, DenseCrf):
    """Instances from the network's maps (BESTIE, inference)."""

    min_center: Fraction = 0.1
    """Smallest center value of a peak."""
    flip: bool = False
    """Average semantic and center maps with the mirrored image; released: off for tags, on for points."""
    long_side: Count = 0
    """The longer side that the network sees; 0 keeps the image's own, as the paper does."""
    size_multiple: Positive = 32
    """Sides that the network sees are rounded up to a multiple of this."""
    crf_iterations: Count = 0
    """Of a dense CRF over the class probabilities, before they are grouped into instances; paper: 0, none."""
    background_weight: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the background's probability in training images, whose tags say what must be there; paper: 1."""
