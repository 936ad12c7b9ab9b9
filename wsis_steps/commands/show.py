"""Shows what a result (.h5, or a trained model.pt) contains and how it was made; draws any image of it.

examples:
  wsis show results/shapes/bestie/labels/round01.h5
  wsis show results/shapes/bestie/labels/round01.h5 --image train_00003 --picture out.png
  wsis show results/shapes/bestie/classifier/train.h5 --image train_00003 --picture out.png
  wsis show results/shapes/bestie/maskrcnn/model.pt
"""

import argparse
import logging
from dataclasses import replace
from pathlib import Path

from wsis_steps.commands.contents import contents, doubts, made_by, of_image, range_line
from wsis_steps.commands.pictures import find_images, write_picture
from wsis_steps.drawing.artifact import draw
from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.engine.names import printable
from wsis_steps.engine.writers import one_writer
from wsis_steps.report.columns import open_artifact, split_of
from wsis_steps.report.image_gallery import starting_threshold
from wsis_steps.vision.contracts.agreement import check_same_classes, places
from wsis_steps.vision.contracts.artifact import Artifact
from wsis_steps.vision.contracts.features import Features
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.images import Pictures
from wsis_steps.vision.models import load_any_model

log = logging.getLogger("wsis")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to its parser."""
    parser.add_argument("file", type=Path, metavar="FILE", help="an .h5 file of results/, or a model.pt")
    parser.add_argument("--image", metavar="ID", help="show this image, by its id or its number from 0")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="file for the drawing of that image (png, jpg)")
    parser.add_argument(
        "--score",
        type=float,
        help="leave out instances below this score (0 to 1; default: 0, and for predictions that of the report)",
    )
    parser.add_argument(
        "--images", type=Path, metavar="FILE", help="images.h5, if it is not in the same results folder"
    )


def find_image(artifact: Artifact, wanted: str) -> int:
    """The index of an image, by its id or number. Raises InputError, which names the nearest id."""
    if wanted in artifact.index:
        return artifact.index[wanted]
    if wanted.isdecimal() and int(wanted) < len(artifact):
        return int(wanted)
    close = nearest(wanted, artifact.ids) if len(artifact) <= 20 else _some(wanted, artifact)
    if not len(artifact):
        raise InputError(f"{artifact.path} contains no images.")
    raise InputError(f"{artifact.path} contains no image '{wanted}'; {close}.")


def _some(wanted: str, artifact: Artifact) -> str:
    text = nearest(wanted, artifact.ids)
    return text if text.startswith("the nearest") else f"it has {len(artifact)}, such as '{artifact.ids[0]}'"


def _tell(lines: list[str]) -> None:
    """Prints lines, with escapes for control characters: they may contain names from the file."""
    print("\n".join(map(printable, lines)))


def least_score(artifact: Artifact, images: Path | None) -> float:
    """The score below which instances are left out by default: that of the report for predictions on evaluation images;
    0 for everything else, and where images.h5 is not found."""
    if not isinstance(artifact, Instances) or not len(artifact):
        return 0.0
    try:
        split = split_of(artifact, Images(images or find_images(artifact.path)))
    except InputError:
        return 0.0
    is_truth = all((found.scores == 1).all() for found in artifact)
    return starting_threshold([artifact]) if split == "val" and not is_truth else 0.0


def left_out(artifact: Artifact, i: int, score: float) -> str:
    """How many instances of an image are below the score, as a line; empty if there are none."""
    count = int((artifact.read(i).scores < score).sum()) if isinstance(artifact, Instances) else 0
    return f"left out     {count} below score {score:g}; --score 0 shows all" if count else ""


def show_model(path: Path) -> None:
    model, provenance = load_any_model(path)
    size = sum(value.numel() for value in model.state.values())
    seen = [range_line(model.picture_range)] if model.picture_range else []
    _tell([f"{path}: a trained model of {size:,} numbers", *seen, *made_by(provenance)])


def main(options: argparse.Namespace) -> None:
    if options.picture and options.image is None:
        raise InputError("--picture needs --image, the image to draw.")
    if options.score is not None and not 0 <= options.score <= 1:
        raise InputError(f"--score is {options.score}; it must be from 0 to 1.")
    if options.file.is_dir():
        raise InputError(f"{options.file} is a folder; give an .h5 file or a model.pt in it.")
    if options.file.suffix in (".pt", ".pth"):
        if options.image is not None:
            raise InputError(f"{options.file} is a model and contains no images; leave out --image.")
        show_model(options.file)
        return
    artifact = open_artifact(options.file)
    title = f"{options.file}: {artifact.attributes['schema']}, version {artifact.attributes['schema_version']}"
    if options.image is None:
        made = replace(artifact.provenance, version=str(artifact.attributes.get("version", "")))
        _tell([title, *contents(artifact), *doubts(options.file), *made_by(made)])
        return
    i = find_image(artifact, options.image)
    score = least_score(artifact, options.images) if options.score is None else options.score
    hidden = left_out(artifact, i, score)
    _tell([title, *of_image(artifact, i, score), *([hidden] if hidden else [])])
    if options.picture:
        if isinstance(artifact, Features):
            raise InputError(f"{options.file} contains features, which cannot be drawn; leave out --picture.")
        images = artifact if isinstance(artifact, Images) else Images(options.images or find_images(options.file))
        if not isinstance(artifact, Proposals):  # proposals have no classes
            check_same_classes(images, artifact)
        picture = Pictures(images).read(int(places(images, artifact)[i]))
        with one_writer(options.picture):
            write_picture(options.picture, draw(artifact, i, picture, score))
        log.info("drew %s", options.picture)
