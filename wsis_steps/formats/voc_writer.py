"""Writes PASCAL VOC's layout: palette PNGs of objects and classes, XML files of boxes, lists."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.names import path_below
from wsis_steps.engine.writers import write_whole
from wsis_steps.formats.labelled import Labels, write_data
from wsis_steps.formats.voc_annotations import write_annotation
from wsis_steps.formats.voc_masks import VOID, palette, write_map
from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.masks import decode, paint

MOST = VOID - 1  # objects in an 8-bit image


def object_map(instances: ImageInstances, height: int, width: int) -> np.ndarray:
    """uint8 (height, width): 1, 2, ... for instances, 0 background, 255 crowds and ignored pixels.

    Smaller instances are on top. At most 254 instances are kept, those with the highest scores.
    """
    strongest = np.sort(np.argsort(-instances.scores, kind="stable")[:MOST])
    kept = instances.at(strongest)
    painted = paint(kept, height, width)
    values = np.zeros(256, np.uint8)
    values[1 : 1 + len(kept)] = np.where(kept.crowd, VOID, np.arange(1, 1 + len(kept)))
    found = values[painted]
    if instances.ignore:
        found[decode([instances.ignore], height, width)[0] > 0] = VOID
    return found


def class_map(objects: np.ndarray, instances: ImageInstances) -> np.ndarray:
    """uint8 (h, w): 1 + category of each pixel's object, 0 background, 255 void."""
    strongest = np.sort(np.argsort(-instances.scores, kind="stable")[:MOST])
    values = np.zeros(256, np.uint8)
    values[1 : 1 + len(strongest)] = instances.categories[strongest] + 1
    values[VOID] = VOID
    return values[objects]


def write_voc(out: Path, labels: Labels) -> Path:
    """Writes JPEGImages, SegmentationObject, SegmentationClass, Annotations, the list of the split, class_names.txt and
    labelmap.txt, without which Datumaro and CVAT know VOC's own classes only.

    Where masks overlap, the smaller one is kept. Returns the list. Raises InputError for more classes than an 8-bit
    image can hold.
    """
    if len(labels.class_names) > MOST:
        raise InputError(f"VOC's PNGs hold {MOST} classes, these labels have {len(labels.class_names)}.")
    ids = {}
    for image in labels.images:
        image = replace(image, id="_".join(image.id.split()))  # a line of a list ends at a space
        if image.id in ids:
            raise InputError(f"two images would have the name '{image.id}', because VOC's lists cannot hold spaces.")
        write_data(out / "JPEGImages", image)
        objects = object_map(image.instances, image.height, image.width)
        write_map(path_below(out / "SegmentationObject", f"{image.id}.png"), objects)
        classes = class_map(objects, image.instances)
        write_map(path_below(out / "SegmentationClass", f"{image.id}.png"), classes)
        xml = path_below(out / "Annotations", f"{image.id}.xml")
        write_annotation(xml, image.file, objects, classes, labels.class_names)
        ids[image.id] = None
    path = path_below(out / "ImageSets/Segmentation", f"{labels.split}.txt")
    write_whole(path, "".join(f"{identity}\n" for identity in ids))
    write_whole(out / "class_names.txt", "".join(f"{name}\n" for name in labels.class_names))
    if not any(":" in name or name == "background" for name in labels.class_names):  # which its lines cannot hold
        colors = np.array(palette()).reshape(256, 3).tolist()
        rows = zip(("background", *labels.class_names), colors, strict=False)
        write_whole(out / "labelmap.txt", "".join(f"{name}:{r},{g},{b}::\n" for name, (r, g, b) in rows))
    return path
