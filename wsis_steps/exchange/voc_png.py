"""PASCAL VOC's layout: palette PNGs of objects and of classes, XML files of boxes, lists."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from wsis_steps.data.voc_masks import VOID
from wsis_steps.engine.errors import InputError
from wsis_steps.exchange.labelled import LabelledImage, Labels, write_data
from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.masks import decode, paint

MOST = VOID - 1  # objects that an 8-bit picture holds


def palette() -> list[int]:
    """VOC's colors of the values 0 to 255: the bits of a value, three by three, are the high bits of its color."""
    values = np.arange(256)
    bits = (values[:, None] >> np.arange(8)) & 1  # (256, 8)
    colors = np.zeros((256, 3), int)
    for channel in range(3):
        chosen = bits[:, channel::3]
        colors[:, channel] = (chosen << (7 - np.arange(chosen.shape[1]))).sum(axis=1)
    return colors.reshape(-1).tolist()


def object_map(instances: ImageInstances, height: int, width: int) -> np.ndarray:
    """uint8 (height, width): 1, 2, ... the instances, 0 background, 255 crowds and ignored pixels.

    Smaller instances lie on top; of more than 254 those of the highest scores are kept.
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
    """uint8: 1 + category of the object of each pixel, 0 background, 255 void."""
    strongest = np.sort(np.argsort(-instances.scores, kind="stable")[:MOST])
    values = np.zeros(256, np.uint8)
    values[1 : 1 + len(strongest)] = instances.categories[strongest] + 1
    values[VOID] = VOID
    return values[objects]


def write_voc(out: Path, labels: Labels) -> Path:
    """Writes JPEGImages, SegmentationObject, SegmentationClass, Annotations, the list of the split and class_names.txt.

    Masks that overlap lose what lies under smaller ones. Returns the list. Raises InputError for more classes than an
    8-bit picture holds.
    """
    if len(labels.class_names) > MOST:
        raise InputError(f"VOC's PNGs hold {MOST} classes, these labels have {len(labels.class_names)}.")
    colors, ids = palette(), {}
    for image in labels.images:
        image = replace(image, id="_".join(image.id.split()))  # a line of a list ends at a space
        if image.id in ids:
            raise InputError(f"two images would have the name '{image.id}', since VOC's lists know no spaces.")
        write_data(out / "JPEGImages", image)
        objects = object_map(image.instances, image.height, image.width)
        _write_png(out / "SegmentationObject" / f"{image.id}.png", objects, colors)
        classes = class_map(objects, image.instances)
        _write_png(out / "SegmentationClass" / f"{image.id}.png", classes, colors)
        _write_xml(out / "Annotations" / f"{image.id}.xml", image, objects, classes, labels.class_names)
        ids[image.id] = None
    path = out / "ImageSets" / "Segmentation" / f"{labels.split}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{identity}\n" for identity in ids), encoding="utf-8")
    (out / "class_names.txt").write_text("".join(f"{name}\n" for name in labels.class_names), encoding="utf-8")
    return path


def _write_png(path: Path, values: np.ndarray, colors: list[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values, "P")
    picture.putpalette(colors)
    picture.save(path)


def _write_xml(
    path: Path, image: LabelledImage, objects: np.ndarray, classes: np.ndarray, class_names: Sequence[str]
) -> None:
    """The boxes of what is to be seen in the object map, 1-based and with their last pixel."""
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = image.file
    size = ElementTree.SubElement(root, "size")
    for tag, number in (("width", image.width), ("height", image.height), ("depth", 3)):
        ElementTree.SubElement(size, tag).text = str(number)
    for value in np.setdiff1d(np.unique(objects), [0, VOID]):
        ys, xs = np.nonzero(objects == value)
        item = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(item, "name").text = class_names[classes[ys[0], xs[0]] - 1]
        ElementTree.SubElement(item, "difficult").text = "0"
        box = ElementTree.SubElement(item, "bndbox")
        corners = {"xmin": xs.min() + 1, "ymin": ys.min() + 1, "xmax": xs.max() + 1, "ymax": ys.max() + 1}
        for tag, number in corners.items():
            ElementTree.SubElement(box, tag).text = str(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8")
