"""Instances with their images, as input for the format writers."""

from pathlib import Path

import cv2
import numpy as np
from artifacts import provenance

from wsis_steps.formats.labelled import Labels, read_labels
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Annotation, Images, ImagesWriter
from wsis_steps.vision.contracts.instances import ImageInstances, Instances, write_instances
from wsis_steps.vision.masks import decode, describe, encode

CLASSES = ("b & w <cat>", "dog", "zebra")
SIZES = [(40, 50), (33, 21), (16, 16)]


def blobs(seed: int, count: int, height: int, width: int, apart: bool = False) -> np.ndarray:
    """Random blobs uint8 (count, height, width) with holes and parts; `apart`: no two share a pixel."""
    noise = np.random.default_rng(seed).normal(size=(count, height, width)).astype(np.float32)
    found = np.stack([cv2.GaussianBlur(plane, (0, 0), 3) > 0.06 for plane in noise]).astype(np.uint8)
    return found * (np.cumsum(found, axis=0) == 1) if apart else found


def exported(folder: Path) -> tuple[Labels, dict[str, ImageInstances]]:
    """images.h5 and labels of three training images, JPEG and PNG, the last without any; and its instances by id."""
    found = []
    with create(folder / "images.h5", Images.schema, provenance(CLASSES)) as file:
        writer = ImagesWriter(file)
        for k, (height, width) in enumerate(SIZES):
            suffix, count = ".jpg" if k == 0 else ".png", 3 if k < 2 else 0
            picture = cv2.imencode(suffix, np.full((height, width, 3), 40 * k, np.uint8))[1].tobytes()
            writer.add(f"im {k}", "train", picture, height, width, Annotation(np.arange(count), [], []))
            apart = blobs(k, count, height, width, apart=True) if count else np.zeros((0, height, width))
            found.append(describe(encode(apart), np.arange(count), scores=np.linspace(0.3, 0.9, count)))
        writer.close()
    ids, heights, widths = [f"im {k}" for k in range(3)], *zip(*SIZES, strict=True)
    write_instances(folder / "labels.h5", provenance(CLASSES), ids, heights, widths, found)
    labels = read_labels(Instances(folder / "labels.h5"), Images(folder / "images.h5"))
    return labels, dict(zip(ids, found, strict=True))


def check_same(dataset, truth: dict[str, ImageInstances]) -> None:
    """Asserts that a data set has the masks, classes, boxes and points of exported instances."""
    assert dataset.class_names == list(CLASSES)
    assert [record.id for record in dataset.records] == list(truth)
    for record in dataset.records:
        instances, found = truth[record.id], dataset.truth(record)
        assert [rle["counts"] for rle in found.masks] == [rle["counts"] for rle in instances.rles]
        assert found.categories.tolist() == instances.categories.tolist()
        np.testing.assert_array_equal(record.boxes[:, :4], instances.boxes)
        for rle, (x, y, _) in zip(found.masks, record.points, strict=True):
            assert decode_one(rle)[int(y), int(x)]


def decode_one(rle: dict) -> np.ndarray:
    """The mask uint8 (h, w) of a code."""
    return decode([rle], *rle["size"])[0]
