"""Settings of the steps in region_classifier/."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from wsis_steps.engine.settings import Count, Fraction, Positive, Settings


class RegionClassifierTrain(Settings):
    """A linear classifier of region proposals, learned from labels on the features of a frozen backbone."""

    trains: ClassVar[bool] = True

    proposals: Literal["mcg", "imported"] = "mcg"
    """mcg, from `proposals_group_regions`, or imported, from `proposals_import_proposals`. `wsis predict` needs mcg,
    since it has to make proposals of new images."""
    positive: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Regions that overlap a label by at least this much are learned as its class."""
    negative: Fraction = 0.3
    """Regions that overlap every label by less than this are learned as background."""
    background: Positive = 150
    """Background regions sampled from each image, none from images with a tag that no label has."""
    background_weight: Annotated[float, Field(gt=0)] = 3.0
    """Total weight of the background regions, relative to that of all others."""
    most: Positive = 200_000
    """Maximum number of regions in all; with many images, fewer are sampled from each, at least one. Each takes 6 KB of
    memory with EfficientNet-Lite2."""
    l2_penalty: Annotated[float, Field(gt=0)] = 0.003
    """L2 penalty on the weights, added to the mean cross entropy; features are standardized."""
    seed: Count = 0
    """Seed of the sampling; set by the run."""

    @model_validator(mode="after")
    def _no_region_is_both(self) -> "RegionClassifierTrain":
        if self.negative > self.positive:
            raise ValueError(f"negative is {self.negative}, above positive ({self.positive}): regions would be both")
        return self


class RegionClassifierInfer(Settings):
    """Predictions on the evaluation images: the regions of each class that do not overlap a more probable one."""

    min_score: Fraction = 0.01
    """Regions with a lower probability are left out."""
    max_overlap: Fraction = 0.3
    """A region is left out if its intersection with a more probable one of its class is at least this share of the
    smaller of the two: parts of an object do not stay beside it."""
    max_instances: Positive = 10
    """Maximum number of regions per class."""
    detections: Positive = 100
    """Maximum number of regions per image."""
