"""The contract for activation maps and semantic label maps."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from wsis_steps.engine.output import OutputFile
from wsis_steps.vision.contracts.artifact import Artifact, write_image_table

CHUNK = 512  # sides of the parts in which maps are stored: to write one map costs its own size, not the largest's
SEMANTIC = 255  # the category of a label map of all classes and of edges, which nobody reads; labels: masks.UNSURE


class Maps(Artifact):
    """Activation maps (float16, only for an image's classes) or semantic label maps (uint8, one per image).

    Maps are padded to the largest size in the file, one per chunk if that is at most 512 x 512, shuffled and gzipped:
    padding takes next to no space on disk.
    """

    schema = "maps"

    def check(self) -> None:
        super().check()
        maps, sizes = self.dataset("maps"), self._sizes
        self.require_places(self.first, len(self), len(maps), "maps")
        self.require(maps.ndim == 3 and self._categories.shape == (len(maps),), "a category for each map")
        self.require_categories(self._categories, SEMANTIC)
        within = sizes.shape == (len(self), 2) and (sizes >= 0).all() and (sizes <= maps.shape[1:]).all()
        self.require(within, "the size of the maps of each image")

    def read(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Maps (k, h, w) as stored and their categories int64 (k,) of image i."""
        rows = self.rows(i)
        height, width = self._sizes[i]
        return self.dataset("maps")[rows, :height, :width], self.categories(i)

    def categories(self, i: int) -> np.ndarray:
        """The categories int64 (k,) of the maps of image i."""
        return self._categories[self.rows(i)]

    def semantic(self, i: int) -> np.ndarray:
        """The label map of image i, uint8 (h, w): 0 background, 1 + category, 255 unsure."""
        return self.read(i)[0][0]

    @cached_property
    def _categories(self) -> np.ndarray:
        return self.dataset("category")[:].astype(np.int64)

    @cached_property
    def _sizes(self) -> np.ndarray:
        return self.dataset("image/map_size")[:]


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
            chunks=(1, *(min(side, CHUNK) for side in largest)),
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
        """Adds maps (k, h, w) of an image; (height, width) is the image's own size."""
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
        dtype = np.min_scalar_type(max(self.categories, default=0))  # a byte if that is enough
        self.file.create_dataset("category", data=np.array(self.categories, dtype=dtype))
