"""Settings of the steps in postprocess/."""

from typing import Annotated, Literal

from pydantic import Field

from wsis_steps.engine.settings import Fraction, Settings
from wsis_steps.vision.settings import DenseCrf


class PostprocessRefineWithCrf(DenseCrf):
    """Semantic maps from activation maps by two dense CRFs that must agree (after IRN's label step)."""

    foreground: Fraction = 0.30
    """Activation above which a pixel may be surely an object."""
    background: Fraction = 0.05
    """Activation below which a pixel may be surely background."""
    certainty: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Probability given to the label that enters the CRF."""


class PostprocessPoolOverRegions(Settings):
    """Semantic maps from maps of classes, pooled over region proposals."""

    proposals: Literal["mcg", "imported"] = "mcg"
    """Where the regions come from: ours, or those that `proposals_import_proposals` read."""
    background: Fraction | None = None
    """Least value of the background beside maps of classes in 0 to 1; it gets what they leave of 1. By default 0.2 for
    activation maps, which say nothing of it, and 0 for learned probabilities."""
    confidence: Annotated[float, Field(ge=0)] = 5.0
    """A region counts exp(confidence times its highest mean probability); 0 counts all alike."""
    power: Annotated[float, Field(gt=0)] = 1.5
    """Of probabilities before a class gets its superpixels; above 1 it gets fewer that are unsure."""
    missed: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Weight of what a class is expected to miss, beside what it covers wrongly; 1 is intersection over union."""


class PostprocessReplaceWithProposals(Settings):
    """Predicted masks replaced by the proposals that they overlap most (Deep Community Learning, section 3.4)."""

    proposals: Literal["mcg", "imported"] = "mcg"
    """Where the proposals come from: ours, or those that `proposals_import_proposals` read."""
    min_overlap: Fraction = 0.0
    """A mask stays where no proposal reaches this intersection over union with it; 0: where none touches it."""


class PostprocessMergeShards(Settings):
    """Joins what jobs made that shared the images of a step."""
