"""Settings of the steps in proposals/."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from wsis_steps.engine.settings import Count, Fraction, Positive, Settings
from wsis_steps.vision.settings import Training


class ProposalsSearchSelectively(Settings):
    """Boxes by OpenCV's Selective Search."""

    mode: Literal["fast", "quality"] = "fast"
    """quality groups by more color spaces and thresholds: about four times the boxes in three times the time."""
    min_size: Positive = 20
    """Boxes with a side shorter than this many pixels are left out."""
    cap: Count = 0
    """Maximum number of boxes per image, best rank first; 0 keeps all."""
    long_side: Count = 640
    """Larger images are downscaled to this longer side in pixels for the search, since its time grows faster than their
    area; 0 keeps their size."""
    seed: Count = 0
    """Seed of the random part of a box's rank."""


class ProposalsImportProposals(Settings):
    """Proposals made elsewhere, one file for each image or one for many."""

    format: Literal["mcg", "selective_search", "coco_rle"] = "mcg"
    """mcg: a .mat file per image with `superpixels`, `labels` and `scores`, as published for MCG, SCG and COB.
    selective_search: .mat with `boxes` and `images` of a split and optionally `boxScores`, as in repositories of weakly
    supervised detection. coco_rle: JSON lists of masks with `image_id` or `file_name`, `segmentation` and `score`."""
    path: Path | None = None
    """The file, or a folder of such files."""
    masks_seen: bool = True
    """Whether the method that made them was trained on masks or drawn outlines, as MCG, COB and promptable models were;
    by default false for selective_search."""
    cap: Count = 0
    """Maximum number of proposals per image, best score first; 0 keeps all."""
    ignored: tuple[str, ...] = ()
    """Variables of .mat files, or lists in JSON entries, to ignore. All other unknown ones are refused, since they may
    change the meaning of the rest."""

    @model_validator(mode="after")
    def _selective_search_sees_no_mask(self) -> "ProposalsImportProposals":
        if self.format == "selective_search" and "masks_seen" not in self.model_fields_set:
            self.masks_seen = False
        return self


class Contours(Settings):
    """Source of contours."""

    edges: Literal["learned", "gradient", "structured_forest"] = "learned"
    """learned: the package's network, trained on the drawn boundaries of BSDS500; gradient: the color gradient, which
    needs no model; structured_forest: OpenCV's structured forests, with the model file `edge_model`."""
    edge_model: Path | None = None
    """Model file for structured_forest, or for learned instead of the package's."""
    gradient_share: Fraction = 0.2
    """Share of the color gradient that is mixed into a model's contours."""

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
    """Larger images are downscaled to this longer side in pixels first; 0 keeps their size."""


class Grouping(Contours):
    """Settings that determine the candidates of an image."""

    mode: Literal["accurate", "fast"] = "accurate"
    """accurate: four scales; fast: one."""


class ProposalsGroupRegions(Grouping):
    """Region proposals after Multiscale Combinatorial Grouping (Pont-Tuset et al., TPAMI 2017)."""

    ranker: Literal["learned", "none"] = "learned"
    """learned: a network trained on the drawn segments of BSDS500; none: contour contrast, which has seen none."""
    ranker_model: Path | None = None
    """Model file from proposals_train_ranker, instead of the package's."""
    count: Positive = 2000
    """Maximum number of proposals per image."""
    long_side: Count = 640
    """Larger images are downscaled to this longer side in pixels before grouping; 0 keeps their size."""
    overlap: Annotated[float, Field(gt=0, le=1)] = 0.7
    """A candidate that overlaps a better one by this much is listed only after all that do not."""
    diversity: Annotated[float, Field(ge=0)] = 0.3
    """A candidate's score is reduced by this times its overlap with better proposals; MCG 0.7."""
    small_weight: Annotated[float, Field(ge=0)] = 0.02
    """Added to a candidate's score each time its area is smaller by a factor of e; otherwise large objects, which have
    more candidates, would take all places."""


class ProposalsTrainRanker(Grouping):
    """Trains the ranker of the package on the drawn segments of BSDS500."""

    root: Path | None = None
    """Folder of BSDS500 that holds `images/train` and `groundTruth/train`."""
    seed: Count = 0
    """Seed of the initial weights and the order of candidates."""
    min_segment: Fraction = 0.001
    """Drawn segments smaller than this share of the image are ignored."""
    candidates: Positive = 4500
    """Number of candidates sampled from each image."""
    width: Positive = 64
    """Units of the two hidden layers."""
    epochs: Positive = 10
    """Passes over the candidates."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    """Peak of one_cycle."""


class ProposalsTrainEdges(Training):
    """The network of learned edges. The package includes its weights; train it only to get others."""

    root: Path | None = None
    """Folder of BSDS500 that holds `images/train` and `groundTruth/train`."""
    weights: Literal["none"] = "none"
    """Training starts from random weights."""
    widths: Annotated[tuple[Positive, ...], Field(min_length=2, max_length=6)] = (16, 32, 48, 48)
    """Channels of the levels, which have strides 2, 4, 8, ..."""
    iterations: Positive = 8000
    """Training iterations; half an hour on one core."""
    batch_size: Positive = 6
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 4e-3
    schedule: Literal["constant", "drop", "poly", "one_cycle"] = "one_cycle"
    crop: Annotated[int, Field(ge=64)] = 224
    """Side of the random crop in pixels, a multiple of the coarsest stride."""
    scale: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (0.5, 2.0)
    """Range of the random scale, since edges are computed at several scales."""
    color_jitter: tuple[float, float, float, float] = (0.3, 0.3, 0.3, 0.05)
    """Brightness, contrast, saturation, hue."""
    few: Fraction = 0.3
    """Pixels marked by some annotators, but by less than this share, are ignored."""
    balance: Fraction = 0.5
    """Reweighting of boundary pixels, of which there are few: 1 gives them the total weight of the others, 0 none."""

    @model_validator(mode="after")
    def _crop_has_whole_cells(self) -> "ProposalsTrainEdges":
        cell = 2 ** len(self.widths)
        if self.crop % cell:
            raise ValueError(
                f"crop is {self.crop}, which is not a multiple of {cell}, the coarsest stride of these widths"
            )
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"the range of scale is {list(self.scale)}; write the smaller number first")
        return self
