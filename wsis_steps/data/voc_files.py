"""Files in VOC's layout, as the generated data set and exports write them: palette PNGs and XML annotations."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from wsis_steps.data.voc_masks import VOID


def palette() -> list[int]:
    """VOC's colors of the values 0 to 255 (768 integers): the bits of a value, three by three, are the high bits of its
    color, so that small values get bright and distinct ones."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    colors = np.zeros((256, 3), int)
    for bit in range(8):
        colors[:, bit % 3] |= bits[:, bit] << (7 - bit // 3)
    return colors.reshape(-1).tolist()


def write_map(path: Path, values: np.ndarray) -> None:
    """Writes uint8 (h, w) as a PNG with VOC's palette."""
    picture = Image.fromarray(values)
    picture.putpalette(palette())
    picture.save(path)


def write_annotation(
    path: Path, file: str, objects: np.ndarray, classes: np.ndarray, class_names: Sequence[str]
) -> None:
    """Writes VOC's XML of the image `file`: the objects in the order of their numbers, with 1-based inclusive boxes.

    objects and classes: uint8 (h, w), as in SegmentationObject and SegmentationClass: 0 background, 255 void, else the
    number of the object and 1 + its category.
    """
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = file
    size = ElementTree.SubElement(root, "size")
    for tag, number in zip(("width", "height", "depth"), (*objects.shape[::-1], 3), strict=True):
        ElementTree.SubElement(size, tag).text = str(number)
    ElementTree.SubElement(root, "segmented").text = "1"
    for value in np.setdiff1d(np.unique(objects), [0, VOID]):
        ys, xs = np.nonzero(objects == value)
        item = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(item, "name").text = class_names[classes[ys[0], xs[0]] - 1]
        ElementTree.SubElement(item, "difficult").text = "0"
        box = ElementTree.SubElement(item, "bndbox")
        corners = {"xmin": xs.min() + 1, "ymin": ys.min() + 1, "xmax": xs.max() + 1, "ymax": ys.max() + 1}
        for tag, number in corners.items():
            ElementTree.SubElement(box, tag).text = str(number)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8")
