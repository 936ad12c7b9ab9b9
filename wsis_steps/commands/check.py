"""Checks a data set, a configuration or a folder of results before anything is trained.

A data set: lists every error with its file and line. Then it lists what is allowed but makes learning harder: class
names that are nearly the same, few or unevenly distributed images, classes that tags cannot separate, no empty images.

A configuration: checks its data, its runs and their backbones, and lists the weights that are there and those that are
missing, and how long the runs took the last time. With
--download, it downloads those whose published file names contain their checksum.

A folder of results: reads every file to the end, verifies its checksums, and lists the damaged files.

Exit status: 0 if nothing is wrong, missing or damaged, 2 otherwise.

examples:
  wsis check data/own_images                    a folder in any supported format; prints the format it found
  wsis check data/own_images --annotations export.json
  wsis check results                            whether the files of the workflow are intact
  wsis check my.yaml                            a configuration and the data it names
  wsis check my.yaml more.yaml                  more.yaml overrides my.yaml, as with snakemake's --configfile
"""

import argparse
import logging
import os
import re
from collections import Counter
from functools import partial
from pathlib import Path

from wsis_steps.commands.configuration import (
    expected_time,
    faulty_backbones,
    faulty_runs,
    found_weights,
    idle_settings,
    missing_weights,
    settings_of_data,
    unmarked_runs,
)
from wsis_steps.commands.results import are_results, find_damaged
from wsis_steps.data.doubts import find_doubts
from wsis_steps.data.settings import DataImportDataset
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.names import printable_lines
from wsis_steps.engine.pool import fork_map
from wsis_steps.engine.problems import attempt
from wsis_steps.engine.progress import progress
from wsis_steps.formats.drawing import Source
from wsis_steps.formats.files import walk
from wsis_steps.formats.loading import check_links, format_of, load_record, read_dataset
from wsis_steps.formats.pictures import SUFFIXES, encoded, picture_size
from wsis_steps.formats.records import SPLITS, Dataset
from wsis_steps.formats.sample_range import find_range
from wsis_steps.formats.table import FORMATS

log = logging.getLogger("wsis")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "data", type=Path, nargs="+", metavar="FOLDER_OR_CONFIG",
        help="a folder of images or results, or .yaml files, each overriding those before it",
    )  # fmt: skip
    parser.add_argument("--annotations", type=Path, metavar="FILE", help="what another tool exported of the folder")
    parser.add_argument("--follow_links", action="store_true", help="follow links that lead out of the folder")
    parser.add_argument("--download", action="store_true", help="download the weights that the runs need")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads to use")


def find_settings(paths: list[Path], annotations: Path | None, links: str = "refuse") -> DataImportDataset:
    """What to read: the data that a configuration names, or a folder of any format. Raises InputError.

    links: what to do with links that lead out of the folder.
    """
    folders, path = [path for path in paths if path.is_dir()], paths[0]
    if folders and len(paths) > 1:
        raise InputError(f"{folders[0]} is a folder; give one folder, or several configurations.")
    if folders:
        return DataImportDataset(format="drawn", root=path, annotations=annotations, links=links)
    if annotations:
        raise InputError(f"{path} is not a folder; --annotations works with a folder only.")
    return settings_of_data(paths)


def find_pictures(settings: DataImportDataset) -> list[Path]:
    """The images of a user's own data set, sorted; empty for VOC and COCO, which use only some of their images."""
    if not settings.root or format_of(Source(settings.root, settings)) in ("voc", "coco"):
        return []
    return walk(settings.root, SUFFIXES)


def tell(dataset: Dataset) -> None:
    """Prints the number of images of each split, and how many of them carry the tag of each class."""
    for split in SPLITS:
        records = [record for record in dataset.records if record.split == split]
        tags = Counter(dataset.class_names[tag] for record in records for tag in record.tags)
        bare = sum(not record.tags for record in records)
        print(f"{split}: {len(records)} images, {bare} of them without tags")
        for name in dataset.class_names:
            print(f"  {name:20} {tags[name]}")
    print(", ".join(f"{name.replace('_', ' ')} {count}" for name, count in dataset.counts.items() if count))
    print(sizes_line([picture_size(record.path) for record in dataset.records]))


