"""The contract for instances: labels, predictions and ground truth, in one flat table."""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from wsis_steps.engine.output import OutputFile
from wsis_steps.engine.provenance import Provenance
from wsis_steps.vision.contracts.artifact import Artifact, create, write_bytes, write_image_table
from wsis_steps.vision.run_lengths import find_bad_code

AT_ONCE = 1 << 18  # bytes of run-length codes that are checked at once


@dataclass(frozen=True)
class ImageInstances:
    """The instances of one image: labels, predictions or ground truth.

    rles: COCO run-length masks (compressed bytes); categories int64 (n,); scores float32 (n,) 0 to 1;
    boxes float32 (n, 4) xyxy; areas float64 (n,) pixels; crowd bool (n,); ignore: pixels to ignore in scoring, or
    None; weights float32 (n,) in training, None = all 1.
    """

    rles: list[dict]
    categories: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    crowd: np.ndarray
    ignore: dict | None = None
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rles)

    def at(self, rows: np.ndarray) -> "ImageInstances":
        """A selection, by indices int64 (m,)."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        chosen = {name: None if column is None else column[rows] for name, column in columns.items()}
        return replace(self, rles=[self.rles[row] for row in rows], **chosen)


class Instances(Artifact):
    """Labels, predictions or ground truth for a list of images, in one flat table."""

    schema = "instances"

    def check(self) -> None:
        super().check()
        count, columns = int(self.first[-1]), self._columns
        for name, column in columns.items():
            shape = (count, 4) if name == "boxes" else (count,)
            known = column.shape == shape and column.dtype == _COLUMNS[name]
            self.require(known, f"'{name}' of its {count} instances")
            self.require(np.isfinite(column).all(), f"'{name}' that are finite numbers")
        self.require_categories(columns["categories"])
        for name in ("areas", "weights"):
            self.require((columns[name] >= 0).all(), f"non-negative '{name}'")
        self.require_places(self._offsets, count, len(self.dataset("mask/bytes")), "mask/offsets")
        self.require_places(self._ignore[1], len(self), len(self._ignore[0]), "ignore/offsets")
        pixels = self.heights.astype(np.int64) * self.widths
        owner = np.repeat(np.arange(len(self)), np.diff(self.first))
        self._check_masks(self.dataset("mask/bytes"), self._offsets, owner, pixels)
        given = np.flatnonzero(np.diff(self._ignore[1]))
        self._check_masks(self._ignore[0], np.append(self._ignore[1][given], self._ignore[1][-1]), given, pixels)

    def _check_masks(
        self, data: np.ndarray | h5py.Dataset, offsets: np.ndarray, owner: np.ndarray, pixels: np.ndarray
    ) -> None:
        """Raises InputError if a code between offsets is not a valid mask of its image.

        owner: the image of each code; pixels: the number of pixels of each image.
        """
        self.require(data.dtype == np.uint8, "masks as bytes")
        blocks = np.searchsorted(offsets, np.arange(AT_ONCE, offsets[-1], AT_ONCE))
        for start, end in pairwise(np.unique([0, *blocks, len(owner)]).tolist()):
            some, places = data[offsets[start] : offsets[end]], offsets[start : end + 1] - offsets[start]
            k = find_bad_code(some, places, pixels[owner[start:end]])
            name = None if k is None else self.ids[owner[start + k]]
            self.require(k is None, f"only valid masks of the size of image '{name}'")

    def read(self, i: int) -> ImageInstances:
        """The instances of image i. All masks of the file stay in memory, for reading them in any order."""
        return self._build(i, self._masks)

    def _build(self, i: int, masks: np.ndarray | h5py.Dataset) -> ImageInstances:
        rows = self.rows(i)
        size = [int(self.heights[i]), int(self.widths[i])]
        ignore = self._ignore[0][self._ignore[1][i] : self._ignore[1][i + 1]].tobytes()
        ends = self._offsets[rows.start : rows.stop + 1].tolist()
        data = masks[ends[0] : ends[-1]].tobytes()
        return ImageInstances(
            rles=[{"size": size, "counts": data[a - ends[0] : b - ends[0]]} for a, b in pairwise(ends)],
            ignore={"size": size, "counts": ignore} if ignore else None,
            **{name: column[rows] for name, column in self._columns.items()},
        )

    def __iter__(self) -> Iterator[ImageInstances]:
        """Yields the instances of each image, read from the file one image at a time."""
        masks = self.dataset("mask/bytes")
        return (self._build(i, masks) for i in range(len(self)))

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        return {name: self.dataset(f"instance/{name}")[:] for name in _COLUMNS}

    @cached_property
    def _masks(self) -> np.ndarray:
        return self.dataset("mask/bytes")[:]

    @cached_property
    def _offsets(self) -> np.ndarray:
        return self.dataset("mask/offsets")[:]

    @cached_property
    def _ignore(self) -> tuple[np.ndarray, np.ndarray]:
        return self.dataset("ignore/bytes")[:], self.dataset("ignore/offsets")[:]


_COLUMNS = {
    "categories": np.int64,
    "scores": np.float32,
    "weights": np.float32,
    "boxes": np.float32,
    "areas": np.float64,
    "crowd": bool,
}


def write_instances(
    path: Path,
    provenance: Provenance,
    ids: Sequence[str],
    heights: Sequence[int],
    widths: Sequence[int],
    images: Iterable[ImageInstances],
    counts: Mapping[str, int] | None = None,
) -> None:
    """Writes the instances of the images, in order; each image is released before the next is requested.

    counts: counts that change as images pass, such as those of `vision.counts`.
    """
    rows = InstanceRows(images, heights, widths, len(provenance.class_names))
    with create(path, Instances.schema, provenance, counts) as file:
        rows.write(file, ids, heights, widths)


class InstanceRows:
    """The instances of one image after another, each image released before the next is requested.

    Each column is one growing buffer. Many small arrays that stay would fragment the memory between a network's
    allocations, so that it takes more with every image.
    """

    def __init__(
        self, images: Iterable[ImageInstances], heights: Sequence[int], widths: Sequence[int], classes: int
    ) -> None:
        """Collects the instances of the images, whose sizes are `heights` and `widths`.

        Raises ValueError if a mask has another size, a category is not one of the `classes` (0: unknown), or there are
        more or fewer images than sizes: readers of the file would be misled, or would wait forever.
        """
        self.columns = {name: bytearray() for name in _COLUMNS}
        self.masks, self.ignored = bytearray(), bytearray()
        self.lengths, self.ignored_lengths, self.counts = array("q"), array("q"), array("q")
        for image, height, width in zip(images, heights, widths, strict=True):
            sizes = {tuple(rle["size"]) for rle in image.rles}
            if sizes - {(int(height), int(width))}:
                raise ValueError(f"masks of {sizes} pixels for an image of {(int(height), int(width))}")
            if classes and len(image) and not 0 <= image.categories.min() <= image.categories.max() < classes:
                raise ValueError(f"categories {sorted(set(image.categories.tolist()))} with {classes} classes")
            self._add(image)

    def _add(self, image: ImageInstances) -> None:
        self.counts.append(len(image))
        for name, dtype in _COLUMNS.items():
            values = getattr(image, name)
            self.columns[name] += (np.ones(len(image)) if values is None else values).astype(dtype).tobytes()
        for rle in image.rles:
            self.masks += rle["counts"]
            self.lengths.append(len(rle["counts"]))
        self.ignored += image.ignore["counts"] if image.ignore else b""
        self.ignored_lengths.append(len(image.ignore["counts"]) if image.ignore else 0)

    def write(self, file: OutputFile, ids: Sequence[str], heights: Sequence[int], widths: Sequence[int]) -> None:
        """Writes the tables of `Instances` into an artifact that may contain more."""
        write_image_table(file, ids, heights, widths, self.counts)
        for name, dtype in _COLUMNS.items():
            file.check()
            column = np.frombuffer(self.columns[name], dtype)
            file.create_dataset(f"instance/{name}", data=column.reshape(-1, 4) if name == "boxes" else column)
        file.check()
        write_bytes(file, "mask", self.masks, self.lengths)
        write_bytes(file, "ignore", self.ignored, self.ignored_lengths)
