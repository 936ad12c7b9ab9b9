"""Settings of the steps in evaluation/ and report/."""

from typing import Literal

from wsis_steps.settings.base import Positive, Settings


class EvaluationScoreInstances(Settings):
    """Mask and box figures of predictions."""

    matching: Literal["argmax", "uncovered"] = "argmax"
    """argmax: a prediction counts for its best truth only (BESTIE, IRN); uncovered: for the best left (SDS)."""
    void: Literal["keep", "drop"] = "keep"
    """drop leaves void pixels out of the overlap (WISE, BBTP)."""


class EvaluationScoreLabels(EvaluationScoreInstances):
    """Quality of pseudo labels on the training images."""


class EvaluationScoreSemantics(Settings):
    """Mean intersection over union of semantic maps."""


class EvaluationListResults(Settings):
    """Which files the table and the report show."""


class EvaluationSummarise(Settings):
    """All figures of all runs in one table."""


class ReportRenderReport(Settings):
    """The page a person opens."""

    images: Positive = 24
    """Pictures per split and run in the galleries."""
