"""The settings of every step, the runs, and the whole configuration; imports no torch.

Defaults are the papers' values. A step's section in `config.yaml` carries the step's name; a run may override
any of them under its own `steps`. Devices, worker counts and log intervals are not settings.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from wsis_steps.core.errors import InputError, nearest

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"a window of {value} pixels has no middle; take {value - 1} or {value + 1}")
    return value


def _no_classifier(weights: str) -> str:
    if weights == "classifier":
        raise ValueError("the classifier cannot start from itself; take imagenet, none or a path")
    return weights


Window = Annotated[int, Field(ge=1), AfterValidator(_odd)]
Backbone = Literal["small", "mobilenet_v2", "resnet50", "vgg16", "hrnet_w48"]
Split = Literal["train", "val"]


class Settings(BaseModel):
    """A section of the configuration: unknown keys are refused, values are not coerced silently."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class DataDrawShapes(Settings):
    """The generated data set."""

    image_size: Annotated[int, Field(ge=32, le=1024)] = 96
    """Side of the square images in pixels."""
    train: Positive = 480
    """Number of training images."""
    val: Positive = 120
    """Number of evaluation images, drawn from other seeds."""
    difficulty: Annotated[float, Field(ge=0, le=2)] = 1.0
    """Scales noise, blur, distractors and overlap; 0 is easy."""
    seed: int = 0
    """Seed of every picture."""


class DataDownloadArchives(Settings):
    """Official archives that are fetched into data/, for `make voc2012` and `make coco2017`."""

    archives: tuple[Literal["voc", "sbd", "coco"], ...] = ()
    """voc: VOC 2012, 2.0 GB; sbd: the masks of trainaug, 1.4 GB; coco: COCO 2017, 20.4 GB."""


class DataImportDataset(Settings):
    """Where the data come from and how they are read."""

    format: Literal["shapes", "voc", "coco", "folder"] = "shapes"
    """`shapes` is drawn by data_draw_shapes; the others are read from `root`."""
    root: Path | None = None
    """Folder of the data set: VOCdevkit/VOC2012, COCO with `annotations/`, or images with `tags.csv`."""
    sbd_root: Path | None = None
    """VOC only: the SBD `dataset` folder, whose masks complete trainaug."""
    train_list: str = "train"
    """VOC only: list in ImageSets/Segmentation, or a path, of the training images."""
    val_list: str = "val"
    """VOC only: list of the evaluation images."""
    difficult: Literal["include", "exclude"] = "include"
    """VOC only: whether objects marked difficult give tags."""
    class_names: tuple[str, ...] | None = None
    """Order of the classes; by default taken from the data."""
    truth: tuple[Split, ...] = ("train", "val")
    """Splits whose true masks are read, for evaluation and for the run `supervised` only; a folder has none."""
    val_share: Fraction = 0.2
    """Folder only: share of the images kept for evaluation where `tags.csv` has no split column."""

    @model_validator(mode="after")
    def _folder_has_no_masks(self) -> "DataImportDataset":
        if self.format == "folder":
            if self.truth and "truth" in self.model_fields_set:
                raise ValueError("format folder has no masks, so truth must be []")
            self.truth = ()
        return self


