"""Settings of the steps in postprocess/."""

from wsis_steps.settings.base import DenseCrf, Fraction


class PostprocessRefineWithCrf(DenseCrf):
    """Semantic maps from activation maps by two dense CRFs that must agree (after IRN's label step)."""

    foreground: Fraction = 0.30
    """Activation above which a pixel may be surely an object."""
    background: Fraction = 0.05
    """Activation below which a pixel may be surely background."""
    certainty: Fraction = 0.7
    """Probability given to the label that enters the CRF."""
