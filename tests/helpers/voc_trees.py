"""Small VOC trees and annotations for the importer's tests."""

import numpy as np
from PIL import Image

from wsis_steps.formats.dataset import Choices, assemble
from wsis_steps.formats.notes import Notes
from wsis_steps.formats.voc import Options, read_tree


def first_id(tree):
    return next(iter((tree / "ImageSets/Segmentation/train.txt").read_text().split()))


def save_map(path, values):
    picture = Image.fromarray(np.asarray(values, np.uint8))
    picture.putpalette(range(256))
    picture.save(path)


def annotation(*rows, size=""):
    """An annotation of rows (name, (xmin, ymin, xmax, ymax), difficult); size: its <size>."""
    tags = ("xmin", "ymin", "xmax", "ymax")
    objects = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult>"
        f"<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
        f"<bndbox>{''.join(f'<{t}>{v}</{t}>' for t, v in zip(tags, box, strict=True))}</bndbox></object>"
        for name, box, difficult in rows
    )
    return f"<annotation>{size}{objects}</annotation>"


def plain_tree(root, names=("a", "b"), val=("c",), size=20):
    """A tree of black images, each with a dog at (2..7, 3..9) in its XML, and no masks."""
    for folder in ("JPEGImages", "Annotations", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for name in (*names, *val):
        Image.new("RGB", (size, size)).save(root / "JPEGImages" / f"{name}.jpg")
        (root / "Annotations" / f"{name}.xml").write_text(annotation(("dog", (3, 4, 8, 10), 0)))
    (root / "ImageSets/Segmentation/train.txt").write_text("\n".join(names))
    (root / "ImageSets/Segmentation/val.txt").write_text("\n".join(val))
    return root


def read_voc(root, train="train", val="val", mapper=map, **options):
    """The data set of one or two lists of a tree; options as in `voc.Options`."""
    options = Options(**{"truth": ("train", "val"), **options})
    lists = {split: name for split, name in (("train", train), ("val", val)) if name}
    notes = Notes()
    reading = read_tree(root, lists, options, notes, mapper)
    share = 0.2 if val else 0  # of what is for training, where nothing is for evaluation
    return assemble(root, reading, Choices(options.class_names, options.truth, share), notes, mapper)


def read_plain(root, **options):
    return read_voc(root, **{"truth": (), **options})