class Training(Settings):
    """What every training step sets."""

    seed: int = 0
    """Set by the run."""
    weights: str = "imagenet"
    """Initial backbone: imagenet, none, classifier (this run's own) or a path."""
    normalisation: Literal["imagenet", "half"] = "imagenet"
    """How the pixels were normalised when the weights were made: mean and deviation, or (x - 128) / 128."""
    batch_size: Positive = 16
    """Images a step."""
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    """SGD has Nesterov momentum in the classifier only, as released."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Of the backbone's weights, or the peak of one_cycle."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """L2 (sgd, adam) or decoupled (adamw)."""
    schedule: Literal["constant", "drop", "poly", "one_cycle"] = "constant"
    """drop: x0.1 at each of drop_at; poly: (1 - t/T)^0.9; one_cycle: up in the first quarter, then cosine."""
    drop_at: tuple[Fraction, ...] = ()
    """Fractions of the training at which the learning rate drops tenfold."""
    warm_up: Count = 0
    """Iterations of linear warm-up from a thousandth of the learning rate."""


class ClassifierTrain(Training):
    """Tag classifier with peak attention (BESTIE supplement, section 3; released code)."""

    backbone: Literal["small", "mobilenet_v2", "resnet50", "vgg16"] = "vgg16"
    """Feature extractor; paper vgg16."""
    weights: Annotated[str, AfterValidator(_no_classifier)] = "imagenet"
    """Initial backbone: imagenet, none or a path."""
    attention: Literal["pam", "none"] = "pam"
    """none gives plain class activation maps."""
    alpha: Fraction = 0.5
    """Share of a channel's peak below which peak attention zeroes; supplement 0.5, released code 0.7."""
    attention_layers: tuple[Literal[4, 5, 6], ...] = (6,)
    """Layer groups with peak attention (supplement, table 3); 6 is the head."""
    head_width: Positive = 512
    """Channels of the head's convolutions."""
    output_stride: Literal[8, 16, 32] = 8
    """Pixels between the activation maps' cells; paper 8."""
    head_factor: Annotated[float, Field(gt=0)] = 10.0
    """The head learns this many times as fast as the backbone."""
    epochs: Positive = 15
    """Passes over the training images."""
    batch_size: Positive = 5
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Of the backbone's weights; biases learn twice as fast."""
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    schedule: Literal["constant", "drop", "poly", "one_cycle"] = "drop"
    drop_at: tuple[Fraction, ...] = (4 / 15, 9 / 15)
    """Paper: at the start of epochs 5 and 10 of 15."""
    resize: Positive = 384
    """Images are resized to this square."""
    crop: Positive = 321
    """Side of the random crop."""
    color_jitter: tuple[float, float, float, float] = (0.3, 0.3, 0.3, 0.1)
    """Brightness, contrast, saturation, hue."""
    turns: bool = False
    """Random quarter turns and vertical flips; for pictures without an up."""


class ClassifierInfer(Settings):
    """Activation maps of the training images (BESTIE released code, point extraction)."""

    size: Positive = 321
    """Images are resized to this square."""
    scales: tuple[float, ...] = (1.0,)
    """Sizes relative to `size` whose maps are averaged; IRN uses 1, 0.5, 1.5, 2."""
    flip: bool = True
    """Average with the mirrored image."""
    stride: Positive = 4
    """Maps are stored at the image's size divided by this."""


class ClassifierFindPeaks(Settings):
    """Instance cues: local maxima of the activation maps."""

    kernel: Window = 15
    """Window in pixels in which a peak is the largest value."""
    smoothing: Window = 3
    """Window in pixels of the mean filter before."""
    top_k: Positive = 25
    """Peaks kept per class and image."""
    threshold: Fraction = 0.5
    """Smallest value of a peak; supplement 0.5, released code 0.7."""


class DenseCrf(Settings):
    """A dense CRF: label smoothness and appearance kernels, mean-field inference."""

    crf_iterations: Count = 10
    """Of mean-field inference; 0 leaves the CRF out."""
    gaussian_sxy: Annotated[float, Field(gt=0)] = 3.0
    """Pixels; smoothness kernel."""
    gaussian_weight: Annotated[float, Field(ge=0)] = 3.0
    """Of the smoothness kernel."""
    bilateral_sxy: Annotated[float, Field(gt=0)] = 50.0
    """Pixels; appearance kernel."""
    bilateral_srgb: Annotated[float, Field(gt=0)] = 5.0
    """Grey levels; appearance kernel."""
    bilateral_weight: Annotated[float, Field(ge=0)] = 10.0
    """Of the appearance kernel."""


class PostprocessRefineWithCrf(DenseCrf):
    """Semantic maps from activation maps by two dense CRFs that must agree (after IRN's label step)."""

    foreground: Fraction = 0.30
    """Activation above which a pixel may be surely an object."""
    background: Fraction = 0.05
    """Activation below which a pixel may be surely background."""
    certainty: Fraction = 0.7
    """Probability given to the label that enters the CRF."""


class DataImportSemantic(Settings):
    """Semantic maps made elsewhere: a folder of PNG files named after the images."""

    folder: Path | None = None
    """Where the PNG files are; 0 background, 1 and up the classes, 255 unsure."""


