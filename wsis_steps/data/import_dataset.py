"""Imports a data set once, whatever its format; nothing later reads the source.

in   source           the drawn tree (format shapes), or lists whose change should import anew
out  images           images.h5: pictures with tags, points, boxes and splits
     instances_train  true masks of the training images, empty where `truth` leaves them out
     instances_val    true masks of the evaluation images
     summary          JSON: classes, images and instances per split, what was left out

All that is wrong with the files is listed together, and nothing is written then.
"""

import json
import logging
from collections import Counter
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial

import numpy as np

from wsis_steps.core.artifact import create
from wsis_steps.core.errors import InputError
from wsis_steps.core.masks import describe
from wsis_steps.core.pool import fork_map
from wsis_steps.core.problems import Problems
from wsis_steps.core.step import Job, Step
from wsis_steps.core.store import Annotation, ImageInstances, Images, ImagesWriter, write_instances
from wsis_steps.data.archives import missing_message
from wsis_steps.data.class_folders import read_class_folders
from wsis_steps.data.coco import find_coco, read_coco
from wsis_steps.data.drawn import read_drawn
from wsis_steps.data.folder import read_folder
from wsis_steps.data.pictures import encoded
from wsis_steps.data.records import Dataset, ImageRecord
from wsis_steps.data.voc import read_voc
from wsis_steps.settings.data import DataImportDataset

log = logging.getLogger("wsis")

STEP = Step(
    "data_import_dataset",
    DataImportDataset,
    optional=("source",),
    several=("source",),
    outputs=("images", "instances_train", "instances_val", "summary"),
)


def read_dataset(job: Job, pool: Executor) -> Dataset:
    """The records of the data set in the format that the settings name."""
    settings: DataImportDataset = job.settings
    if settings.format != "shapes" and settings.root is None:
        raise InputError(f"data_import_dataset.root is missing: format {settings.format} needs a folder.")
    if settings.format == "shapes" and not job.inputs["source"]:
        raise InputError("--source is missing: format shapes reads the folder that data_draw_shapes made.")
    root = job.inputs["source"][0] if settings.format == "shapes" else settings.root
    if not root.is_dir():
        raise InputError(missing_message(settings.format, root))
    mapper = partial(pool.map, chunksize=16)
    if settings.format == "coco":
        return read_coco(find_coco(root), truth=settings.truth, mapper=mapper)
    if settings.format == "folder":
        return read_folder(root, val_share=settings.val_share, class_names=settings.class_names)
    if settings.format == "drawn":
        return read_drawn(root, settings.annotations, settings.val_share, settings.class_names, settings.truth)
    if settings.format == "class_folders":
        return read_class_folders(
            root,
            settings.class_map,
            settings.class_names,
            settings.val_root,
            settings.val_list,
            settings.val_share,
            settings.truth,
            mapper,
        )
    return read_voc(
        root,
        settings.train_list,
        settings.val_list,
        settings.difficult,
        settings.sbd_root,
        settings.class_names,
        settings.truth,
        mapper=mapper,
    )


def load_record(record: ImageRecord, dataset: Dataset) -> tuple[bytes, int, int, ImageInstances | None] | InputError:
    """Encoded picture, its height and width, and its true instances; or what is wrong with it."""
    try:
        data, height, width = encoded(record.path)
        truth = dataset.truth(record)
    except InputError as error:
        return error
    if truth is None:
        return data, height, width, None
    for rle in [*truth.masks, *([truth.ignore] if truth.ignore else [])]:
        if list(rle["size"]) != [height, width]:
            there = "x".join(map(str, rle["size"][::-1]))
            return InputError(f"{record.path} is {width}x{height} pixels, but its masks are {there}.")
    described = describe(truth.masks, truth.categories, crowd=truth.crowd, ignore=truth.ignore)
    return data, height, width, described


def write_images(job: Job, dataset: Dataset) -> dict[str, list]:
    """Writes images.h5 and returns per split the rows (id, height, width, instances) of images with truth."""
    truth: dict[str, list] = {"train": [], "val": []}
    problems = Problems()
    loaded = fork_map(partial(load_record, dataset=dataset), dataset.records, job.threads, chunk=16)
    provenance = job.provenance(dataset.class_names, [])
    with create(job.outputs["images"], Images.schema, provenance) as file:
        writer = ImagesWriter(file)
        for record, found in zip(dataset.records, job.progress(loaded, len(dataset.records)), strict=True):
            if isinstance(found, InputError):
                problems.add(str(found))
                continue
            data, height, width, instances = found
            tags = np.array(record.tags, dtype=np.int64)
            writer.add(record.id, record.split, data, height, width, Annotation(tags, record.points, record.boxes))
            if instances is not None:
                truth[record.split].append((record.id, height, width, instances))
        problems.raise_any("The data set")
        writer.close()
    return truth


def summarise(dataset: Dataset, truth: dict[str, list]) -> dict:
    """What was imported, as JSON values."""
    summary: dict = {"class_names": list(dataset.class_names), **dataset.counts}
    for split, rows in truth.items():
        records = [record for record in dataset.records if record.split == split]
        tags = Counter(dataset.class_names[tag] for record in records for tag in record.tags)
        summary[split] = {
            "images": len(records),
            "images_without_tags": sum(not record.tags for record in records),
            "images_with_truth": len(rows),
            "instances": sum(len(instances) for *_, instances in rows),
            "images_per_tag": {name: tags[name] for name in dataset.class_names},
        }
    return summary


def main(job: Job) -> None:
    with ProcessPoolExecutor(job.threads) as pool:
        dataset = read_dataset(job, pool)
    truth = write_images(job, dataset)
    for split, rows in truth.items():
        ids, heights, widths, instances = zip(*rows, strict=True) if rows else ((), (), (), ())
        provenance = job.provenance(dataset.class_names, ["masks"])
        write_instances(job.outputs[f"instances_{split}"], provenance, ids, heights, widths, instances)
    summary = summarise(dataset, truth)
    job.outputs["summary"].write_text(json.dumps(summary, indent=1) + "\n")
    for split in truth:
        tags = ", ".join(f"{name} {count}" for name, count in summary[split]["images_per_tag"].items())
        images, bare = summary[split]["images"], summary[split]["images_without_tags"]
        log.info("%s: %d images, %d of them without tags; %s", split, images, bare, tags)
    if unseen := [name for name, count in summary["train"]["images_per_tag"].items() if not count]:
        log.warning("no training image of: %s", ", ".join(unseen))
    log.info("%s", ", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in dataset.counts.items()))


if __name__ == "__main__":
    STEP.run(main)
