"""The official archives of VOC 2012, SBD and COCO 2017: addresses, sizes, and safe downloading.

Not all providers publish checksums and sizes; these are the ones that torchvision and other public loaders
verify.
"""

import contextlib
import gzip
import hashlib
import lzma
import os
import shutil
import struct
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wsis_steps.engine.downloads import Report, amount, fetch
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.ordinary import check_ordinary
from wsis_steps.engine.writers import is_full

_UNREADABLE = (
    tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, lzma.LZMAError, zlib.error, struct.error, EOFError,
    RuntimeError,
)  # fmt: skip


@dataclass(frozen=True)
class Archive:
    """One file to download. `size` in bytes; `makes`: the paths that it unpacks to, below the target folder (other
    members are left out)."""

    file: str
    url: str
    size: int
    md5: str
    makes: tuple[str, ...]


_COCO = "http://images.cocodataset.org"
ARCHIVES = {
    "voc": (
        Archive(
            "VOCtrainval_11-May-2012.tar",
            "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
            1_999_639_040,
            "6cd6e144f989b92b3379bac3b3de84fd",
            ("VOCdevkit/VOC2012",),
        ),
    ),
    "sbd": (
        Archive(
            "benchmark.tgz",
            "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
            1_419_539_633,
            "82b4d87ceb2ed10f6038a1cba92111cb",
            ("benchmark_RELEASE/dataset",),
        ),
    ),
    "coco": (
        Archive(
            "annotations_trainval2017.zip",
            f"{_COCO}/annotations/annotations_trainval2017.zip",
            252_907_541,
            "f4bbac642086de4f52a3fdda2de5fa2c",
            ("annotations/instances_train2017.json", "annotations/instances_val2017.json"),
        ),
        Archive(
            "val2017.zip",
            f"{_COCO}/zips/val2017.zip",
            815_585_330,
            "442b8da7639aecaf257c1dceb8ba8c80",
            ("val2017",),
        ),
        Archive(
            "train2017.zip",
            f"{_COCO}/zips/train2017.zip",
            19_336_861_798,
            "cced6f7f71b7629ddf16f17bbcfab6b2",
            ("train2017",),
        ),
    ),
}
_TITLES = {"voc": "PASCAL VOC 2012", "sbd": "SBD", "coco": "COCO 2017"}
_TARGETS = {"voc": "voc2012", "sbd": "voc2012", "coco": "coco2017"}  # of make, which download to data/


def is_complete(archive: Archive, folder: Path) -> bool:
    """Whether everything that the archive makes exists; each part is only put in place when complete."""
    return all((folder / path).exists() for path in archive.makes)


def missing_message(kind: str, root: Path | str) -> str:
    """One sentence for data of `kind` missing at `root`: what to download, how large it is, and where to put it. For
    kinds without official archives (folder), it only says that `root` does not exist."""
    root = Path(root)
    if kind not in ARCHIVES:
        return f"The folder {root} does not exist."
    for made in (Path(path).parts for archive in ARCHIVES[kind] for path in archive.makes):
        if root.parts[-len(made) :] == made:  # `root` is a path inside the unpacked archive
            root = Path(*root.parts[: -len(made)])
    absent = [archive for archive in ARCHIVES[kind] if not is_complete(archive, root)] or ARCHIVES[kind]
    files = " and ".join(f"{archive.url} ({amount(archive.size)})" for archive in absent)
    places = ", ".join(str(root / path) for archive in absent for path in archive.makes)
    return (
        f"{_TITLES[kind]} is not in {root}: download {files} and unpack it there, which makes {places}; "
        f"`make {_TARGETS[kind]}` does this in data/."
    )


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(f"{folder} has {amount(free)} free, but {amount(needed)} are needed.")


def _verify(archive: Archive, path: Path, source: str) -> None:
    """Raises `InputError` if the file, which came from `source`, is not the official one."""
    check_ordinary(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "md5").hexdigest()
    if size != archive.size or digest != archive.md5:
        raise InputError(
            f"{source} is not the official {archive.file}: it has {size} bytes and md5 {digest} instead of "
            f"{archive.size} and {archive.md5}; remove it or use another address."
        )


def _check_name(archive: Path, name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise InputError(f"{archive} has a member '{name}' outside of its folder; nothing was unpacked.")
    return str(path)


def _wanted(name: str, makes: tuple[str, ...]) -> bool:
    return any(name == path or name.startswith(path + "/") for path in makes)


def _extract(archive: Path, makes: tuple[str, ...], to: Path) -> None:
    """Unpacks the members under `makes` into `to`. Refuses links, devices and names outside of `to`."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as content:
            names = [name for name in content.namelist() if _wanted(_check_name(archive, name), makes)]
            content.extractall(to, names)
        return
    with tarfile.open(archive) as content:
        members = []
        for member in content:
            wanted = _wanted(_check_name(archive, member.name), makes)
            if wanted and not (member.isfile() or member.isdir()):
                raise InputError(f"{archive} has a member '{member.name}' that is no plain file; nothing was unpacked.")
            if wanted:
                member.mode = 0o755 if member.isdir() else 0o644
                members.append(member)
        content.extractall(to, members)


def _unpack(archive: Path, makes: tuple[str, ...], to: Path) -> None:
    """Unpacks beside the target and moves each complete part into place. Raises `InputError`."""
    staging = to / f".{archive.name}.unpacking"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
        _extract(archive, makes, staging)
        absent = next((path for path in makes if not (staging / path).exists()), None)
        if absent:
            raise InputError(f"{archive} does not hold {absent}.")
        for path in (p for p in makes if not (to / p).exists()):
            (to / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(staging / path, to / path)
    except _UNREADABLE as error:  # RuntimeError: encrypted, or compressed by a method that Python does not support
        raise InputError(f"{archive} cannot be unpacked: {error}.") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def download(
    archive: Archive,
    to: Path | str,
    url_override: str | None = None,
    report: Report = lambda done, total: None,
) -> None:
    """Downloads an archive into folder `to`, verifies and unpacks it; returns at once if that was done before.

    An interrupted transfer resumes where it stopped. An archive placed in `to` by hand is used and kept; a
    downloaded one is removed after unpacking. `url_override` is a mirror's address of the same file.
    `report(done, total)` is called about once per megabyte. Raises `InputError` for network errors, a wrong file and a
    full disk.
    """
    to, url = Path(to), url_override or archive.url
    if is_complete(archive, to):
        return
    file = to / archive.file
    placed = file.exists()
    part = file.with_name(file.name + ".part")
    try:
        to.mkdir(parents=True, exist_ok=True)
        fetched = archive.size if placed else min(part.stat().st_size, archive.size) if part.exists() else 0
        # These archives contain compressed images, so the unpacked files are about as large as the archive.
        _check_room(to, 2 * archive.size - fetched)
        if placed:
            _verify(archive, file, str(file))
        else:
            fetch(url, part, report, archive.size)
            try:
                _verify(archive, part, url)
            except InputError:
                part.unlink()  # resuming a wrong file could never succeed
                raise
            os.replace(part, file)
        _unpack(file, archive.makes, to)
        if not placed:
            with contextlib.suppress(FileNotFoundError):
                file.unlink()
    except OSError as error:
        if is_full(error):
            raise InputError(f"The disk is full: {to}; free some space and run again to continue.") from None
        raise InputError(f"{error.filename or to} cannot be written: {error.strerror}.") from None
