"""Predicts the masks of any images with a trained Mask R-CNN or region classifier, on a GPU if there is one.

A folder is read with its subfolders and may be of any size: images are read, predicted and written one by one.
OUT then contains

  instances.json   COCO JSON: images, categories, and annotations with masks (RLE), boxes and scores
  masks/           one PNG per image: 0 is background, k is instance k of the image
  overlays/        one JPEG per image: the masks drawn over it; small images are enlarged

Images that cannot be read are skipped and listed at the end; the exit status is then 2.

Beside model.pt the workflow writes model.json: the score below which instances are best left out, and the settings of
the run's own predictions. Both are used unless --score or --settings say otherwise.

examples:
  wsis predict photo.jpg --model results/shapes/bestie/maskrcnn/model.pt --out found
  wsis predict photos/ --model results/own_images/regions/region_classifier/model.pt --out found --score 0.5
  wsis predict large.tif --model results/shapes/bestie/maskrcnn/model.pt --out found --tile 640 --overlap 0.2
"""

import argparse
import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from wsis_steps.commands.advice import SCORE, counts_line
from wsis_steps.commands.pictures import write_picture
from wsis_steps.commands.predictors import load_predictor
from wsis_steps.drawing.colors import class_colors
from wsis_steps.drawing.raster import draw_instances, enlarge
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.names import is_file_name, path_below
from wsis_steps.engine.problems import Problems, attempt
from wsis_steps.engine.progress import progress
from wsis_steps.engine.writers import one_writer_of_folder
from wsis_steps.formats.coco_writer import CocoFile
from wsis_steps.formats.deep_samples import FULL, Range
from wsis_steps.formats.files import refuse_links, walk
from wsis_steps.formats.pictures import SUFFIXES, load_image
from wsis_steps.formats.sample_range import unlike_training, used_range
from wsis_steps.maskrcnn.tiles import detect_in_tiles
from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.device import choose_device
from wsis_steps.vision.masks import paint

log = logging.getLogger("wsis")

LEAST_TILE = 32  # pixels; smaller tiles show a network nothing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to its parser."""
    parser.add_argument("input", type=Path, metavar="IMAGE_OR_FOLDER", help="an image, or a folder of images")
    parser.add_argument(
        "--model",
        type=Path,
        required=True,
        metavar="FILE",
        help="model.pt of a Mask R-CNN or region classifier",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="the output folder")
    parser.add_argument(
        "--score",
        type=float,
        help=f"leave out instances below this score (0 to 1; default: the recommended one, else {SCORE})",
    )
    parser.add_argument(
        "--short_side", type=int, metavar="PIXELS", help="shorter side of the resized images (default: as in training)"
    )
    parser.add_argument(
        "--tile", type=int, metavar="PIXELS", help="predict squares of this side and join what their borders cut"
    )
    parser.add_argument(
        "--overlap", type=float, default=0.2, help="share of --tile that neighbors overlap by (default 0.2)"
    )
    parser.add_argument(
        "--settings",
        default="{}",
        metavar="JSON",
        help="settings of the inference step: a JSON object, or the model.json of another run with this model",
    )
    parser.add_argument("--follow_links", action="store_true", help="follow links that lead out of the folder")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads to use")


def find_pictures(path: Path, out: Path) -> tuple[Path, list[Path]]:
    """The folder that names are relative to, and the sorted images, without the output of earlier calls in `out`.

    Raises InputError if there are no images.
    """
    if path.is_file():
        return path.parent, [path]
    if not path.is_dir():
        raise InputError(f"{path} does not exist.")
    found = [one for one in walk(path, SUFFIXES) if out.resolve() not in one.resolve().parents]
    if not found:
        raise InputError(f"{path} contains no image ({', '.join(sorted(SUFFIXES))}).")
    return path, found


def read_picture(path: Path, ends: Range) -> tuple[np.ndarray | InputError, Range | None]:
    """The image as in training, uint8 RGB (h, w, 3), or the error in it; and its `used_range`."""
    return attempt(load_image, path, ends), used_range(path)


