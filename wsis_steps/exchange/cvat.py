"""CVAT's XML (CVAT for images 1.1): writing instances as masks.

A mask there is a box (left, top, width, height) and the lengths of its runs row by row, the first of zeros.
"""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from wsis_steps.exchange.labelled import LabelledImage, Labels, write_data
from wsis_steps.report.pictures import class_colors
from wsis_steps.vision.masks import decode


def row_runs(mask: np.ndarray) -> list[int]:
    """Lengths of the runs of a binary mask (h, w) in reading order, the first of zeros (and 0 where there is none)."""
    flat = mask.reshape(-1) > 0
    starts = np.flatnonzero(np.diff(flat, prepend=~flat[:1]))
    return [0] * int(flat[0]) + np.diff(starts, append=len(flat)).tolist()


def write_cvat(out: Path, labels: Labels) -> Path:
    """Writes `cvat_<split>.xml` and the pictures; returns the file."""
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    task = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    known = ElementTree.SubElement(task, "labels")
    for name, color in zip(labels.class_names, class_colors(len(labels.class_names)), strict=True):
        label = ElementTree.SubElement(known, "label")
        for tag, text in (("name", name), ("color", color), ("type", "any")):
            ElementTree.SubElement(label, tag).text = text
    for number, image in enumerate(labels.images):
        write_data(out / "images", image)
        _add_image(root, number, image, labels)
    ElementTree.indent(root, space=" ")
    path = out / f"cvat_{labels.split}.xml"
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    return path


def _add_image(root: ElementTree.Element, number: int, image: LabelledImage, labels: Labels) -> None:
    size = {"width": str(image.width), "height": str(image.height)}
    element = ElementTree.SubElement(root, "image", id=str(number), name=image.file, subset=labels.split, **size)
    boxes = image.instances.boxes.astype(int).tolist()
    masks = decode(image.instances.rles, image.height, image.width)
    for mask, (x1, y1, x2, y2), category in zip(masks, boxes, image.instances.categories.tolist(), strict=True):
        place = {"left": x1, "top": y1, "width": x2 - x1, "height": y2 - y1, "occluded": 0, "z_order": 0}
        runs = ", ".join(map(str, row_runs(mask[y1:y2, x1:x2])))
        attributes = {name: str(value) for name, value in place.items()}
        ElementTree.SubElement(
            element, "mask", label=labels.class_names[category], source="auto", rle=runs, **attributes
        )
