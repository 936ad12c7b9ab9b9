"""Settings that steps of several folders have: of trainings, of dense CRFs; imports no torch."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from wsis_steps.engine.settings import Count, Fraction, Positive, Settings
from wsis_steps.vision.backbone_table import TABLE, TIMM, fault_of


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"a window of {value} pixels has no middle; take {value - 1} or {value + 1}")
    return value


def check_normalization(settings: Any) -> Any:
    """The settings of a step; ValueError where its backbone is one of timm's, which knows how its weights were made."""
    backbone = getattr(settings, "backbone", "")
    if backbone.startswith(TIMM) and settings.normalization == "half":
        raise ValueError(
            f"normalization: half is for other weights than those of {backbone}, whose normalization timm knows; "
            "write normalization: imagenet"
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
    """What every training step sets."""

    shares_batches: ClassVar[bool] = True

    seed: int = 0
    """Set by the run."""
    weights: str = "imagenet"
    """Initial backbone: imagenet, none, classifier (this run's own) or a path."""
    normalization: Normalization = "imagenet"
    """How the pixels were normalized when the weights were made: as for the backbone's ImageNet weights, or
    (x - 128) / 128."""
    batch_size: Positive = 16
    """Images per iteration."""
    batch_norm: Literal["joint", "own"] = "joint"
    """Where several processes train. joint: statistics of the whole batch, as one process has; own: each of its part
    of the batch, which saves them an exchange a layer, but makes the number of GPUs a part of the result."""
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    """SGD has Nesterov momentum in the classifier only, as released."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Of the backbone's weights, or the peak of one_cycle."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """L2 (sgd, adam) or decoupled (adamw)."""
    schedule: Literal["constant", "drop", "poly", "one_cycle"] = "constant"
    """drop: at each of drop_at to what drop_to says; poly: (1 - t/T)^0.9; one_cycle: up in the first quarter, then
    cosine."""
    drop_at: tuple[Fraction, ...] = ()
    """Fractions of the training at which the learning rate drops."""
    drop_to: tuple[Fraction, ...] = ()
    """Share of `learning_rate` from each of drop_at on; empty: a tenth of what was before."""
    warm_up: Count = 0
    """Iterations of linear warm-up from a thousandth of the learning rate."""

    _normalized = model_validator(mode="after")(check_normalization)

    @model_validator(mode="after")
    def _drops(self) -> Self:
        if "drop_to" not in self.model_fields_set and self.drop_at != type(self).model_fields["drop_at"].default:
            self.drop_to = ()  # the default's shares are of the default's drops
        if self.drop_to and len(self.drop_to) != len(self.drop_at):
            raise ValueError(f"drop_to has {len(self.drop_to)} shares for the {len(self.drop_at)} of drop_at")
        return self


class DenseCrf(Settings):
    """A dense CRF: label smoothness and appearance kernels, mean-field inference."""

    crf_iterations: Positive = 10
    """Of mean-field inference."""
    gaussian_sxy: Annotated[float, Field(gt=0)] = 3.0
    """Pixels; smoothness kernel."""
    gaussian_weight: Annotated[float, Field(ge=0)] = 3.0
    """Of the smoothness kernel."""
    bilateral_sxy: Annotated[float, Field(gt=0)] = 50.0
    """Pixels; appearance kernel."""
    bilateral_srgb: Annotated[float, Field(gt=0)] = 5.0
    """Gray levels; appearance kernel."""
    bilateral_weight: Annotated[float, Field(ge=0)] = 10.0
    """Of the appearance kernel."""
