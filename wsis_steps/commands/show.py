"""Tells what is in a result (.h5, or a trained model.pt) and how it was made; draws any image of it.

examples:
  wsis show results/shapes/bestie/labels/round01.h5
  wsis show results/shapes/bestie/labels/round01.h5 --image train_00003 --picture out.png
  wsis show results/shapes/bestie/classifier/train.h5 --image train_00003 --picture out.png
  wsis show results/shapes/bestie/maskrcnn/model.pt
"""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wsis_steps.commands.pictures import find_images, write_picture
from wsis_steps.drawing.artifact import EDGES, MOST, draw, surest
from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.engine.provenance import Provenance
from wsis_steps.engine.verdicts import verdicts_of
from wsis_steps.report.columns import open_artifact
from wsis_steps.vision.contracts.agreement import check_same_classes, places
from wsis_steps.vision.contracts.artifact import Artifact
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.contracts.maps import Maps
from wsis_steps.vision.contracts.points import Points
from wsis_steps.vision.contracts.proposals import Proposals
from wsis_steps.vision.images import Pictures
from wsis_steps.vision.masks import UNSURE
from wsis_steps.vision.models import load_any_model

log = logging.getLogger("wsis")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="an .h5 file of results/, or a model.pt")
    parser.add_argument("--image", metavar="ID", help="tell of this image, by its id or its number from 0")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="where the drawing of that image goes (png, jpg)")
    parser.add_argument("--score", type=float, default=0.0, help="leave out instances that are less sure (0 to 1)")
    parser.add_argument("--images", type=Path, metavar="FILE", help="images.h5, where it does not lie with the result")


def made_by(provenance: Provenance) -> list[str]:
    """Lines on what made a file."""
    settings = json.loads(provenance.settings)
    inputs = ", ".join(f"{name} {mark[:8]}" for name, mark in provenance.inputs.items()) or "none"
    lines = [
        f"made by      {provenance.step}",
        f"supervision  {' + '.join(provenance.supervision) or 'none'}",
        f"classes      {', '.join(provenance.class_names)}",
        f"commit       {provenance.commit[:12]}, code {provenance.code or 'unknown'}",
        f"inputs       {inputs} (digests)",
        "settings",
    ]
    return lines + [f"  {name}: {json.dumps(value)}" for name, value in settings.items()]


def spread(values: np.ndarray) -> str:
    """'12 to 340, mostly 50': the range and the median."""
    if not len(values):
        return "none"
    least, most = (f"{value:g}" for value in (values.min(), values.max()))
    return least if least == most else f"{least} to {most}, median {np.median(values):g}"


