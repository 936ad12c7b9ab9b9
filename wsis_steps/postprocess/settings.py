"""Settings of the steps in postprocess/."""

from typing import Annotated, Literal

from pydantic import Field

from wsis_steps.engine.settings import Fraction, Settings
from wsis_steps.vision.settings import DenseCrf


class PostprocessRefineWithCrf(DenseCrf):
    """Semantic maps from activation maps by two dense CRFs that must agree (after IRN's label step)."""

    foreground: Fraction | Literal["expected"] = 0.30
    """Activation threshold of the CRF that finds certain objects: pixels above it start as objects. expected: for each
    map the one whose mask has the largest expected overlap with the class if activations are probabilities."""
    background: Fraction | Literal["expected"] = 0.05
    """Activation threshold of the CRF that finds certain background: pixels below it start as background. expected: a
    tenth of the expected threshold for objects."""
    certainty: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Initial probability of each pixel's label in the CRF."""


class PostprocessPoolOverRegions(Settings):
    """Semantic maps from class maps pooled over region proposals."""

    proposals: Literal["mcg", "imported"] = "mcg"
    """Source of the regions: mcg, from `proposals_group_regions`, or imported, from `proposals_import_proposals`."""
    background: Fraction | None = None
    """Minimum background value. The background is 1 minus the class maps, but at least this. By default 0.2 for
    activation maps, which do not model the background, and 0 for learned probabilities."""
    confidence: Annotated[float, Field(ge=0)] = 5.0
    """The weight of a region is exp(confidence times its highest mean probability); 0 weights all equally."""
    power: Annotated[float, Field(gt=0)] = 1.5
    """Exponent of the probabilities before superpixels are assigned to classes; above 1, fewer uncertain ones are."""
    missed: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Weight of a class's expected misses relative to its false positives; 1 is intersection over union."""


class PostprocessReplaceWithProposals(Settings):
    """Predicted masks replaced by the proposals that they overlap most (Deep Community Learning, section 3.4)."""

    proposals: Literal["mcg", "imported"] = "mcg"
    """Source of the proposals: mcg, from `proposals_group_regions`, or imported, from `proposals_import_proposals`."""
    min_overlap: Fraction = 0.0
    """A mask is kept if no proposal reaches this intersection over union with it; 0: if none overlaps it."""


class PostprocessMergeShards(Settings):
    """Merges the results of jobs that shared the images of a step."""
