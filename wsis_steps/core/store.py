"""The HDF5 contracts of the workflow: images, points, maps and instances.

Every artifact is flat: one table of images (`id`, `height`, `width`, `first`) and tables of rows; the rows of
image i are `first[i]:first[i + 1]`. There is no group per image. The root attributes say what made the file
(see `Provenance`). Readers open a file lazily in each process, so they may cross a fork.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from wsis_steps.core.artifact import Artifact, Provenance, create, write_bytes, write_image_table
from wsis_steps.core.output import OutputFile

SEMANTIC = 255  # the category of a row of `Maps` that is a whole label map, not one class


# ---- images ----


@dataclass(frozen=True)
class Annotation:
    """The weak annotation of one image: tags (categories), points (n, 3) x, y, category, boxes (n, 5)."""

    tags: np.ndarray
    points: np.ndarray
    boxes: np.ndarray


class Images(Artifact):
    """`images.h5`: encoded pictures with their weak annotations and the split of each (`train` or `val`)."""

    schema = "images"

    @cached_property
    def splits(self) -> np.ndarray:
        return self.file["image/split"].asstr()[:]

    def members(self, split: str) -> np.ndarray:
        """Indices of the images of a split, int64, in the order of the list that was imported."""
        return np.flatnonzero(self.splits == split)

    @cached_property
    def _offsets(self) -> np.ndarray:
        return self.file["picture/offsets"][:]

    def encoded(self, i: int) -> np.ndarray:
        """The JPEG or PNG bytes of image i as uint8."""
        return self.dataset("picture/bytes")[self._offsets[i] : self._offsets[i + 1]]

    @cached_property
    def tags(self) -> np.ndarray:
        """bool (images, classes)."""
        tags = np.zeros((len(self), len(self.class_names)), dtype=bool)
        tags[self.file["tags/image"][:], self.file["tags/category"][:]] = True
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
        owner, rows = self.file[f"{name}/image"][:], self.file[f"{name}/rows"][:].reshape(-1, width)
        return np.split(rows, np.searchsorted(owner, np.arange(1, len(self))))


class ImagesWriter:
    """Appends pictures one by one to `images.h5`; `close` writes the tables."""

    def __init__(self, file: OutputFile) -> None:
        self.file = file
        self.bytes = file.create_dataset(
            "picture/bytes", shape=(0,), maxshape=(None,), dtype=np.uint8, chunks=(1 << 18,)
        )
        self.offsets, self.table, self.annotations = [0], [], []

    def add(self, identity: str, split: str, data: bytes, height: int, width: int, annotation: Annotation) -> None:
        self.file.check()
        end = self.offsets[-1] + len(data)
        self.bytes.resize((end,))
        self.bytes[self.offsets[-1] : end] = np.frombuffer(data, dtype=np.uint8)
        self.offsets.append(end)
        self.table.append((identity, split, height, width))
        self.annotations.append(annotation)

    def close(self) -> None:
        ids, splits, heights, widths = zip(*self.table, strict=True)
        write_image_table(self.file, ids, heights, widths, [1] * len(ids))
        self.file.create_dataset("image/split", data=np.array(splits, dtype=object), dtype=h5py.string_dtype())
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


# ---- points ----


class Points(Artifact):
    """Located cues of images (`peaks.h5`): rows x, y (pixels), category, confidence (0 to 1), float32."""

    schema = "points"

    def read(self, i: int) -> np.ndarray:
        """float32 (n, 4) of image i."""
        return self._all[self.rows(i)]

    @cached_property
    def _all(self) -> np.ndarray:
        return self.file["points"][:].reshape(-1, 4)


def write_points(
    path: Path,
    provenance: Provenance,
    ids: Sequence[str],
    heights: Sequence[int],
    widths: Sequence[int],
    points: Sequence[np.ndarray],
) -> None:
    """Writes one (n, 4) float32 array of x, y, category, confidence per image."""
    with create(path, Points.schema, provenance) as file:
        write_image_table(file, ids, heights, widths, [len(p) for p in points])
        file.check()
        rows = np.concatenate([np.asarray(p, np.float32).reshape(-1, 4) for p in points])
        file.create_dataset("points", data=rows)


# ---- maps ----


class Maps(Artifact):
    """Activation maps (float16, only the classes an image has) or semantic label maps (uint8, one an image).

    Maps are padded to the largest size in the file, one chunk a map, shuffled and gzipped: the padding costs
    next to nothing on disk.
    """

    schema = "maps"

    def read(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Maps (k, h, w) as stored and their categories int64 (k,) of image i."""
        rows = self.rows(i)
        height, width = self._sizes[i]
        return self.dataset("maps")[rows, :height, :width], self._categories[rows]

    def semantic(self, i: int) -> np.ndarray:
        """The label map of image i, uint8 (h, w): 0 background, 1 + category, 255 unsure."""
        return self.read(i)[0][0]

    @cached_property
    def _categories(self) -> np.ndarray:
        return self.file["category"][:].astype(np.int64)

    @cached_property
    def _sizes(self) -> np.ndarray:
        return self.file["image/map_size"][:]


