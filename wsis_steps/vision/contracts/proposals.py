"""The contract for region and box proposals (`proposals/*.h5`), written and read image by image.

One file holds proposals of one kind: `boxes`, `regions` (for each image a superpixel map as a 16-bit PNG, and, as
packed bits, which superpixels belong to each proposal) or `masks` (run-length codes). Rows of an image are sorted by
score, best first, so the first n rows are the n best.
"""

import zlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import cv2
import h5py
import numpy as np

from wsis_steps.engine.hdf5 import write_attribute
from wsis_steps.engine.output import OutputFile
from wsis_steps.engine.provenance import Provenance
from wsis_steps.vision.contracts.artifact import Artifact, create, write_image_table
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.regions import BoxProposals, ImageProposals, MaskProposals, RegionProposals
from wsis_steps.vision.run_lengths import find_bad_code

BLOCK = 1 << 18  # bytes of a chunk in the file


class Proposals(Artifact):
    """Proposals for every image of `images.h5`, in its order."""

    schema = "proposals"

    @cached_property
    def kind(self) -> str:
        """`boxes`, `regions` or `masks`."""
        return self.attributes["kind"]

    def check(self) -> None:
        super().check()
        self.require(self.kind in PARTS, f"proposals of a known kind ({', '.join(PARTS)})")
        count = int(self.first[-1])
        for name in COLUMNS[self.kind]:
            self.require(len(self.dataset(f"proposal/{name}")) == count, f"'{name}' of its {count} proposals")
        for name, offsets in self._offsets.items():
            self.require_places(offsets, len(self), len(self.dataset(f"{name}/bytes")), f"{name}/offsets")

    def read(self, i: int) -> ImageProposals:
        rows, height, width = self.rows(i), int(self.heights[i]), int(self.widths[i])
        boxes = self.dataset("proposal/boxes")[rows].astype(np.float32)
        scores = self.dataset("proposal/scores")[rows]
        if self.kind == "boxes":
            return BoxProposals(boxes, scores, height, width)
        self.require(np.isfinite(scores).all(), "scores that are finite numbers")
        if self.kind == "regions":
            superpixels, packed = self._decode_regions(i, len(boxes))
            members = np.unpackbits(packed, axis=1, count=int(superpixels.max()) + 1).astype(bool)
            return RegionProposals(boxes, scores, superpixels, members)
        data, lengths = self.part("masks", i), self.dataset("proposal/length")[rows]
        ends = np.cumsum(lengths, dtype=np.int64)
        fits = ends[-1] == len(data) if len(ends) else not data
        bad = find_bad_code(np.frombuffer(data, np.uint8), np.append(0, ends), np.full(len(ends), height * width))
        self.require(fits and bad is None, f"only valid masks of the size of image '{self.ids[i]}'")
        counts = [data[end - length : end] for end, length in zip(ends, lengths, strict=True)]
        rles = [{"size": [height, width], "counts": count} for count in counts]
        return MaskProposals(boxes, scores, rles, height, width)

    def _decode_regions(self, i: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Superpixels int32 (h, w) of image i, and the packed members of its `count` regions."""
        size = int(self.heights[i]), int(self.widths[i])
        superpixels = cv2.imdecode(np.frombuffer(self.part("superpixels", i), np.uint8), cv2.IMREAD_UNCHANGED)
        fits = superpixels is not None and superpixels.shape == size
        try:
            packed = np.frombuffer(zlib.decompress(self.part("members", i)), np.uint8)
        except zlib.error:
            fits = False
        fits = fits and len(packed) % max(count, 1) == 0 and len(packed) >= count * ((int(superpixels.max()) + 8) // 8)
        self.require(fits, f"valid regions of the size of image '{self.ids[i]}'")
        return superpixels.astype(np.int32), packed.reshape(count, len(packed) // max(count, 1))  # there may be none

    def part(self, name: str, i: int) -> bytes:
        """The encoded `superpixels`, `members` or `masks` of image i."""
        start, end = self._offsets[name][i : i + 2]
        return self.dataset(f"{name}/bytes")[start:end].tobytes()

    @cached_property
    def _offsets(self) -> dict[str, np.ndarray]:
        return {name: self.dataset(f"{name}/offsets")[:] for name in PARTS[self.kind]}


PARTS = {"boxes": (), "regions": ("superpixels", "members"), "masks": ("masks",)}
COLUMNS = {
    "boxes": {"boxes": np.uint16, "scores": np.float32},
    "regions": {"boxes": np.uint16, "scores": np.float32},
    "masks": {"boxes": np.uint16, "scores": np.float32, "length": np.uint32},
}


def encode(proposals: ImageProposals) -> tuple[dict[str, np.ndarray], dict[str, bytes]]:
    """Encodes one image's proposals as columns and parts, as the writer expects them.

    Workers call this, so that the single writer only has to append.
    """
    columns = {"boxes": np.rint(proposals.boxes).reshape(-1, 4), "scores": proposals.scores}
    if isinstance(proposals, RegionProposals):
        packed = np.packbits(proposals.members, axis=1).tobytes()
        picture = cv2.imencode(".png", proposals.superpixels.astype(np.uint16))[1].tobytes()
        return columns, {"superpixels": picture, "members": zlib.compress(packed, 6)}
    if isinstance(proposals, MaskProposals):
        counts = [rle["counts"] for rle in proposals.rles]
        return {**columns, "length": np.array([len(count) for count in counts])}, {"masks": b"".join(counts)}
    return columns, {}


class ProposalsWriter:
    """Appends the encoded proposals of one image after another; `close` writes the tables."""

    def __init__(self, file: OutputFile, kind: str) -> None:
        write_attribute(file, "kind", kind)
        self.file, self.kind = file, kind
        self.columns = {
            name: _growing(file, f"proposal/{name}", dtype, (4,) if name == "boxes" else ())
            for name, dtype in COLUMNS[kind].items()
        }
        self.parts = {name: _growing(file, f"{name}/bytes", np.uint8, ()) for name in PARTS[kind]}
        self.offsets: dict[str, list[int]] = {name: [0] for name in PARTS[kind]}
        self.table: list[tuple[str, int, int, int]] = []

    def add(
        self, identity: str, height: int, width: int, columns: dict[str, np.ndarray], parts: dict[str, bytes]
    ) -> None:
        """Adds the proposals of an image, as encoded by `encode`."""
        self.file.check()
        for name, values in columns.items():
            _append(self.columns[name], values)
        for name, data in parts.items():
            _append(self.parts[name], np.frombuffer(data, np.uint8))
            self.offsets[name].append(self.offsets[name][-1] + len(data))
        self.table.append((identity, height, width, len(columns["scores"])))

    def close(self) -> None:
        ids, heights, widths, counts = zip(*self.table, strict=True) if self.table else ((), (), (), ())
        write_image_table(self.file, ids, heights, widths, counts)
        for name, offsets in self.offsets.items():
            self.file.create_dataset(f"{name}/offsets", data=np.array(offsets, dtype=np.int64))


def write_proposals(
    path: Path,
    provenance: Provenance,
    kind: str,
    images: Images,
    members: np.ndarray,
    encoded: Iterable[tuple[dict[str, np.ndarray], dict[str, bytes]]],
) -> None:
    """Writes what `encode` returned for the images `members` (indices of `images`), as it arrives."""
    with create(path, Proposals.schema, provenance) as file:
        writer = ProposalsWriter(file, kind)
        for i, (columns, parts) in zip(members, encoded, strict=True):
            writer.add(images.ids[i], int(images.heights[i]), int(images.widths[i]), columns, parts)
        writer.close()


def _growing(file: h5py.File, name: str, dtype: type, row: tuple[int, ...]) -> h5py.Dataset:
    chunk = max(BLOCK // (np.dtype(dtype).itemsize * int(np.prod(row, dtype=int))), 1)
    return file.create_dataset(name, shape=(0, *row), maxshape=(None, *row), dtype=dtype, chunks=(chunk, *row))


def _append(dataset: h5py.Dataset, values: np.ndarray) -> None:
    start = len(dataset)
    dataset.resize(start + len(values), axis=0)
    if len(values):
        dataset[start:] = values
