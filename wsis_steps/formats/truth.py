"""The ground truth masks of a data set in memory."""

from dataclasses import dataclass

import numpy as np

from wsis_steps.formats.records import ImageRecord, TrueInstances


@dataclass(frozen=True)
class PackedTruth:
    """The `truth` of a data set: all masks in flat arrays, so that it pickles as one object (about 200 MB for COCO's
    training split: pass it to a pool once, as an initializer's argument, not with each task)."""

    rows: dict[str, tuple[int, int, int, int]]  # id -> first row, row after the last, height, width
    counts: bytes
    offsets: np.ndarray  # int64 (n + 1,)
    categories: np.ndarray  # int64 (n,)
    crowd: np.ndarray  # bool (n,)
    ignored: dict[str, dict]

    def __call__(self, record: ImageRecord) -> TrueInstances | None:
        """The masks of `record`; None for a split without ground truth."""
        if record.id not in self.rows:
            return None
        first, last, height, width = self.rows[record.id]
        ends = self.offsets[first : last + 1].tolist()
        masks = [
            {"size": [height, width], "counts": self.counts[a:b]} for a, b in zip(ends[:-1], ends[1:], strict=True)
        ]
        ignore = self.ignored.get(record.id)
        return TrueInstances(masks, self.categories[first:last], self.crowd[first:last], ignore)