class MapsWriter:
    """Appends the maps of one image after another; `close` writes the tables.

    `largest` is the (height, width) that no map exceeds.
    """

    def __init__(self, file: OutputFile, largest: tuple[int, int], dtype: type) -> None:
        self.file = file
        self.maps = file.create_dataset(
            "maps",
            shape=(0, *largest),
            maxshape=(None, *largest),
            chunks=(1, *largest),
            dtype=dtype,
            shuffle=True,
            compression="gzip",
            compression_opts=1,
        )
        self.table, self.sizes, self.categories = [], [], []

    def add(
        self,
        identity: str,
        height: int,
        width: int,
        maps: np.ndarray,
        categories: Sequence[int] = (SEMANTIC,),
    ) -> None:
        """Adds maps (k, h, w) of the image whose own size is (height, width)."""
        self.file.check()
        start, (count, rows, columns) = len(self.maps), maps.shape
        self.maps.resize(start + count, axis=0)
        if count:
            self.maps[start:, :rows, :columns] = maps
        self.table.append((identity, height, width, count))
        self.sizes.append((rows, columns))
        self.categories.extend(int(category) for category in categories)

    def close(self) -> None:
        ids, heights, widths, counts = zip(*self.table, strict=True) if self.table else ((), (), (), ())
        write_image_table(self.file, ids, heights, widths, counts)
        self.file.create_dataset("image/map_size", data=np.array(self.sizes, dtype=np.int32).reshape(-1, 2))
        self.file.create_dataset("category", data=np.array(self.categories, dtype=np.uint8))


# ---- instances ----


@dataclass(frozen=True)
class ImageInstances:
    """The instances of one image: labels, predictions or truth.

    rles: COCO run-length masks (compressed bytes); categories int64 (n,); scores float32 (n,) 0 to 1;
    boxes float32 (n, 4) xyxy; areas float64 (n,) pixels; crowd bool (n,); ignore: the pixels that count
    neither way, or None; weights float32 (n,) in training, None = all 1.
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
        """Some of them, by their numbers int64 (m,)."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        chosen = {name: None if column is None else column[rows] for name, column in columns.items()}
        return replace(self, rles=[self.rles[row] for row in rows], **chosen)


class Instances(Artifact):
    """Labels, predictions or truth of a list of images: one flat table over all instances."""

    schema = "instances"

    def read(self, i: int) -> ImageInstances:
        """The instances of image i; all masks of the file stay in memory, for what reads them in any order."""
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
        """Image by image, each from the file."""
        masks = self.dataset("mask/bytes")
        return (self._build(i, masks) for i in range(len(self)))

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        return {name: self.file[f"instance/{name}"][:] for name in _COLUMNS}

    @cached_property
    def _masks(self) -> np.ndarray:
        return self.file["mask/bytes"][:]

    @cached_property
    def _offsets(self) -> np.ndarray:
        return self.file["mask/offsets"][:]

    @cached_property
    def _ignore(self) -> tuple[np.ndarray, np.ndarray]:
        return self.file["ignore/bytes"][:], self.file["ignore/offsets"][:]


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
) -> None:
    """Writes the instances of the images, in their order; an image is let go before the next is asked for."""
    rows = InstanceRows(images)
    with create(path, Instances.schema, provenance) as file:
        rows.write(file, ids, heights, widths)


class InstanceRows:
    """The instances of one image after another, each let go before the next is asked for.

    A buffer a column grows with them: small arrays that stay would lie between what a network allocates, which then
    finds no room where it was before and takes more with every image.
    """

    def __init__(self, images: Iterable[ImageInstances]) -> None:
        self.columns = {name: bytearray() for name in _COLUMNS}
        self.masks, self.ignored = bytearray(), bytearray()
        self.lengths, self.ignored_lengths, self.counts = array("q"), array("q"), array("q")
        for image in images:
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
        """Writes the tables of `Instances` into an artifact that may hold more."""
        write_image_table(file, ids, heights, widths, self.counts)
        for name, dtype in _COLUMNS.items():
            file.check()
            column = np.frombuffer(self.columns[name], dtype)
            file.create_dataset(f"instance/{name}", data=column.reshape(-1, 4) if name == "boxes" else column)
        file.check()
        write_bytes(file, "mask", self.masks, self.lengths)
        write_bytes(file, "ignore", self.ignored, self.ignored_lengths)
