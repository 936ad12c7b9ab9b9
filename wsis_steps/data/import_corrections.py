"""Replaces a round's pseudo labels by manually drawn instances; images that were not corrected keep their labels.

in   images       images.h5
     labels       pseudo labels of the training images
     corrections  export of another tool: COCO JSON, Label Studio JSON, CVAT XML or a folder of LabelMe files
out  corrected    labels with the drawn masks, with score and weight 1

An image counts as corrected if the file contains it: in Label Studio with a submitted annotation, in other formats by
being listed. An image with nothing left on it has no instances.
"""

import json
import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from wsis_steps.data.settings import DataImportCorrections, DataImportDataset
from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.engine.step import Job, Step
from wsis_steps.formats.drawing import Drawing, Reading, Source
from wsis_steps.formats.fitting import Rules, fit
from wsis_steps.formats.notes import Notes, doubt_sentences
from wsis_steps.formats.picture_names import identity, parts_of, variants
from wsis_steps.formats.pictures import Header
from wsis_steps.formats.table import FORMATS, find_format
from wsis_steps.vision.contracts.agreement import check_same_classes, places
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import ImageInstances, Instances, write_instances
from wsis_steps.vision.counts import count_instances, expect_labels
from wsis_steps.vision.masks import describe

log = logging.getLogger("wsis")

STEP = Step(
    "data_import_corrections",
    DataImportCorrections,
    inputs=("images", "labels", "corrections"),
    outputs=("corrected",),
)


def candidates(name: str) -> list[str]:
    """Image ids that a name in another tool may stand for: its path, shorter ends of it, and all of these without
    prefixes added by an upload."""
    return list(
        dict.fromkeys(identity("/".join(parts[k:])) for parts in variants(parts_of(name)) for k in range(len(parts)))
    )


def to_instances(
    drawing: Drawing, labels: Instances, i: int, notes: Notes, doubts: list[tuple[str, str]]
) -> ImageInstances:
    """The masks of a drawing as labels of image i; notes what is left out, and adds what is doubtful.

    Crowds in the file count as objects, since CVAT writes brush masks as crowds. Raises InputError for another image
    size, an unknown class, or a mark that is not a mask."""
    if any(shape.kind in ("point", "box") for shape in drawing.shapes):
        raise InputError(f"{drawing.where} has points or boxes; corrections must be masks or polygons.")
    header = Header(int(labels.heights[i]), int(labels.widths[i]), orientation=1)
    rules = Rules(labels.class_names, crowds_are_objects=True, may_skip=False)
    masks = [replace(shape, box=None) for shape in drawing.shapes]  # a box without a mask is no label
    found = fit(replace(drawing, shapes=masks), f"image '{labels.ids[i]}'", header, rules)
    notes.omit(found.omitted)
    doubts += found.doubts
    for name in found.labels:
        if name not in labels.class_names:
            raise InputError(f"{drawing.where}: there is no class '{name}'; {nearest(name, labels.class_names)}.")
    categories = np.array([labels.class_names.index(name) for name in found.labels], np.int64)
    return describe(found.rles, categories, ignore=found.ignore)


def read_drawings(path: Path, notes: Notes) -> Reading:
    """Reads the export of another tool, in any supported format."""
    settings = DataImportDataset.of_file(path)
    return FORMATS[find_format(path)].read(Source(settings.root, settings), notes)


def write_labels(path: Path, job: Job, images: Images, labels: Instances, found: list[ImageInstances]) -> None:
    """Writes corrected labels with counts like those of the originals, which trainings check."""
    counts, made = Counter(), labels.provenance
    supervision = json.loads(made.settings).get("supervision", "tags")
    counted = count_instances(found, expect_labels(images, places(images, labels), supervision), "labels", counts)
    provenance = job.provenance(labels.class_names, {*labels.supervision, "masks"}, [made])
    write_instances(path, provenance, labels.ids, labels.heights, labels.widths, counted, counts)


def main(job: Job) -> None:
    images, labels = Images(job.inputs["images"]), Instances(job.inputs["labels"])
    check_same_classes(images, labels)
    problems, doubts, corrected, elsewhere = Notes(), [], {}, 0
    for drawing in read_drawings(job.inputs["corrections"], problems).drawings:
        names = candidates(drawing.name)
        place = next((labels.index[name] for name in names if name in labels.index), None)
        if place is None and any(name in images.index for name in names):
            elsewhere += 1  # an evaluation image, which nothing learns from
        elif place is None:
            problems.add(f"{drawing.where}: there is no image '{drawing.name}' in {images.path}.")
        elif place in corrected:
            problems.add(f"{drawing.where}: image '{labels.ids[place]}' is corrected twice.")
        else:
            with problems.catch():
                corrected[place] = to_instances(drawing, labels, place, problems, doubts)
    if not corrected and not problems.sentences:
        problems.add(f"{job.inputs['corrections']} does not correct any training image.")
    problems.raise_any("The corrections")
    for sentence in [*problems.sentences_of_omissions(), *doubt_sentences(doubts)]:
        log.warning("%s", sentence)
    found = [corrected[i] if i in corrected else labels.read(i) for i in range(len(labels))]
    write_labels(job.outputs["corrected"], job, images, labels, found)
    before = sum(len(labels.read(i)) for i in corrected)
    after = sum(map(len, corrected.values()))
    log.info("%d images corrected: %d instances instead of %d", len(corrected), after, before)
    if elsewhere:
        log.warning("%d evaluation images were skipped: nothing is learned from them", elsewhere)


if __name__ == "__main__":
    STEP.run(main)
