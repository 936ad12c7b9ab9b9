"""Settings of the steps in report/."""

from wsis_steps.engine.settings import Positive, Settings


class ReportListCosts(Settings):
    """Time, memory and output size of each step."""


class ReportRenderReport(Settings):
    """The report page."""

    images: Positive = 1500
    """Maximum number of images of each split in the gallery, evenly spaced if there are more."""


class ReportRenderFirstLook(Settings):
    """The page of first results, to check before the long trainings start."""

    images: Positive = 200
    """Maximum number of training images on the page, evenly spaced if there are more."""