def by_class(counts: Sequence[int], class_names: Sequence[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in zip(class_names, counts, strict=True))


def range_line(ends: tuple[int, int]) -> str:
    return f"range        {ends[0]} to {ends[1]}, black and white of pictures of more than 8 bits"


def contents(artifact: Artifact) -> list[str]:
    """Lines on what a file holds."""
    count = len(artifact)
    lines = [f"images       {count}, {spread(artifact.widths)} wide, {spread(artifact.heights)} high (pixels)"]
    counts = np.diff(artifact.first)
    if isinstance(artifact, Images):
        splits, numbers = np.unique(artifact.splits, return_counts=True)
        lines += [f"splits       {by_class(numbers.tolist(), splits.tolist())}"]
        lines += [f"tags         {by_class(artifact.tags.sum(axis=0).tolist(), artifact.class_names)}"]
        lines += [f"without tag  {int((~artifact.tags.any(axis=1)).sum())} images"]
        if artifact.picture_range:
            lines += [range_line(artifact.picture_range)]
        return lines + [
            f"points       {sum(map(len, artifact.points))}",
            f"boxes        {sum(map(len, artifact.boxes))}",
        ]
    kind = artifact.attributes["schema"]
    name = "proposals" if kind == "proposals" else kind
    lines += [f"{name:12} {int(counts.sum())}; an image has {spread(counts)}"]
    if isinstance(artifact, Instances):
        found = list(artifact)
        categories = np.concatenate([np.zeros(0, np.int64), *(one.categories for one in found)])
        per_class = np.bincount(categories, minlength=len(artifact.class_names)).tolist()
        lines += [f"of classes   {by_class(per_class, artifact.class_names)}"]
        for title, column in (("scores", "scores"), ("areas", "areas")):
            lines += [f"{title:12} {spread(np.concatenate([np.zeros(0), *(getattr(one, column) for one in found)]))}"]
    if isinstance(artifact, Proposals):
        lines += [f"kind         {artifact.kind}"]
    return lines


def doubts(path: Path) -> list[str]:
    """Lines on what is doubtful about a file."""
    return [f"doubtful     {verdict.sentence()}" for verdict in verdicts_of(path)]


def of_image(artifact: Artifact, i: int, least_score: float) -> list[str]:
    """Lines on one image of a file; of instances those that are so sure."""
    names = artifact.class_names
    lines = [f"image        {artifact.ids[i]} (number {i}), {artifact.widths[i]}x{artifact.heights[i]} pixels"]
    if isinstance(artifact, Images):
        tags = [names[k] for k in artifact.tags[i].nonzero()[0]]
        split, points, boxes = artifact.splits[i], len(artifact.points[i]), len(artifact.boxes[i])
        return [*lines, f"split {split}, tags {', '.join(tags) or 'none'}, {points} points, {boxes} boxes"]
    if isinstance(artifact, Instances):
        found = surest(artifact.read(i), least_score)
        rows = zip(found.categories, found.scores, found.areas, found.boxes, strict=True)
        lines += [
            f"  {names[category]}, score {score:.3f}, {area:.0f} pixels, box {' '.join(f'{v:g}' for v in box)}"
            for category, score, area, box in rows
        ]
    if isinstance(artifact, Points):
        lines += [f"  {names[int(c)]} at {x:.1f} {y:.1f}, {sure:.3f}" for x, y, c, sure in artifact.read(i).tolist()]
    if isinstance(artifact, Maps):
        maps, categories = artifact.read(i)
        if artifact.provenance.step == EDGES:
            lines += [f"  edges, at most {maps.max() / 255:.3f}"]
        elif maps.dtype == np.uint8:
            labels, pixels = np.unique(maps[0], return_counts=True)
            title = {0: "background", UNSURE: "unsure"} | {k + 1: name for k, name in enumerate(names)}
            total = maps[0].size
            lines += [f"  {title[int(v)]}, {n / total:.1%}" for v, n in zip(labels, pixels, strict=True)]
        else:
            lines += [f"  {names[c]}, at most {m.max():.3f}" for c, m in zip(categories, maps, strict=True)]
    if isinstance(artifact, Proposals):
        lines += [f"  {len(artifact.read(i).boxes)} {artifact.kind}, of which a picture shows the first {MOST}"]
    return lines


def find_image(artifact: Artifact, wanted: str) -> int:
    """The place of an image by its id or number; InputError names the nearest id."""
    if wanted in artifact.index:
        return artifact.index[wanted]
    if wanted.isdecimal() and int(wanted) < len(artifact):
        return int(wanted)
    close = nearest(wanted, artifact.ids) if len(artifact) <= 20 else _some(wanted, artifact)
    if not len(artifact):
        raise InputError(f"{artifact.path} holds no image.")
    raise InputError(f"{artifact.path} holds no image '{wanted}'; {close}.")


def _some(wanted: str, artifact: Artifact) -> str:
    text = nearest(wanted, artifact.ids)
    return text if text.startswith("the nearest") else f"it has {len(artifact)}, such as '{artifact.ids[0]}'"


def show_model(path: Path) -> None:
    model, provenance = load_any_model(path)
    size = sum(value.numel() for value in model.state.values())
    seen = [range_line(model.picture_range)] if model.picture_range else []
    print("\n".join([f"{path}: a trained model of {size:,} numbers", *seen, *made_by(provenance)]))


def main(options: argparse.Namespace) -> None:
    if options.picture and options.image is None:
        raise InputError("--picture needs --image: the image to draw.")
    if not 0 <= options.score <= 1:
        raise InputError(f"--score is {options.score}; it must be from 0 to 1.")
    if options.file.is_dir():
        raise InputError(f"{options.file} is a folder; name an .h5 file or a model.pt in it.")
    if options.file.suffix in (".pt", ".pth"):
        if options.image is not None:
            raise InputError(f"{options.file} is a model and holds no image; leave --image out.")
        show_model(options.file)
        return
    artifact = open_artifact(options.file)
    title = f"{options.file}: {artifact.attributes['schema']}, version {artifact.attributes['schema_version']}"
    if options.image is None:
        print("\n".join([title, *contents(artifact), *doubts(options.file), *made_by(artifact.provenance)]))
        return
    i = find_image(artifact, options.image)
    print("\n".join([title, *of_image(artifact, i, options.score)]))
    if options.picture:
        images = artifact if isinstance(artifact, Images) else Images(options.images or find_images(options.file))
        if not isinstance(artifact, Proposals):  # which know no classes
            check_same_classes(images, artifact)
        picture = Pictures(images).read(int(places(images, artifact)[i]))
        write_picture(options.picture, draw(artifact, i, picture, options.score))
        log.info("drew %s", options.picture)
