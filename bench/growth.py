"""Growth of an import's time and memory: twice the classes or rows may take little more than twice as much.

Times are processor times, the minimum of alternating turns, so that other work matters little.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from bench.rows import Row
from wsis_steps.data.doubts import find_doubts
from wsis_steps.data.names_alike import alike_names
from wsis_steps.data.settings import DataImportDataset
from wsis_steps.formats.loading import read_dataset
from wsis_steps.formats.records import Dataset, ImageRecord

ROOT = Path(__file__).parents[1]
NAMES, CLASSES, ROWS, TAGS = 25_000, 10_000, 10_000, 3  # of the smaller part; the larger one is twice as large
TURNS = 3
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def words(count: int) -> list[str]:
    """So many names of 5 to 12 letters, all different."""
    rng, found = random.Random(0), {}
    while len(found) < count:
        found["".join(rng.choices(LETTERS, k=rng.randint(5, 12)))] = None
    return list(found)


def doubts(picture: Path, scale: int) -> Callable[[], object]:
    """A search for doubts about `scale` times as many classes and images."""
    rng, names = random.Random(0), words(scale * CLASSES)
    tags = (tuple(sorted(rng.sample(range(len(names)), TAGS))) for _ in range(scale * CLASSES))
    records = [ImageRecord(str(k), "train", picture, own) for k, own in enumerate(tags)]
    return lambda: find_doubts(Dataset(names, records, lambda record: None, {}))


def write_table(folder: Path, count: int) -> Path:
    """A data set of `count` tagged images of 200 classes; all images are one file."""
    (folder / "pictures").mkdir(parents=True)
    Image.new("RGB", (64, 48)).save(folder / "0.png")
    rng, names = random.Random(0), words(200)
    rows = []
    for k in range(count):
        os.link(folder / "0.png", folder / f"pictures/{k}.png")
        rows.append(f"pictures/{k}.png,{' '.join(rng.sample(names, TAGS))}\n")
    (folder / "tags.csv").write_text("image,tags\n" + "".join(rows), encoding="utf-8")
    return folder


def read_table(folder: Path) -> None:
    """Reads the tags of all pictures of a folder."""
    read_dataset(DataImportDataset(format="folder", root=folder), folder)


def megabytes(folder: str) -> float:
    """The growth of this process's memory while reading."""
    before = _peak()
    read_table(Path(folder))
    return _peak() - before


def _peak() -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024


def _of_a_process(folder: Path) -> float:
    code = f"from bench.growth import megabytes; print(megabytes({str(folder)!r}))"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return float(said.split()[-1])


def seconds(*works: Callable[[], object]) -> list[float]:
    """The minimum processor time of each call, taken in turns."""
    found: list[list[float]] = [[] for _ in works]
    for _ in range(TURNS):
        for own, work in zip(found, works, strict=True):
            started = time.process_time()
            work()
            own.append(time.process_time() - started)
    return list(map(min, found))


def measure(folder: Path) -> list[Row]:
    """All rows of this benchmark; `folder` is for the data."""
    few, many = words(NAMES), words(2 * NAMES)
    half, whole = seconds(lambda: list(alike_names(few)), lambda: list(alike_names(many)))
    rows = [
        Row(f"names alike of {2 * NAMES:,} classes", whole, "s", "half of them", half, 2.0),
        Row("growth of it by twice the classes", whole, "s", "half of them", half, 2.5, of_ratio=True),
    ]
    Image.new("RGB", (64, 48)).save(folder / "a.png")
    half, whole = seconds(*(doubts(folder / "a.png", scale) for scale in (1, 2)))
    what = f"doubts about {2 * CLASSES:,} classes and images"
    rows.append(Row(what, whole, "s", "half of them", half, 2.5, of_ratio=True))
    folders = [write_table(folder / str(count), count) for count in (ROWS, 2 * ROWS)]
    half, whole = seconds(*(lambda one=one: read_table(one) for one in folders))
    rows.append(Row(f"tags.csv of {2 * ROWS:,} rows", whole, "s", "half of them", half, 2.5, of_ratio=True))
    half, whole = map(_of_a_process, folders)
    rows.append(Row(f"memory of {2 * ROWS:,} rows", whole, "MB", "half of them", half, 2.2, of_ratio=True))
    return rows