class Grouping(Settings):
    """Settings shared by every stage that groups pixels around centers."""

    supervision: Literal["tags", "points"] = "tags"
    """Set by the run."""
    min_area: Positive = 50
    """Connected components below this many pixels are left out."""


class BestieLabel(Grouping):
    """First pseudo labels: components that hold exactly one cue (BESTIE, semantic knowledge transfer)."""


class CenterFinding(Grouping):
    """Centers from center maps, completed by clusters of small offsets (BESTIE supplement, section 1)."""

    window: Window = 41
    """Pixels; a center is the largest value of this window."""
    cluster_radius: Annotated[float, Field(gt=0)] = 2.5
    """Pixels; offsets shorter than this belong to a cluster."""
    cluster_area: Annotated[int, Field(ge=0)] = 21
    """Pixels; a cluster's area at that radius."""
    cluster_tolerance: Annotated[int, Field(ge=0)] = 3
    """Pixels; clusters this far or further from cluster_area are not trusted; 0 takes none."""
    cluster_distance: Annotated[float, Field(ge=0)] = 100.0
    """Pixels; a cluster becomes a center where no peak is nearer."""
    cluster_value: Fraction = 0.05
    """Smallest center value at a cluster."""


class BestieTrain(Training, CenterFinding):
    """The instance network, with self-refinement (BESTIE; supplement, listings 4 to 6)."""

    backbone: Literal["small", "mobilenet_v2", "resnet50", "hrnet_w48"] = "hrnet_w48"
    """Feature extractor and, with it, the decoder; paper hrnet_w48 and resnet50."""
    iterations: Positive = 50_000
    """Steps of the optimiser."""
    batch_size: Positive = 16
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 5e-5
    schedule: Literal["constant", "drop", "poly", "one_cycle"] = "poly"
    warm_up: Count = 2_000
    long_side: Count = 449
    """The longer side after resizing; 0 keeps the image's size."""
    scale: tuple[float, float] = (0.7, 1.3)
    """Random scale after that."""
    crop: Positive = 416
    """Side of the random crop."""
    photometric: bool = True
    """Random brightness, contrast and hue, each with probability 1/2."""
    turns: bool = False
    """Random quarter turns and vertical flips; for pictures without an up."""
    class_wise_centers: bool = True
    """One center map a class; false is the class-agnostic ablation."""
    instance_aware_guidance: bool = True
    """Center and offset losses on labelled instances only; false is the ablation."""
    refinement: bool = True
    """Online self-refinement; false is the ablation."""
    refine_from: Count = 0
    """Iteration from which refined labels are used."""
    refine_threshold: Fraction = 0.3
    """Smallest center value of a peak in refinement."""
    max_instances: Positive = 5
    """Components that fall into more instances are not refined."""
    sigma: Annotated[float, Field(gt=0)] = 6.0
    """Pixels; Gaussian of a center."""
    hard_pixels: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Share of pixels with the largest semantic loss that count; 1 is plain cross entropy."""
    semantic_weight: Annotated[float, Field(ge=0)] = 1.0
    """Of the semantic term in the loss."""
    center_weight: Annotated[float, Field(ge=0)] = 200.0
    """Of the center term in the loss."""
    offset_weight: Annotated[float, Field(ge=0)] = 0.01
    """Of the offset term in the loss."""


class BestieInfer(CenterFinding, DenseCrf):
    """Instances from the network's maps (BESTIE, inference)."""

    threshold: Fraction = 0.1
    """Smallest center value of a peak."""
    flip: bool = False
    """Average semantic and center maps with the mirrored image; released: off for tags, on for points."""
    size_multiple: Positive = 32
    """Images are resized to the next multiple."""
    crf_iterations: Count = 0
    """Of a dense CRF over the class probabilities, before they are grouped into instances; paper: 0, none."""
    background_weight: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the background's probability in training images, whose tags say what must be there; paper: 1."""


