"""Settings of the steps in evaluation/ and report/."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from wsis_steps.engine.settings import Positive, Settings


class EvaluationScoreInstances(Settings):
    """Mask and box scores of predictions."""

    matching: Literal["argmax", "uncovered"] = "argmax"
    """argmax: a prediction can match only the true instance that it overlaps best (BESTIE, IRN); uncovered: the best
    one not yet matched (SDS)."""
    void: Literal["keep", "drop"] = "keep"
    """drop excludes void pixels from the overlap (WISE, BBTP)."""


class EvaluationRecommendScore(Settings):
    """The score below which `wsis predict` leaves out instances."""


class EvaluationScoreLabels(EvaluationScoreInstances):
    """Quality of pseudo labels on the training images."""


class EvaluationScoreSemantics(Settings):
    """Mean intersection over union of semantic maps."""


def _ascending(values: tuple[int, ...]) -> tuple[int, ...]:
    if any(a >= b for a, b in zip(values, values[1:], strict=False)):
        raise ValueError(f"the numbers {', '.join(map(str, values))} are not in ascending order")
    return values


Counts = Annotated[tuple[Positive, ...], Field(min_length=1), AfterValidator(_ascending)]


class EvaluationScoreProposals(Settings):
    """How well proposals cover the true instances, by number of proposals."""

    counts: Counts = (100, 200, 500, 1000, 2000)
    """Numbers of proposals per image, best first; all of them together are also scored."""
    void: Literal["keep", "drop"] = "drop"
    """drop excludes void pixels from the overlap (MCG's benchmark)."""


class EvaluationListResults(Settings):
    """Which files the table and the report show."""


class EvaluationSummarise(Settings):
    """All figures of all runs in one table."""