def ahead(function: Callable, items: Iterable, threads: int) -> Iterator:
    """function(item) in order, computed in threads a few items ahead of the consumer."""
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def short_names(names: Sequence[Path]) -> dict[Path, Path]:
    """Each image's name without its suffix; the suffix stays if two names would be equal, as of a.jpg and a.png."""
    uses = Counter([*names, *(name.with_suffix("") for name in names)])
    return {name: name if uses[name.with_suffix("")] > 1 else name.with_suffix("") for name in names}


def main(options: argparse.Namespace) -> None:
    if options.score is not None and not 0 <= options.score <= 1:
        raise InputError(f"--score is {options.score}; it must be from 0 to 1.")
    if options.threads < 1 or (options.short_side or 1) < 1:
        raise InputError("--threads and --short_side must be at least 1.")
    if options.tile is not None and options.tile < LEAST_TILE:
        raise InputError(f"--tile is {options.tile}; it must be at least {LEAST_TILE} pixels.")
    if not 0 < options.overlap <= 0.5:
        raise InputError(f"--overlap is {options.overlap}; it must be above 0 and at most 0.5.")
    if options.input.is_dir() and not options.follow_links:
        refuse_links(options.input, SUFFIXES, "if you want that, add --follow_links")
    folder, paths = find_pictures(options.input, options.out)
    if options.out.exists() and options.out.resolve() in (folder.resolve(), *folder.resolve().parents):
        raise InputError(f"--out {options.out} contains the input images; give another folder.")
    predictor = load_predictor(options, choose_device(options.threads))
    trained, find, longest = predictor.trained, predictor.find, predictor.longest
    shown_as = short_names([path.relative_to(folder) for path in paths])
    colors, problems, count = class_colors(len(trained.class_names)), Problems(), 0
    ends, deep = trained.picture_range or FULL, []

    pictures = ahead(lambda path: read_picture(path, ends), paths, max(options.threads - 1, 1))
    with one_writer_of_folder(options.out), CocoFile(options.out / "instances.json", trained.class_names) as file:
        found = progress(zip(paths, pictures, strict=True), len(paths), "predict")
        for path, (picture, used) in found:
            if isinstance(picture, InputError):
                problems.add(str(picture))
                continue
            deep += [] if used is None else [used]
            height, width = picture.shape[:2]
            shown = [min(side, options.tile or side) for side in (height, width)]
            if min(shown) * longest < max(shown):
                problems.add(f"{path} is {width}x{height} pixels, too narrow to be resized to {longest}.")
                continue
            name = path.relative_to(folder)
            if not is_file_name(name.as_posix()):
                problems.add(f"{str(path)!r}: its name has a control character or a backslash; rename it.")
                continue
            instances = detect_in_tiles(picture, options.tile, options.overlap, find) if options.tile else find(picture)
            file.add(name.as_posix(), height, width, instances, scored=True)
            write_masks(options.out, shown_as[name], picture, instances, trained.class_names, colors)
            count += len(instances)
    done = len(paths) - len(problems.sentences)
    log.info("%s: %s", options.out, counts_line(count, done, predictor.count_below(), predictor.score))
    written = {options.out / "masks" / f"{name}.png" for name in shown_as.values()}
    if old := sum(path not in written for path in (options.out / "masks").rglob("*.png")):
        log.warning("%s also contains %d masks of earlier calls, which instances.json does not list", options.out, old)
    for doubt in unlike_training(deep, ends):
        log.warning("%s", doubt)
    problems.raise_any("The folder")


def write_masks(
    out: Path, name: Path, picture: np.ndarray, instances: ImageInstances, class_names: tuple[str, ...], colors: list
) -> None:
    """Writes masks/<name>.png and overlays/<name>.jpg of one image."""
    write_picture(path_below(out / "masks", f"{name}.png"), paint(instances, *picture.shape[:2]).astype(np.uint16))
    drawn = draw_instances(enlarge(picture), instances, class_names, colors, scored=True)
    write_picture(path_below(out / "overlays", f"{name}.jpg"), drawn)
