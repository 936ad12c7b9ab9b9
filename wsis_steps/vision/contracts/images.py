"""The contract for images with their weak annotations: `images.h5`."""

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from wsis_steps.engine.hdf5 import write_attribute
from wsis_steps.engine.output import OutputFile
from wsis_steps.vision.contracts.artifact import Artifact, write_image_table, write_texts

SPLITS = ("train", "val")


@dataclass(frozen=True)
class Annotation:
    """The weak annotation of one image: tags (categories), points (n, 3) x, y, category, boxes (n, 5)."""

    tags: np.ndarray
    points: np.ndarray
    boxes: np.ndarray


class Images(Artifact):
    """`images.h5`: encoded images with their weak annotations and splits (`train` or `val`)."""

    schema = "images"

    def check(self) -> None:
        super().check()
        count = len(self)
        self.require_places(self._offsets, count, len(self.dataset("picture/bytes")), "picture/offsets")
        self.require(self.splits.shape == (count,) and np.isin(self.splits, SPLITS).all(), "a split for each image")
        self.require(self.names.shape == (count,), "a name for each image")
        for name, width in (("tags", 1), ("points", 3), ("boxes", 5)):
            owner = self.dataset(f"{name}/image")[:]
            rows = self.dataset("tags/category" if name == "tags" else f"{name}/rows")[:]
            known = owner.dtype == np.int64 and rows.dtype.kind in "if" and rows.size == owner.size * width
            self.require(known and np.isfinite(rows).all(), f"an image for each of its {name}")
            rising = (np.diff(owner) >= 0).all() and (not owner.size or 0 <= owner[0] <= owner[-1] < count)
            self.require(rising, f"{name} in the order of the images")
            self.require_categories(rows.reshape(-1, width)[:, -1])

    @cached_property
    def splits(self) -> np.ndarray:
        return self.texts("image/split")

    @cached_property
    def picture_range(self) -> tuple[int, int] | None:
        """Samples that became black and white in images of more than 8 bits; None if there were no such images."""
        text = self.attributes.get("picture_range")
        return tuple(map(int, json.loads(text))) if text else None

    @cached_property
    def names(self) -> np.ndarray:
        """What the imported annotations call each image, such as a/0001.jpg; its id in files of earlier versions."""
        return self.texts("image/name") if "image/name" in self.file else np.array(self.ids)

    def members(self, split: str) -> np.ndarray:
        """Indices of the images of a split, int64, in the order of the imported list."""
        return np.flatnonzero(self.splits == split)

    @cached_property
    def _offsets(self) -> np.ndarray:
        return self.dataset("picture/offsets")[:]

    def encoded(self, i: int) -> np.ndarray:
        """The JPEG or PNG bytes of image i as uint8."""
        return self.dataset("picture/bytes")[self._offsets[i] : self._offsets[i + 1]]

    @cached_property
    def tags(self) -> np.ndarray:
        """bool (images, classes)."""
        tags = np.zeros((len(self), len(self.class_names)), dtype=bool)
        tags[self.dataset("tags/image")[:], self.dataset("tags/category")[:]] = True
        return tags

    @cached_property
    def points(self) -> list[np.ndarray]:
        """Per image float32 (n, 3): x, y, category."""
        return self._per_image("points", 3)

    @cached_property
    def boxes(self) -> list[np.ndarray]:
        """Per image float32 (n, 5): x1, y1, x2, y2, category."""
        return self._per_image("boxes", 5)

    def _per_image(self, name: str, width: int) -> list[np.ndarray]:
        owner, rows = self.dataset(f"{name}/image")[:], self.dataset(f"{name}/rows")[:].reshape(-1, width)
        return np.split(rows, np.searchsorted(owner, np.arange(1, len(self))))


class ImagesWriter:
    """Appends images one by one to `images.h5`; `close` writes the tables."""

    def __init__(self, file: OutputFile, picture_range: tuple[int, int] | None = None) -> None:
        self.file = file
        if picture_range is not None:
            write_attribute(file, "picture_range", json.dumps(picture_range))
        self.bytes = file.create_dataset(
            "picture/bytes", shape=(0,), maxshape=(None,), dtype=np.uint8, chunks=(1 << 18,)
        )
        self.offsets, self.table, self.annotations = [0], [], []

    def add(
        self, identity: str, split: str, data: bytes, height: int, width: int, annotation: Annotation, name: str = ""
    ) -> None:
        """name: what the imported annotations call the image; by default its id."""
        self.file.check()
        end = self.offsets[-1] + len(data)
        self.bytes.resize((end,))
        self.bytes[self.offsets[-1] : end] = np.frombuffer(data, dtype=np.uint8)
        self.offsets.append(end)
        self.table.append((identity, split, height, width, name or identity))
        self.annotations.append(annotation)

    def close(self) -> None:
        ids, splits, heights, widths, names = zip(*self.table, strict=True)
        write_image_table(self.file, ids, heights, widths, [1] * len(ids))
        write_texts(self.file, "image/split", splits)
        write_texts(self.file, "image/name", names)
        self.file.create_dataset("picture/offsets", data=np.array(self.offsets, dtype=np.int64))
        for name, width in (("tags", 1), ("points", 3), ("boxes", 5)):
            parts = [np.asarray(getattr(a, name), np.float32).reshape(-1, width) for a in self.annotations]
            owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
            rows = np.concatenate(parts)
            self.file.create_dataset(f"{name}/image", data=owner.astype(np.int64))
            if name == "tags":
                self.file.create_dataset("tags/category", data=rows[:, 0].astype(np.int64))
            else:
                self.file.create_dataset(f"{name}/rows", data=rows)
