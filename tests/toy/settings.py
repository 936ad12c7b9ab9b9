"""Settings of the steps in toy/."""

from wsis_steps.engine.settings import Count, Fraction, Settings


class ToyLabel(Settings):
    """A rectangle for every tag."""

    seed: Count = 0
    """Set by the run: where the rectangles lie."""
    share: Fraction = 0.5
    """Of the picture's sides in those of a rectangle."""


class ToyRefine(Settings):
    """Smaller rectangles in each round."""

    margin: Count = 1
    """Pixels that labels lose on all sides."""