class MaskrcnnTrain(Training):
    """Mask R-CNN on any labels (values: the IRN author's recipe for pseudo labels)."""

    backbone: Literal["small", "mobilenet_v2", "resnet50"] = "resnet50"
    """Feature extractor below the feature pyramid."""
    iterations: Positive = 18_000
    """Steps of the optimiser."""
    batch_size: Positive = 4
    learning_rate: Annotated[float, Field(gt=0)] = 0.01
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    schedule: Literal["constant", "drop", "poly", "one_cycle"] = "drop"
    drop_at: tuple[Fraction, ...] = (12 / 18, 16 / 18)
    warm_up: Count = 500
    min_size: Positive = 512
    """Shorter side in pixels."""
    max_size: Positive = 800
    """Longer side in pixels at most."""
    fpn_channels: Positive = 256
    """Channels of the feature pyramid."""
    anchor_scale: Annotated[float, Field(gt=0)] = 8.0
    """Side of the anchors over the stride of their level."""
    proposals_before_nms: tuple[Positive, Positive] = (2000, 1000)
    """Per level, in training and in inference."""
    proposals_after_nms: tuple[Positive, Positive] = (2000, 1000)
    """Per image, in training and in inference."""
    rois: Positive = 512
    """Regions sampled from an image in training."""
    box_width: Positive = 1024
    """Channels of the box head's layers."""
    mask_width: Positive = 256
    """Channels of the mask head's convolutions."""
    mask_layers: Positive = 4
    """Convolutions of the mask head."""
    frozen_levels: Count = 1
    """Levels of a pretrained backbone, from the finest, that are not trained."""
    turns: bool = False
    """Random quarter turns and vertical flips; for pictures without an up."""
    use_scores: bool = True
    """Weigh each instance by its label's weight and score; false counts all alike."""
    minimal_score: Fraction = 0.05
    """Labels below are ignored regions: neither object nor background."""


class MaskrcnnInfer(Settings):
    """Predictions of the evaluation images."""

    min_size: Positive = 512
    """Shorter side in pixels."""
    max_size: Positive = 800
    """Longer side in pixels at most."""
    score_threshold: Fraction = 0.05
    """Detections with a lower score are left out."""
    nms: Fraction = 0.5
    """Box overlap above which the weaker detection goes."""
    detections: Positive = 100
    """Detections an image at most."""


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


class EvaluationSummarise(Settings):
    """All figures of all runs in one table."""


class ReportRenderReport(Settings):
    """The page a person opens."""

    images: Positive = 24
    """Pictures per split and run in the galleries."""


STEPS: dict[str, type[Settings]] = {
    "data_draw_shapes": DataDrawShapes,
    "data_download_archives": DataDownloadArchives,
    "data_import_dataset": DataImportDataset,
    "data_import_semantic": DataImportSemantic,
    "classifier_train": ClassifierTrain,
    "classifier_infer": ClassifierInfer,
    "classifier_find_peaks": ClassifierFindPeaks,
    "postprocess_refine_with_crf": PostprocessRefineWithCrf,
    "bestie_label": BestieLabel,
    "bestie_train": BestieTrain,
    "bestie_infer": BestieInfer,
    "maskrcnn_train": MaskrcnnTrain,
    "maskrcnn_infer": MaskrcnnInfer,
    "evaluation_score_instances": EvaluationScoreInstances,
    "evaluation_score_labels": EvaluationScoreLabels,
    "evaluation_score_semantics": EvaluationScoreSemantics,
    "evaluation_summarise": EvaluationSummarise,
    "report_render_report": ReportRenderReport,
}


# Steps whose results all runs share, or whose figures must be comparable between them.
SHARED_STEPS = ("data_draw", "data_import_dataset", "data_download", "evaluation_", "report_")


class Run(Settings):
    """A system with its overrides: one row of the table, one folder under results/<dataset>/."""

    system: Literal["bestie", "supervised"]
    """Which chain of steps: bestie, or supervised (Mask R-CNN on the true masks, the upper bound)."""
    rounds: Positive = 1
    """How often the system trains, each time on the labels that the last round refined."""
    semantic: Literal["activation_crf", "imported"] = "activation_crf"
    """Where semantic maps come from."""
    supervision: Literal["tags", "points"] = "tags"
    """What the system may see of the training images."""
    maskrcnn: bool = True
    """Train a Mask R-CNN on the last labels; without it the system's own predictions are the result."""
    seed: Count | None = None
    """Seed of every training step of the run; by default the configuration's."""
    steps: dict[str, dict[str, Any]] = {}
    """Settings that differ from the global ones, by step."""


