"""Settings of the steps in report/."""

from wsis_steps.engine.settings import Positive, Settings


class ReportListCosts(Settings):
    """What each step took: time, memory, bytes written."""


class ReportRenderReport(Settings):
    """The page a person opens."""

    images: Positive = 1500
    """Images of each split in the gallery at most; of more, evenly spaced ones."""


class ReportRenderFirstLook(Settings):
    """The page to look at before the long trainings start."""

    images: Positive = 200
    """Training images on the page at most; of more, evenly spaced ones."""
