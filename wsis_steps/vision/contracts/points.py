"""The contract for located cues: `peaks.h5`."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from wsis_steps.engine.provenance import Provenance
from wsis_steps.vision.contracts.artifact import Artifact, create, write_image_table


class Points(Artifact):
    """Located cues of images (`peaks.h5`): rows x, y (pixels), category, confidence (0 to 1), float32."""

    schema = "points"

    def check(self) -> None:
        super().check()
        self.require_places(self.first, len(self), len(self._all), "points")
        known = self._all.dtype == np.float32 and np.isfinite(self._all).all()
        self.require(known, "points that are finite numbers")
        self.require_categories(self._all[:, 2])

    def read(self, i: int) -> np.ndarray:
        """float32 (n, 4) of image i."""
        return self._all[self.rows(i)]

    @cached_property
    def _all(self) -> np.ndarray:
        return self.dataset("points")[:].reshape(-1, 4)


def write_points(
    path: Path,
    provenance: Provenance,
    ids: Sequence[str],
    heights: Sequence[int],
    widths: Sequence[int],
    points: Sequence[np.ndarray],
    counts: Mapping[str, int] | None = None,
) -> None:
    """Writes one (n, 4) float32 array of x, y, category, confidence per image."""
    with create(path, Points.schema, provenance, counts) as file:
        write_image_table(file, ids, heights, widths, [len(p) for p in points])
        file.check()
        rows = np.concatenate([np.asarray(p, np.float32).reshape(-1, 4) for p in points])
        file.create_dataset("points", data=rows)
