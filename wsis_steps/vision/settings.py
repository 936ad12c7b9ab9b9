"""Settings that steps of several folders share: trainings and dense CRFs. Imports no torch."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from wsis_steps.engine.settings import Count, Fraction, Positive, Settings
from wsis_steps.vision.backbone_table import TABLE, TIMM, fault_of


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"a window of {value} pixels has no center; use {value - 1} or {value + 1}")
    return value


def check_normalization(settings: Any) -> Any:
    """Returns the settings of a step; ValueError for `normalization: half` with a timm backbone."""
    backbone = getattr(settings, "backbone", "")
    if backbone.startswith(TIMM) and settings.normalization == "half":
        raise ValueError(
            f"normalization: half is not for {backbone}, whose normalization timm defines; set normalization: imagenet"
        )
    return settings


def backbone_type(*more: str) -> Any:
    """The type of a `backbone`: a name of the table, timm/<name>, or one of `more`."""

    def check(name: str) -> str:
        fault = fault_of(name, more)
        if fault:
            raise ValueError(fault)
        return name

    choices = [{"enum": [*more, *TABLE]}, {"type": "string", "pattern": f"^{TIMM}", "examples": [f"{TIMM}resnet18"]}]
    return Annotated[str, AfterValidator(check), WithJsonSchema({"anyOf": choices})]


Backbone = backbone_type()
Normalization = Literal["imagenet", "half"]
Window = Annotated[int, Field(ge=1), AfterValidator(_odd)]
Split = Literal["train", "val"]


class Training(Settings):
    """Settings of every training step."""

    shares_batches: ClassVar[bool] = True
    trains: ClassVar[bool] = True

    seed: int = 0
    """Set by the run."""
    weights: str = "imagenet"
    """Initial backbone weights: imagenet, none, classifier (this run's own) or a path."""
    normalization: Normalization = "imagenet"
    """Pixel normalization that the weights were trained with. imagenet: that of the backbone's ImageNet weights; half:
    (x - 128) / 128."""
    batch_size: Positive = 16
    """Images per iteration."""
    batch_norm: Literal["joint", "own"] = "joint"
    """Batch normalization with several processes. joint: statistics of the whole batch, as with one process; own: each
    process uses those of its own part, which saves one synchronization per layer but makes results depend on the number
    of GPUs."""
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    """sgd uses Nesterov momentum in the classifier only, as released."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Learning rate of the backbone's weights; with one_cycle its peak."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """L2 (sgd, adam) or decoupled (adamw)."""
    schedule: Literal["constant", "drop", "poly", "one_cycle"] = "constant"
    """drop: drops at each of drop_at, to drop_to; poly: (1 - t/T)^0.9; one_cycle: rises in the first quarter, then
    cosine."""
    drop_at: tuple[Fraction, ...] = ()
    """Fractions of the training at which the learning rate drops."""
    drop_to: tuple[Fraction, ...] = ()
    """Fraction of `learning_rate` from each of drop_at on; empty: a tenth of the previous rate."""
    warm_up: Count = 0
    """Iterations of linear warm-up, starting from a thousandth of the learning rate."""

    _normalized = model_validator(mode="after")(check_normalization)

    @model_validator(mode="after")
    def _drops(self) -> Self:
        if "drop_to" not in self.model_fields_set and self.drop_at != type(self).model_fields["drop_at"].default:
            self.drop_to = ()  # the default fractions belong to the default drops
        if self.drop_to and len(self.drop_to) != len(self.drop_at):
            raise ValueError(f"drop_to has {len(self.drop_to)} values, but drop_at has {len(self.drop_at)}")
        return self


class DenseCrf(Settings):
    """A dense CRF: label smoothness and appearance kernels, mean-field inference."""

    crf_iterations: Positive = 10
    """Iterations of mean-field inference."""
    gaussian_sxy: Annotated[float, Field(gt=0)] = 3.0
    """Standard deviation of the smoothness kernel in pixels."""
    gaussian_weight: Annotated[float, Field(ge=0)] = 3.0
    """Weight of the smoothness kernel."""
    bilateral_sxy: Annotated[float, Field(gt=0)] = 50.0
    """Spatial standard deviation of the appearance kernel in pixels."""
    bilateral_srgb: Annotated[float, Field(gt=0)] = 5.0
    """Color standard deviation of the appearance kernel in gray levels."""
    bilateral_weight: Annotated[float, Field(ge=0)] = 10.0
    """Weight of the appearance kernel."""
