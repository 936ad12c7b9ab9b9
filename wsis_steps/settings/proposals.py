"""Settings of the steps in proposals/."""

from pathlib import Path
from typing import Literal

from pydantic import model_validator

from wsis_steps.settings.base import Count, Positive, Settings


class ProposalsSearchSelectively(Settings):
    """Boxes by Selective Search, as OpenCV has it."""

    mode: Literal["fast", "quality"] = "fast"
    """quality groups by more colour spaces and thresholds: about four times the boxes in three times the time."""
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
    selective_search: .mat with `boxes` and `images` of a split, as repositories of weakly supervised detection have
    them. coco_rle: JSON lists of masks with `image_id` or `file_name`, `segmentation` and `score`."""
    path: Path | None = None
    """The file, or a folder of such files."""
    masks_seen: bool = True
    """Whether what made them was trained on masks or drawn outlines, as MCG, COB and promptable models were; by default
    false for selective_search."""
    cap: Count = 0
    """Most proposals an image, the best by score; 0 keeps all."""

    @model_validator(mode="after")
    def _selective_search_sees_no_mask(self) -> "ProposalsImportProposals":
        if self.format == "selective_search" and "masks_seen" not in self.model_fields_set:
            self.masks_seen = False
        return self
