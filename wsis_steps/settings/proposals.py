"""Settings of the steps in proposals/."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from wsis_steps.settings.base import Fraction, Positive, Training


class ProposalsTrainEdges(Training):
    """The network of learned edges. The package has its weights; only who wants others trains it."""

    root: Path | None = None
    """Folder of BSDS500 that holds `images/train` and `groundTruth/train`."""
    weights: Literal["none"] = "none"
    """It starts from random weights."""
    widths: Annotated[tuple[Positive, ...], Field(min_length=2, max_length=6)] = (16, 32, 48, 48)
    """Channels of the levels, whose cells are 2, 4, 8, ... pixels wide."""
    iterations: Positive = 8000
    """Steps of training; half an hour on one core."""
    batch_size: Positive = 6
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 4e-3
    schedule: Literal["constant", "drop", "poly", "one_cycle"] = "one_cycle"
    crop: Annotated[int, Field(ge=64)] = 224
    """Side of the random crop in pixels, a multiple of the coarsest cell."""
    scale: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (0.5, 2.0)
    """Range of the random magnification; edges are looked for at several scales."""
    color_jitter: tuple[float, float, float, float] = (0.3, 0.3, 0.3, 0.05)
    """Brightness, contrast, saturation, hue."""
    few: Fraction = 0.3
    """A pixel that some annotators marked, but less than this share of them, does not count."""
    balance: Fraction = 0.5
    """How far boundary pixels are made to weigh as much as the others, which are many more: 1 wholly, 0 not at all."""

    @model_validator(mode="after")
    def _crop_has_whole_cells(self) -> "ProposalsTrainEdges":
        cell = 2 ** len(self.widths)
        if self.crop % cell:
            raise ValueError(f"crop is {self.crop}, which is no multiple of {cell}, the coarsest cell of these widths")
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"the range of scale is {list(self.scale)}; it goes from the smaller to the larger")
        return self
