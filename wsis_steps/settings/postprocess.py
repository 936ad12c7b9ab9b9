"""Settings of the steps in postprocess/."""

from typing import Annotated

from pydantic import Field

from wsis_steps.settings.base import DenseCrf, Fraction


class PostprocessRefineWithCrf(DenseCrf):
    """Semantic maps from activation maps by two dense CRFs that must agree (after IRN's label step)."""

    foreground: Fraction = 0.30
    """Activation above which a pixel may be surely an object."""
    background: Fraction = 0.05
    """Activation below which a pixel may be surely background."""
    certainty: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Probability given to the label that enters the CRF."""
