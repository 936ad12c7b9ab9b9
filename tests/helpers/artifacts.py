"""Small artifacts with known content, for tests of the core and the steps."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import h5py
import numpy as np

from wsis_steps.engine.hdf5 import sign
from wsis_steps.engine.provenance import Provenance
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Annotation, Images, ImagesWriter
from wsis_steps.vision.contracts.instances import ImageInstances, write_instances
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.masks import describe, encode

CLASSES = ("cat", "dog")
SIZE = 32


def provenance(class_names=CLASSES, supervision=("tags",), step="test") -> Provenance:
    return Provenance(step, "{}", "0123", "abcd", {}, tuple(class_names), tuple(supervision))


@contextmanager
def edited(path: Path) -> Iterator[h5py.File]:
    """An artifact open for changes; its checksums and digest are updated afterwards."""
    with h5py.File(path, "r+") as file:
        yield file
        file.attrs.pop("digest", None)
        sign(file)


def square_mask(number: int, size: int = SIZE) -> np.ndarray:
    """A square of 12 pixels whose position depends on the number, uint8 (size, size)."""
    mask = np.zeros((size, size), dtype=np.uint8)
    mask[4 + number % 5 : 16 + number % 5, 3 + 2 * (number % 7) : 15 + 2 * (number % 7)] = 1
    return mask


def picture(number: int, size: int = SIZE) -> np.ndarray:
    """Noise with a bright square where `square_mask` is, uint8 (size, size, 3)."""
    noise = np.random.default_rng(number).integers(0, 80, (size, size, 3)).astype(np.uint8)
    return noise + 150 * square_mask(number, size)[..., None]


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()


def write_images(
    path: Path,
    train=6,
    val=2,
    class_names=CLASSES,
    tagged=True,
    pointed=True,
    prefix="image",
    untagged=(),
    unpointed=(),
) -> Path:
    """Square images; image k has class k mod 2 and a point in its square. Images with numbers in `untagged` have no
    tag, those in `unpointed` no point."""
    with create(path, Images.schema, provenance(class_names, ())) as file:
        writer = ImagesWriter(file)
        for k in range(train + val):
            category = k % len(class_names)
            point = [[6 + 2 * (k % 7), 8 + k % 5, category]] if pointed and k not in unpointed else np.zeros((0, 3))
            tags = np.array([category] if tagged and k not in untagged else [], dtype=np.int64)
            annotation = Annotation(tags, np.array(point, np.float32), np.zeros((0, 5), np.float32))
            writer.add(f"{prefix}{k}", "train" if k < train else "val", png(picture(k)), SIZE, SIZE, annotation)
        writer.close()
    return path


def squares(number: int, class_count: int = len(CLASSES)) -> ImageInstances:
    return describe(encode(square_mask(number)[None]), np.array([number % class_count]))


def nothing() -> ImageInstances:
    return describe([], np.zeros(0, dtype=np.int64))


def write_labels(path: Path, first=0, count=6, empty=False, class_names=CLASSES, prefix="image") -> Path:
    """The true squares of images first ... first + count - 1, or no instance at all."""
    numbers = range(first, first + count)
    found = [nothing() if empty else squares(k, len(class_names)) for k in numbers]
    ids = [f"{prefix}{k}" for k in numbers]
    write_instances(path, provenance(class_names), ids, [SIZE] * count, [SIZE] * count, found)
    return path


def write_semantic(path: Path, count=6, background=False, class_names=CLASSES, prefix="image") -> Path:
    """Label maps of the squares, or of background only."""
    with create(path, Maps.schema, provenance(class_names)) as file:
        writer = MapsWriter(file, (SIZE, SIZE), np.uint8)
        for k in range(count):
            labels = square_mask(k) * np.uint8(0 if background else 1 + k % len(class_names))
            writer.add(f"{prefix}{k}", SIZE, SIZE, labels[None])
        writer.close()
    return path
