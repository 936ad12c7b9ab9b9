"""Downloads official archives, verifies and unpacks them; not part of `rule all`.

value  to      folder for VOCdevkit/VOC2012, benchmark_RELEASE/dataset (SBD), or COCO's annotations, train2017
               and val2017
out    record  JSON: the archives with their addresses, sizes and checksums

Existing files are not downloaded again, and an interrupted transfer resumes. With the environment variable
WSIS_MIRROR=<address>, files come from <address>/<file name>, with the same sizes and checksums. An archive placed
in `to` by hand is used and kept. With both VOC and SBD, the list trainaug.txt is written beside VOC's own lists.
"""

import json
import logging
import os
from dataclasses import asdict
from pathlib import Path

from wsis_steps.data.archives import ARCHIVES, Archive, download, is_complete
from wsis_steps.data.settings import DataDownloadArchives
from wsis_steps.engine.downloads import telling
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job, Step
from wsis_steps.engine.writers import one_writer, write_whole
from wsis_steps.formats.lists import augmented_ids

STEP = Step("data_download_archives", DataDownloadArchives, values=("to",), outputs=("record",))

log = logging.getLogger("wsis")


def fetch(archive: Archive, to: Path, mirror: str | None) -> None:
    """Downloads and unpacks an archive, from the mirror's address if given."""
    if is_complete(archive, to):
        log.info("%s: already unpacked in %s", archive.file, to)
        return
    url = f"{mirror.rstrip('/')}/{archive.file}" if mirror else None
    log.info("%s: %.1f MB from %s", archive.file, archive.size / 1e6, url or archive.url)
    with one_writer(to / archive.file), telling(archive.file) as report:
        download(archive, to, url, report)
    log.info("%s: verified and unpacked", archive.file)


def write_augmented_list(to: Path) -> None:
    """Writes VOC's trainaug.txt if it does not exist."""
    lists = to / "VOCdevkit/VOC2012/ImageSets/Segmentation"
    path = lists / "trainaug.txt"
    if path.exists():
        return
    ids = augmented_ids(lists, to / "benchmark_RELEASE/dataset")
    write_whole(path, "".join(f"{identity}\n" for identity in ids))
    log.info("wrote %s with %d images", path, len(ids))


def main(job: Job) -> None:
    kinds, to = job.settings.archives, Path(job.values["to"])
    if not kinds:
        raise InputError(f"data_download_archives.archives is empty; name some of {', '.join(ARCHIVES)}.")
    archives = [archive for kind in kinds for archive in ARCHIVES[kind]]
    for archive in archives:
        fetch(archive, to, os.environ.get("WSIS_MIRROR"))
    if {"voc", "sbd"} <= set(kinds):
        write_augmented_list(to)
    job.outputs["record"].write_text(json.dumps([asdict(archive) for archive in archives], indent=1) + "\n")


if __name__ == "__main__":
    STEP.run(main)
