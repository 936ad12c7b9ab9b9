"""Puts instances that people drew in place of a round's pseudo labels; images that they left alone keep theirs.

in   images       images.h5
     labels       pseudo labels of the training images
     corrections  what another tool exported: COCO JSON, Label Studio's JSON, CVAT's XML or a folder of LabelMe files
out  corrected    labels with the drawn masks, of score and weight 1

An image counts as corrected where the file has it: in Label Studio by a submitted annotation, elsewhere by being
listed. One on which nothing was left has no instance.
"""

import logging

import numpy as np

from wsis_steps.data.drawing_files import read_drawings
from wsis_steps.data.drawings import Drawing, candidates
from wsis_steps.data.settings import DataImportCorrections
from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.engine.problems import Problems
from wsis_steps.engine.step import Job, Step
from wsis_steps.vision.contracts.agreement import check_same_classes
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import ImageInstances, Instances, write_instances
from wsis_steps.vision.masks import describe

log = logging.getLogger("wsis")

STEP = Step(
    "data_import_corrections",
    DataImportCorrections,
    inputs=("images", "labels", "corrections"),
    outputs=("corrected",),
)


def to_instances(drawing: Drawing, labels: Instances, i: int) -> ImageInstances:
    """The masks of a drawing as labels of image i. Raises InputError for another size, another class, or a mark that is
    no mask."""
    size = [int(labels.heights[i]), int(labels.widths[i])]
    if drawing.height and [drawing.height, drawing.width] != size:
        there, own = (f"{width}x{height}" for height, width in ((drawing.height, drawing.width), size))
        raise InputError(f"{drawing.where}: image '{labels.ids[i]}' is {own}, but was {there} when it was corrected.")
    if drawing.points or drawing.boxes:
        raise InputError(f"{drawing.where} has points or boxes; corrections are masks or polygons.")
    for _, name, _ in drawing.masks:
        if name not in labels.class_names:
            raise InputError(f"{drawing.where}: there is no class '{name}'; {nearest(name, labels.class_names)}.")
    categories = np.array([labels.class_names.index(name) for _, name, _ in drawing.masks], np.int64)
    crowd = np.array([crowd for *_, crowd in drawing.masks], bool)
    return describe([rle for rle, *_ in drawing.masks], categories, crowd=crowd)


def main(job: Job) -> None:
    images, labels = Images(job.inputs["images"]), Instances(job.inputs["labels"])
    check_same_classes(images, labels)
    problems, corrected, elsewhere = Problems(), {}, 0
    for drawing in read_drawings(job.inputs["corrections"], problems):
        names = candidates(drawing.image)
        place = next((labels.index[name] for name in names if name in labels.index), None)
        if place is None and any(name in images.index for name in names):
            elsewhere += 1  # an evaluation image: nothing is learned from it
        elif place is None:
            problems.add(f"{drawing.where}: there is no image '{drawing.image}' in {images.path}.")
        elif place in corrected:
            problems.add(f"{drawing.where}: image '{labels.ids[place]}' is corrected twice.")
        else:
            with problems.catch():
                corrected[place] = to_instances(drawing, labels, place)
    if not corrected and not problems.sentences:
        problems.add(f"{job.inputs['corrections']} corrects no training image.")
    problems.raise_any("The corrections")
    found = [corrected[i] if i in corrected else labels.read(i) for i in range(len(labels))]
    provenance = job.provenance(labels.class_names, {*labels.supervision, "masks"})
    write_instances(job.outputs["corrected"], provenance, labels.ids, labels.heights, labels.widths, found)
    before = sum(len(labels.read(i)) for i in corrected)
    after = sum(map(len, corrected.values()))
    log.info("%d images corrected: %d instances in place of %d", len(corrected), after, before)
    if elsewhere:
        log.warning("%d evaluation images were left out: nothing is learned from them", elsewhere)


if __name__ == "__main__":
    STEP.run(main)