class Configuration(Settings):
    """The whole of config.yaml."""

    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    """Name of the data set: its folder under results/."""
    seeds: Annotated[tuple[Count, ...], Field(min_length=1)] = (0,)
    """With more than one, every run is repeated as <run>_seed<k>."""
    runs: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], Run]
    """Runs by name. One that is null is left out: so a second --configfile drops a run of the first."""
    steps: dict[str, dict[str, Any]] = {}
    """Settings of steps for all runs."""

    @field_validator("runs", mode="before")
    @classmethod
    def _drop_null(cls, runs: Any) -> Any:
        return {name: run for name, run in runs.items() if run is not None} if isinstance(runs, dict) else runs

    @model_validator(mode="after")
    def _check(self) -> "Configuration":
        if not self.runs:
            raise ValueError("runs is empty; name at least one run")
        if "shared" in self.runs:
            raise ValueError("runs: 'shared' is a reserved name")
        if len(self.seeds) > 1 and any(run.seed is not None for run in self.runs.values()):
            raise ValueError("runs: a run with its own seed cannot be repeated for several seeds; drop one of the two")
        sections = {"steps": self.steps}
        sections.update({f"runs.{name}.steps": run.steps for name, run in self.runs.items()})
        for where, steps in sections.items():
            for step, values in steps.items():
                if step not in STEPS:
                    raise ValueError(f"{where}: there is no step '{step}', {nearest(step, STEPS)}")
                if where != "steps" and step.startswith(SHARED_STEPS):
                    raise ValueError(f"{where}.{step} would be the same for all runs; set it under the global 'steps'")
                merged = {**(self.steps.get(step) or {}), **(values or {})}
                try:
                    STEPS[step].model_validate(merged)
                except ValidationError as error:
                    raise ValueError(explain(error, STEPS[step], f"{where}.{step}")) from error
        return self


def load(values: dict[str, Any]) -> Configuration:
    """Validates a configuration and repeats its runs for each seed; InputError names every wrong key."""
    try:
        configuration = Configuration.model_validate(values)
    except ValidationError as error:
        raise InputError(explain(error, Configuration, "the configuration")) from error
    if len(configuration.seeds) == 1:
        runs = {
            name: run.model_copy(update={"seed": configuration.seeds[0] if run.seed is None else run.seed})
            for name, run in configuration.runs.items()
        }
    else:
        runs = {
            f"{name}_seed{seed}": run.model_copy(update={"seed": seed})
            for seed in configuration.seeds
            for name, run in configuration.runs.items()
        }
    return configuration.model_copy(update={"runs": runs})


def canonical(settings: dict[str, Any]) -> str:
    """JSON with sorted keys and no spaces: equal settings give equal text."""
    return json.dumps(settings, sort_keys=True, separators=(",", ":"))


def explain(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """One sentence for all faults that pydantic found, each with its key and the nearest valid one."""
    faults = []
    for fault in error.errors(include_url=False):
        key = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            owner = _model_at(model, fault["loc"][:-1])
            valid = owner.model_fields if owner else ()
            faults.append(f"there is no key '{key}', {nearest(str(fault['loc'][-1]), valid)}")
        elif fault["type"] == "value_error":
            faults.append(str(fault["ctx"]["error"]))
        elif fault["type"] == "missing":
            faults.append(f"'{key}' is missing")
        else:
            message = fault["msg"].replace("Input should be", "should be")
            faults.append(f"'{key}' is {fault['input']!r} but {message}")
    text = "; ".join(faults).rstrip(".")
    return f"{text[0].upper()}{text[1:]}." if text.startswith(("runs", "steps")) else f"In {where}: {text}."


def _model_at(model: type[BaseModel], path: tuple) -> type[BaseModel] | None:
    """The model that holds the key at `path`, through dictionaries of models."""
    for part in path:
        if part in model.model_fields:
            annotation = model.model_fields[part].annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                model = annotation
            elif annotation == Configuration.model_fields["runs"].annotation:
                model = Run
    return model
