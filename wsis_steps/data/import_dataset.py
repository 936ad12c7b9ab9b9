"""Imports a data set of any format once; no later step reads the source.

in   source           the generated tree (format shapes), or lists that trigger a new import when they change
out  images           images.h5: images with tags, points, boxes and splits
     instances_train  ground-truth masks of the training images, empty if `truth` leaves them out
     instances_val    ground-truth masks of the evaluation images
     summary          JSON: classes, images and instances per split, what was left out, the range of images of more
                      than 8 bits, fingerprint of the code

All errors in the files are listed together; if there are any, nothing is written.
"""

import logging
from collections import Counter
from functools import partial
from itertools import islice

import numpy as np

from wsis_steps.data.doubts import find_doubts
from wsis_steps.data.settings import DataImportDataset
from wsis_steps.engine.documents import write_document
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.pool import fork_map, forked_pool
from wsis_steps.engine.problems import Problems
from wsis_steps.engine.step import Job, Step
from wsis_steps.formats.deep_samples import FULL, Range
from wsis_steps.formats.drawing import Source
from wsis_steps.formats.loading import format_of, load_record, read_dataset
from wsis_steps.formats.records import Dataset
from wsis_steps.formats.sample_range import find_range
from wsis_steps.formats.table import FORMATS
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.images import Annotation, Images, ImagesWriter
from wsis_steps.vision.contracts.instances import write_instances

SHOWN = 100  # classes in a log line
log = logging.getLogger("wsis")

STEP = Step(
    "data_import_dataset",
    DataImportDataset,
    optional=("source",),
    several=("source",),
    outputs=("images", "instances_train", "instances_val", "summary"),
)


def write_images(job: Job, dataset: Dataset, ends: Range | None = None) -> dict[str, list]:
    """Writes images.h5 and returns, for each split, rows (id, height, width, instances) of images with ground truth.

    ends: samples that become black and white in images of more than 8 bits; None if there are no such images.
    """
    truth: dict[str, list] = {"train": [], "val": []}
    problems = Problems()
    loaded = fork_map(partial(load_record, dataset=dataset, ends=ends or FULL), dataset.records, job.threads, chunk=16)
    provenance = job.provenance(dataset.class_names, [])
    with create(job.outputs["images"], Images.schema, provenance) as file:
        writer = ImagesWriter(file, ends)
        for record, found in zip(dataset.records, job.progress(loaded, len(dataset.records)), strict=True):
            if isinstance(found, InputError):
                problems.add(str(found))
                continue
            data, height, width, instances = found
            annotation = Annotation(np.array(record.tags, dtype=np.int64), record.points, record.boxes)
            writer.add(record.id, record.split, data, height, width, annotation, record.name)
            if instances is not None:
                truth[record.split].append((record.id, height, width, instances))
        problems.raise_any("The data set")
        writer.close()
    return truth


def summarise(dataset: Dataset, truth: dict[str, list]) -> dict:
    """What was imported, as JSON values."""
    summary: dict = {"class_names": list(dataset.class_names), **dataset.counts, "left_out": dataset.left_out}
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
    settings: DataImportDataset = job.settings
    drawn_here = settings.format == "shapes"
    if drawn_here and not job.inputs["source"]:
        raise InputError("--source is missing: format shapes reads the folder that data_draw_shapes made.")
    root = job.inputs["source"][0] if drawn_here else settings.root
    if job.threads == 1:
        dataset = read_dataset(settings, root)
        ends, doubts = find_range(settings.range, [record.path for record in dataset.records])
    else:
        with forked_pool(job.threads) as pool:
            mapper = partial(pool.map, chunksize=16)
            dataset = read_dataset(settings, root, mapper)
            ends, doubts = find_range(settings.range, [record.path for record in dataset.records], mapper)
    if not drawn_here:
        log.info("%s is read as %s", root, FORMATS[format_of(Source(root, settings))].title)
    truth = write_images(job, dataset, ends)
    for split, rows in truth.items():
        ids, heights, widths, instances = zip(*rows, strict=True) if rows else ((), (), (), ())
        provenance = job.provenance(dataset.class_names, ["masks"])
        write_instances(job.outputs[f"instances_{split}"], provenance, ids, heights, widths, instances)
    summary = {**summarise(dataset, truth), "picture_range": ends, "code": job.code}
    write_document(job.outputs["summary"], summary)
    for split in truth:
        per_tag = summary[split]["images_per_tag"]
        more = f", and {len(per_tag) - SHOWN} more classes" if len(per_tag) > SHOWN else ""
        tags = ", ".join(f"{name} {count}" for name, count in islice(per_tag.items(), SHOWN)) + more
        images, bare = summary[split]["images"], summary[split]["images_without_tags"]
        log.info("%s: %d images, %d of them without tags; %s", split, images, bare, tags)
    for sentence in [*doubts, *([] if drawn_here else [*dataset.omissions, *find_doubts(dataset)])]:
        log.warning("%s", sentence)
    log.info("%s", ", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in dataset.counts.items() if count))


if __name__ == "__main__":
    STEP.run(main)
