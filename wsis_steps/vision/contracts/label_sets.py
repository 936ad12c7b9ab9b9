"""K label sets for each image in one table of instances: all instances, and which sets contain each."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from wsis_steps.engine.provenance import Provenance
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.instances import ImageInstances, InstanceRows, Instances


class LabelSets(Instances):
    """Instances with `instance/sets`, bool (n, K): which label sets contain each."""

    schema = "label_sets"

    def check(self) -> None:
        super().check()
        self.require(self.sets.ndim == 2 and len(self.sets) == self.first[-1], "the sets of each instance")

    @cached_property
    def sets(self) -> np.ndarray:
        """bool (instances, K)."""
        return self.dataset("instance/sets")[:]


def write_label_sets(
    path: Path,
    provenance: Provenance,
    ids: Sequence[str],
    heights: Sequence[int],
    widths: Sequence[int],
    images: Iterable[ImageInstances],
    sets: Sequence[np.ndarray],
) -> None:
    """Writes the instances of the images, in order, with `sets` (n, K): which label sets contain each."""
    rows = InstanceRows(images, heights, widths, len(provenance.class_names))
    with create(path, LabelSets.schema, provenance) as file:
        rows.write(file, ids, heights, widths)
        file.create_dataset("instance/sets", data=np.concatenate(sets) if len(sets) else np.zeros((0, 0), bool))
