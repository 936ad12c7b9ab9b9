"""Imports small data sets in tests."""

from pathlib import Path

from wsis_steps.data.settings import DataImportDataset
from wsis_steps.formats.dataset import Choices, assemble
from wsis_steps.formats.drawing import Source
from wsis_steps.formats.notes import Notes
from wsis_steps.formats.records import Dataset


def imported(reader, root: Path, annotations: Path | None = None, **settings) -> Dataset:
    """The data set that a reader (such as `formats.coco.read`) makes from a folder. Raises InputError as the import."""
    settings.setdefault("truth", ())
    chosen = DataImportDataset(format="drawn", root=root, annotations=annotations, **settings)
    notes = Notes()
    reading = reader(Source(root, chosen), notes)
    return assemble(root, reading, Choices.of(chosen), notes)
