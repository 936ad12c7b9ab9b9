"""Settings of the steps in proposals/."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from wsis_steps.engine.settings import Count, Fraction, Positive, Settings
from wsis_steps.vision.settings import Training


class ProposalsSearchSelectively(Settings):
    """Boxes by Selective Search, as OpenCV has it."""

    mode: Literal["fast", "quality"] = "fast"
    """quality groups by more color spaces and thresholds: about four times the boxes in three times the time."""
    min_size: Positive = 20
    """Pixels; boxes with a shorter side are left out."""
    cap: Count = 0
    """Most boxes an image, the first by rank; 0 keeps all."""
    long_side: Count = 640
    """Pixels; longer images are shrunk to it for the search, for time grows faster than their area; 0 keeps them."""
    seed: Count = 0
    """Of the random part of a box's rank."""


class ProposalsImportProposals(Settings):
    """Proposals made elsewhere, one file for each image or one for many."""

    format: Literal["mcg", "selective_search", "coco_rle"] = "mcg"
    """mcg: a .mat for each image with `superpixels`, `labels` and `scores`, as MCG, SCG and COB have them.
    selective_search: .mat with `boxes` and `images` of a split, perhaps `boxScores`, as repositories of weakly
    supervised detection have them. coco_rle: JSON lists of masks with `image_id` or `file_name`, `segmentation` and
    `score`."""
    path: Path | None = None
    """The file, or a folder of such files."""
    masks_seen: bool = True
    """Whether what made them was trained on masks or drawn outlines, as MCG, COB and promptable models were; by default
    false for selective_search."""
    cap: Count = 0
    """Most proposals an image, the best by score; 0 keeps all."""
    ignored: tuple[str, ...] = ()
    """Variables of .mat files, or lists in entries of JSON, that may be there unread; others are refused, since they
    may tell what the rest means."""

    @model_validator(mode="after")
    def _selective_search_sees_no_mask(self) -> "ProposalsImportProposals":
        if self.format == "selective_search" and "masks_seen" not in self.model_fields_set:
            self.masks_seen = False
        return self


class Contours(Settings):
    """Where contours come from."""

    edges: Literal["learned", "gradient", "structured_forest"] = "learned"
    """The network of the package, trained on the drawn boundaries of BSDS500; the gradient of color, which needs no
    model; OpenCV's structured forests, whose model file is `edge_model`."""
    edge_model: Path | None = None
    """File of the edge model: of structured_forest, or of learned in place of the package's."""
    gradient_share: Fraction = 0.2
    """Of the color gradient in the contours of a model."""

    @model_validator(mode="after")
    def _model_file(self) -> "Contours":
        if self.edges == "structured_forest" and self.edge_model is None:
            raise ValueError("edges: structured_forest needs edge_model, the path of OpenCV's model file")
        if self.edges == "gradient" and self.edge_model is not None:
            raise ValueError("edges: gradient takes no edge_model")
        return self


class ProposalsFindEdges(Contours):
    """Edge maps of the training images, for boundary-aware pairwise terms."""

    long_side: Count = 640
    """Larger pictures are shrunk to this many pixels before; 0 keeps their size."""


class Grouping(Contours):
    """What decides which candidates a picture has."""

    mode: Literal["accurate", "fast"] = "accurate"
    """accurate: four scales; fast: one."""


class ProposalsGroupRegions(Grouping):
    """Region proposals after Multiscale Combinatorial Grouping (Pont-Tuset et al., TPAMI 2017)."""

    ranker: Literal["learned", "none"] = "learned"
    """learned: expected worth by the drawn segments of BSDS500; none: contrast of the contour, which has seen none."""
    ranker_model: Path | None = None
    """File of a ranker that proposals_train_ranker made, in place of the package's."""
    count: Positive = 2000
    """Most proposals of a picture."""
    long_side: Count = 640
    """Larger pictures are shrunk to this many pixels before they are grouped; 0 keeps their size."""
    overlap: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Of two candidates that overlap by this much the better one comes first, the other after all that are apart."""
    diversity: Annotated[float, Field(ge=0)] = 0.3
    """Weight of the overlap with a better proposal, taken off a candidate's score; MCG 0.7."""
    small_weight: Annotated[float, Field(ge=0)] = 0.02
    """Added to the score of a candidate e times smaller; large objects have more candidates and would take all."""


class ProposalsTrainRanker(Grouping):
    """Trains the ranker of the package on the drawn segments of BSDS500."""

    root: Path | None = None
    """Folder of BSDS500: images/train and groundTruth/train."""
    seed: Count = 0
    """Of the initial weights and the order of candidates."""
    min_segment: Fraction = 0.001
    """Of the picture; what a person drew smaller is no object to be found."""
    candidates: Positive = 4500
    """Taken from each picture, drawn at random."""
    width: Positive = 64
    """Units of the two hidden layers."""
    epochs: Positive = 10
    """Passes over the candidates."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    """Peak of one_cycle."""


class ProposalsTrainEdges(Training):
    """The network of learned edges. The package has its weights; only who wants others trains it."""

    root: Path | None = None
    """Folder of BSDS500 that holds `images/train` and `groundTruth/train`."""
    weights: Literal["none"] = "none"
    """It starts from random weights."""
    widths: Annotated[tuple[Positive, ...], Field(min_length=2, max_length=6)] = (16, 32, 48, 48)
    """Channels of the levels, whose cells are 2, 4, 8, ... pixels wide."""
    iterations: Positive = 8000
    """Training iterations; half an hour on one core."""
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
