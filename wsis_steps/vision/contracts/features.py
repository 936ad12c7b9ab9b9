"""The contract for features of a frozen backbone: `features.h5`."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from wsis_steps.engine.output import OutputFile
from wsis_steps.vision.contracts.artifact import Artifact, write_image_table


class Features(Artifact):
    """Maps of a backbone's last level, float16, for images at one or several sizes.

    Maps are padded to the largest in the file, one per chunk, shuffled and gzipped.
    """

    schema = "features"

    def check(self) -> None:
        super().check()
        stored, sizes = self.dataset("features"), self.map_sizes
        self.require_places(self.first, len(self), len(stored), "features")
        within = stored.ndim == 4 and stored.dtype == np.float16 and sizes.shape == (len(stored), 2)
        self.require(within and (sizes > 0).all() and (sizes <= self.largest).all(), "the size of each map")

    def read(self, i: int) -> list[np.ndarray]:
        """The maps (channels, h, w) of image i, one for each size in which the backbone saw it."""
        rows = self.rows(i)
        sizes = self.map_sizes[rows].tolist()
        stored = self.dataset("features")
        return [stored[row, :, :h, :w] for row, (h, w) in zip(range(rows.start, rows.stop), sizes, strict=True)]

    @property
    def channels(self) -> int:
        return self.dataset("features").shape[1]

    @cached_property
    def largest(self) -> tuple[int, int]:
        """Height and width that no map exceeds."""
        return self.dataset("features").shape[2:]

    @cached_property
    def map_sizes(self) -> np.ndarray:
        """Height and width of each map, int32 (maps, 2)."""
        return self.dataset("map_size")[:]


class FeaturesWriter:
    """Appends the maps of one image after another; `close` writes the tables.

    `largest` is the (height, width) that no map exceeds.
    """

    def __init__(self, file: OutputFile, channels: int, largest: tuple[int, int]) -> None:
        self.file = file
        self.maps = file.create_dataset(
            "features",
            shape=(0, channels, *largest),
            maxshape=(None, channels, *largest),
            chunks=(1, channels, *largest),
            dtype=np.float16,
            shuffle=True,
            compression="gzip",
            compression_opts=1,
            rdcc_nbytes=1,  # write chunks at once, like `copy`, so that joined files are byte-identical
        )
        self.table, self.sizes = [], []

    def add(self, identity: str, height: int, width: int, maps: Sequence[np.ndarray]) -> None:
        """Adds maps float16 (channels, h, w) of an image; (height, width) is the image's own size."""
        row = self._grow(identity, height, width, [one.shape[1:] for one in maps])
        for k, one in enumerate(maps):
            self.maps[row + k, :, : one.shape[1], : one.shape[2]] = one

    def copy(self, other: Features, i: int) -> None:
        """Adds the maps of image i from a file with the same chunks, without decompressing them."""
        rows = other.rows(i)
        first = self._grow(other.ids[i], int(other.heights[i]), int(other.widths[i]), other.map_sizes[rows].tolist())
        for row in range(rows.start, rows.stop):
            skipped, chunk = other.dataset("features").id.read_direct_chunk((row, 0, 0, 0))
            self.maps.id.write_direct_chunk((first + row - rows.start, 0, 0, 0), chunk, skipped)

    def _grow(self, identity: str, height: int, width: int, sizes: Sequence[tuple[int, int]]) -> int:
        """Makes room for maps of the given sizes and returns the first row of the image."""
        self.file.check()
        row = len(self.maps)
        self.maps.resize(row + len(sizes), axis=0)
        self.sizes.extend(sizes)
        self.table.append((identity, height, width, len(sizes)))
        return row

    def close(self) -> None:
        ids, heights, widths, counts = zip(*self.table, strict=True) if self.table else ((), (), (), ())
        write_image_table(self.file, ids, heights, widths, counts)
        self.file.create_dataset("map_size", data=np.array(self.sizes, dtype=np.int32).reshape(-1, 2))