def sizes_line(sizes: list[tuple[int, int]]) -> str:
    """The sizes of images, given as height and width: the smallest, the middle and the largest by area."""
    ordered = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    least, middle, most = (f"{width}x{height}" for height, width in (ordered[0], ordered[len(sizes) // 2], ordered[-1]))
    return f"image sizes: {least if least == most else f'{least} to {most}, the middle one {middle}'} pixels"


def read_all(settings: DataImportDataset, threads: int) -> tuple[Dataset | None, list[str]]:
    """The data set (None if it is generated or unreadable) and a sentence for each error in it or its images."""
    dataset, wrong = None, []
    if settings.format == "shapes":
        return dataset, wrong
    try:
        dataset = read_dataset(settings, settings.root, map)
    except InputError as error:
        wrong += sorted(error.sentences, key=_by_line)
        work, items = partial(attempt, encoded), find_pictures(settings)
    else:
        work, items = partial(load_record, dataset=dataset), dataset.records
    loaded = progress(fork_map(work, items, threads, chunk=16), len(items), "check")
    damaged = [str(found) for found in loaded if isinstance(found, InputError)]
    return dataset, wrong + [sentence for sentence in damaged if sentence not in wrong]


def check_results(folder: Path, threads: int) -> None:
    """Prints a line for each damaged file of a folder of results; raises InputError if there are any."""
    count, damaged = find_damaged(folder, threads)
    if damaged:
        print(printable_lines("\n".join(damaged)))
        raise InputError(
            f"{folder}: {len(damaged)} of {count} files are damaged; delete them and run the workflow again."
        )
    print(f"{folder}: all {count} files are intact.")


def main(options: argparse.Namespace) -> None:
    if len(options.data) == 1 and are_results(options.data[0]):
        check_results(options.data[0], options.threads)
        return
    settings = find_settings(options.data, options.annotations, "follow" if options.follow_links else "refuse")
    name = " ".join(map(str, options.data))
    if settings.format != "shapes" and settings.root and settings.root.is_dir():
        check_links(settings, settings.root)
        print(f"{name} is read as {FORMATS[format_of(Source(settings.root, settings))].title}.")
    dataset, wrong = read_all(settings, options.threads)
    wrong += faulty_runs(options.data)
    wrong += unmarked_runs(options.data, dataset) if dataset else []
    wrong += faulty_backbones(options.data)
    missing, coming = missing_weights(options.data, options.download)
    missing = [one for one in missing if not any(told.endswith(one) for told in wrong)]
    if wrong:
        print(printable_lines("\n".join([*wrong, *missing])))
        raise InputError(
            f"{name}: {len(wrong)} problem{'s' * (len(wrong) > 1)}; what makes learning harder is listed once "
            "all are fixed."
        )
    doubts = []
    if dataset:
        tell(dataset)
        print(printable_lines("\n".join(dataset.omissions)), end="\n" * bool(dataset.omissions))
        mapper = partial(fork_map, processes=options.threads, chunk=16)
        _, doubts = find_range(settings.range, [record.path for record in dataset.records], mapper)
        doubts += find_doubts(dataset)
    print("".join(f"{line}\n" for line in [*found_weights(options.data), *expected_time(options.data)]), end="")
    more = [*doubts, *idle_settings(options.data), *coming, *missing]
    print(printable_lines("\n".join(["", *more])) if more else "")
    count = f"; {len(doubts)} doubt{'s' * (len(doubts) > 1)}, above" if doubts else ""
    what = "data" if dataset else "runs, and the data are generated"
    print(f"{name}: nothing is wrong with the {what}{count}.")
    if missing:
        raise InputError("The runs cannot begin without the weights named above.")


def _by_line(sentence: str) -> list[str | int]:
    """Sorts sentences by file and line: 'tags.csv:4' before 'tags.csv:19'."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", sentence)]
