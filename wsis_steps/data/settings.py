"""Settings of the steps in data/."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from wsis_steps.engine.settings import Count, Fraction, Positive, Settings
from wsis_steps.vision.settings import Split


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
    seed: Count = 0
    """Seed of every picture."""


class DataDownloadArchives(Settings):
    """Official archives that are fetched into data/, for `make voc2012` and `make coco2017`."""

    archives: tuple[Literal["voc", "sbd", "coco"], ...] = ()
    """voc: VOC 2012, 2.0 GB; sbd: the masks of trainaug, 1.4 GB; coco: COCO 2017, 20.4 GB."""


class DataImportDataset(Settings):
    """Where the data come from and how they are read."""

    format: Literal[
        "shapes", "drawn", "voc", "coco", "yolo", "cvat", "cvat_masks", "label_studio", "labelme", "labelimg", "folder",
        "class_folders",
    ] = "shapes"  # fmt: skip
    """`shapes` is drawn by data_draw_shapes; the others are read from `root`; `drawn` is whichever of them the files
    are of. What each can carry: docs/own_images.md."""
    root: Path | None = None
    """Folder of the data set: VOCdevkit/VOC2012, COCO with `annotations/`, images with `tags.csv`, or (class_folders) a
    folder of images for each class, as ImageNet has."""
    annotations: Path | None = None
    """The file that a tool exported, where it does not lie where its layout has it."""
    class_map: Path | None = None
    """Class folders only: a CSV file `folder,class` that says which folders are read; by default all, each a class."""
    val_root: Path | None = None
    """Class folders only: a VOC tree whose `val_list` is evaluated on, in place of `val_share`."""
    sbd_root: Path | None = None
    """VOC only: the SBD `dataset` folder, whose masks complete trainaug."""
    train_list: str = "train"
    """VOC only: list in ImageSets/Segmentation, or a path, of the training images. Where there is a
    list `train` but none `val`, or neither but one undivided list (`trainval`, `default` or `all`), that one is divided
    by `val_share`."""
    val_list: str = "val"
    """VOC, and class folders with `val_root`: list of the evaluation images."""
    images_in_both: bool = False
    """VOC only: images may be in both lists, and have the id <id>_val as evaluation images. What was learned from is
    then evaluated on, as in table 2 of Deep Community Learning; otherwise it is refused as a mistake."""
    difficult: Literal["include", "exclude"] = "include"
    """VOC only: whether objects marked difficult give tags."""
    class_names: tuple[str, ...] | None = None
    """Order of the classes; by default taken from the data."""
    truth: tuple[Split, ...] = ("train", "val")
    """Splits whose true masks are read, for evaluation and for the systems `supervised` and `supervised_semantic`
    only; folders have none, but for those of `val_root`. By default both of shapes, voc and coco, none of the others:
    name those in which a mask was drawn on every object."""
    without_mask: Literal["refuse", "leave_out"] = "refuse"
    """Objects that have a tag, a point or a box but no mask, in a split of `truth`: refuse them, since scores would be
    wrong, or leave them out of the true masks. Their weak annotations are kept either way."""
    unknown_shapes: Literal["refuse", "skip"] = "refuse"
    """Shapes that are well written but cannot be used: lines, skeletons and cuboids, polygons of two corners, what
    leaves its picture by more than 2 pixels and 1 %, what was drawn in Label Studio on a picture that it turned. Refuse
    them, or skip and count them. What looks as if the numbers meant something else, shares in place of pixels say, is
    refused either way."""
    crowds: Literal["ignore", "objects"] = "ignore"
    """COCO only: what annotations with `iscrowd: 1` are. ignore: regions of several objects, as in COCO itself, which
    give no tag, point or box and are kept for scores. objects: objects like all others; CVAT writes every brush mask
    so."""
    untouched: Literal["keep", "leave_out"] = "keep"
    """Pictures that a file lists without any shape: images without objects, or left out and counted."""
    links: Literal["refuse", "follow"] = "refuse"
    """Symbolic links that lead out of `root`, as pictures or as folders: refuse them, since somebody else's data set
    may so bring in any picture of the computer, or follow them, where the links are your own."""
    range: Literal["auto", "full", "used"] = "auto"
    """Samples of pictures of more than 8 bits that become black and white: all that 16 bits can hold (full), or the
    lowest and highest that occur in any of them (used), but for one of 10,000 in each. auto: used where that is less
    than an eighth of what 16 bits can hold, as of cameras of 12 bits."""
    val_share: Fraction = 0.2
    """Share of the images kept for evaluation that no split is given for (a column of `tags.csv`, a subset of CVAT's);
    of all, where none is given for evaluation."""

    @classmethod
    def of_file(cls, path: Path) -> "DataImportDataset":
        """How annotations are read by themselves, whatever their format: a file, or a folder of such files."""
        return cls(format="drawn", root=path if path.is_dir() else path.parent, annotations=path)

    @model_validator(mode="after")
    def _folders_have_no_masks(self) -> "DataImportDataset":
        if self.format not in ("shapes", "voc", "coco") and "truth" not in self.model_fields_set:
            self.truth = ()
        if self.format in ("folder", "class_folders"):
            possible = ("val",) if self.format == "class_folders" and self.val_root else ()
            if set(self.truth) - set(possible) and "truth" in self.model_fields_set:
                raise ValueError(
                    f"format {self.format} has no masks of these images, so truth must be {list(possible)}"
                )
            self.truth = tuple(split for split in self.truth if split in possible)
        return self


class DataImportSemantic(Settings):
    """Semantic maps made elsewhere: a folder of PNG files named after the images."""

    folder: Path | None = None
    """Where the PNG files are; 0 background, 1 and up the classes, 255 unsure."""


class DataImportCorrections(Settings):
    """Labels that people corrected; which file, a run says under `corrections`."""
