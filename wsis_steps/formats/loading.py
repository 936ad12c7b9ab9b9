"""Reads a data set of any format, and its images one by one."""

from collections.abc import Callable
from pathlib import Path

from wsis_steps.data.archives import missing_message
from wsis_steps.data.settings import DataImportDataset
from wsis_steps.engine.errors import InputError
from wsis_steps.formats.dataset import Choices, assemble
from wsis_steps.formats.deep_samples import FULL, Range
from wsis_steps.formats.drawing import Source
from wsis_steps.formats.files import refuse_links
from wsis_steps.formats.notes import Notes
from wsis_steps.formats.pictures import SUFFIXES, encoded
from wsis_steps.formats.records import Dataset, ImageRecord
from wsis_steps.formats.table import FORMATS, find_format
from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.masks import describe

LINKS = "if you want that, set `data_import_dataset.links: follow`"
SLIMMEST = 100  # times as long as wide: of what is slimmer, networks that limit the longer side see no pixel


def read_dataset(settings: DataImportDataset, root: Path | None, mapper: Callable = map) -> Dataset:
    """The records of the data set at `root`, in the format of the settings. Raises InputError, which lists the errors.

    mapper: `map`, or that of a process pool.
    """
    if root is None:
        raise InputError(f"data_import_dataset.root is missing: format {settings.format} needs a folder.")
    if not root.is_dir():
        raise InputError(missing_message(settings.format, root))
    check_links(settings, root)
    source = Source(root, settings, mapper)
    notes = Notes()
    reading = FORMATS[format_of(source)].read(source, notes)
    return assemble(root, reading, Choices.of(settings), notes, mapper)


def check_links(settings: DataImportDataset, root: Path) -> None:
    """Raises InputError if links lead out of the folders of a data set, unless the settings follow them."""
    folders = {root, settings.val_root, settings.annotations} if settings.links == "refuse" else set()
    for folder in sorted(one for one in folders if one and one.is_dir()):
        refuse_links(folder, SUFFIXES, LINKS)


def format_of(source: Source) -> str:
    """The name of the format of a source: from the settings, else detected from the files."""
    given = {"shapes": "voc", "drawn": ""}.get(source.settings.format, source.settings.format)
    return given or find_format(source.annotations)


def load_record(
    record: ImageRecord, dataset: Dataset, ends: Range = FULL
) -> tuple[bytes, int, int, ImageInstances | None] | InputError:
    """The encoded image, its height and width in pixels, and its ground truth; or the error in it.

    ends: samples of images of more than 8 bits that become black and white.
    """
    try:
        data, height, width = encoded(record.path, ends)
        truth = dataset.truth(record)
    except InputError as error:
        return error
    short, long = sorted((height, width))
    if long > SLIMMEST * short:
        least = -(-long // SLIMMEST)
        return InputError(f"{record.path} is {width}x{height} pixels; its shorter side must be at least {least}.")
    if truth is None:
        return data, height, width, None
    return data, height, width, describe(truth.masks, truth.categories, crowd=truth.crowd, ignore=truth.ignore)
