"""Reading a data set of any format that the settings name, and its images one by one."""

from collections.abc import Callable
from pathlib import Path

from wsis_steps.data.archives import missing_message
from wsis_steps.data.class_folders import read_class_folders
from wsis_steps.data.coco import find_coco, read_coco
from wsis_steps.data.deep_samples import FULL, Range
from wsis_steps.data.drawn import read_drawn
from wsis_steps.data.folder import read_folder
from wsis_steps.data.pictures import encoded
from wsis_steps.data.records import Dataset, ImageRecord
from wsis_steps.data.settings import DataImportDataset
from wsis_steps.data.voc import read_voc
from wsis_steps.engine.errors import InputError
from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.masks import UNSURE, describe

MOST_CLASSES = UNSURE - 1  # label maps are bytes: 0 is background, 255 unsure
SLIMMEST = 100  # times as long as wide: of what is slimmer, networks that limit the longer side see no pixel


def read_dataset(settings: DataImportDataset, root: Path | None, mapper: Callable) -> Dataset:
    """The records of the data set at `root`, in the format that the settings name; InputError for all that is wrong.

    mapper: `map`, or that of a process pool.
    """
    if root is None:
        raise InputError(f"data_import_dataset.root is missing: format {settings.format} needs a folder.")
    if not root.is_dir():
        raise InputError(missing_message(settings.format, root))
    dataset = _read(settings, root, mapper)
    if (count := len(dataset.class_names)) > MOST_CLASSES:
        raise InputError(f"{root} has {count} classes, but label maps are bytes and hold at most {MOST_CLASSES}.")
    return dataset


def _read(settings: DataImportDataset, root: Path, mapper: Callable) -> Dataset:
    share, names = settings.val_share, settings.class_names
    if settings.format == "coco":
        return read_coco(find_coco(root), truth=settings.truth, mapper=mapper)
    if settings.format == "folder":
        return read_folder(root, share, names)
    if settings.format == "drawn":
        return read_drawn(root, settings.annotations, val_share=share, class_names=names, truth=settings.truth)
    if settings.format == "class_folders":
        return read_class_folders(
            root,
            settings.class_map,
            names,
            settings.val_root,
            val_list=settings.val_list,
            val_share=share,
            truth=settings.truth,
            mapper=mapper,
        )
    return read_voc(
        root,
        settings.train_list,
        settings.val_list,
        settings.difficult,
        settings.sbd_root,
        names,
        settings.truth,
        in_both=settings.images_in_both,
        mapper=mapper,
    )


def load_record(
    record: ImageRecord, dataset: Dataset, ends: Range = FULL
) -> tuple[bytes, int, int, ImageInstances | None] | InputError:
    """Encoded picture, its height and width, and its true instances; or what is wrong with it.

    ends: samples of pictures of more than 8 bits that become black and white.
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
    for rle in [*truth.masks, *([truth.ignore] if truth.ignore else [])]:
        if list(rle["size"]) != [height, width]:
            there = "x".join(map(str, rle["size"][::-1]))
            return InputError(f"{record.path} is {width}x{height} pixels, but its masks are {there}.")
    described = describe(truth.masks, truth.categories, crowd=truth.crowd, ignore=truth.ignore)
    return data, height, width, described
