"""Time and memory to read COCO annotations, without the images, compared with pycocotools.

The data are 5,000 generated images of 640 x 480 pixels with 36,000 polygons. The import reads and checks the JSON and
makes tags, points, boxes and run-length masks; pycocotools reads the same JSON and decodes each mask. Times are
processor times on one core, the minimum of alternating turns, so that other work on the machine matters little.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools.coco import COCO

from bench.rows import Row
from wsis_steps.data.settings import DataImportDataset
from wsis_steps.formats import coco
from wsis_steps.formats.dataset import Choices, assemble
from wsis_steps.formats.drawing import Source
from wsis_steps.formats.notes import Notes
from wsis_steps.formats.pictures import picture_header
from wsis_steps.formats.records import Dataset

ROOT = Path(__file__).parents[1]
HEIGHT, WIDTH, CLASSES = 480, 640, 80
FEW, MANY, POLYGONS = 1000, 5000, 7.2  # pictures, and polygons in each on average
TURNS = 3


def draw_polygon(rng: np.random.Generator) -> np.ndarray:
    """The corners float (n, 2) of a star-shaped polygon; sizes and numbers of corners are distributed as in COCO."""
    corners = min(max(int(rng.lognormal(3.1, 0.6)), 4), 150)
    radius = min(max(rng.lognormal(3.6, 0.9), 4), 230)
    center = rng.uniform([radius / 2, radius / 2], [WIDTH - radius / 2, HEIGHT - radius / 2])
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    reach = radius * rng.uniform(0.6, 1, corners)
    offsets = reach[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
    return np.clip(center + offsets, 0, [WIDTH, HEIGHT]).round(2)


def annotation(rng: np.random.Generator, number: int, image: int) -> dict:
    """One annotation in COCO's form."""
    corners = draw_polygon(rng)
    low, high = corners.min(axis=0), corners.max(axis=0)
    x, y = corners.T
    return {
        "segmentation": [corners.ravel().tolist()],
        "area": abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2,
        "iscrowd": 0,
        "image_id": image,
        "bbox": [*low.tolist(), *(high - low).round(2).tolist()],
        "category_id": int(rng.integers(1, CLASSES + 1)),
        "id": number,
    }


def generate(folder: Path, count: int) -> Path:
    """Writes a data set of `count` images, all one file under many names, and returns its JSON."""
    rng = np.random.default_rng(count)
    (folder / "train2017").mkdir(parents=True)
    (folder / "annotations").mkdir()
    picture = folder / "picture.jpg"
    Image.fromarray(rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)).save(picture, quality=20)
    names = [f"{number:012d}.jpg" for number in range(1, count + 1)]
    for name in names:
        os.link(picture, folder / "train2017" / name)
    owners = np.sort(rng.integers(1, count + 1, round(POLYGONS * count))).tolist()
    images = [{"id": k, "file_name": name, "height": HEIGHT, "width": WIDTH} for k, name in enumerate(names, 1)]
    content = {
        "images": images,
        "annotations": [annotation(rng, number, image) for number, image in enumerate(owners, 1)],
        "categories": [{"id": k, "name": f"class {k}", "supercategory": "thing"} for k in range(1, CLASSES + 1)],
    }
    file = folder / "annotations/instances_train2017.json"
    file.write_text(json.dumps(content))
    return file


def read(root: Path) -> Dataset:
    """The import without decoding images."""
    settings = DataImportDataset(format="coco", root=root)
    notes = Notes()
    return assemble(root, coco.read(Source(root, settings), notes), Choices.of(settings), notes)


def read_with_pycocotools(file: Path) -> int:
    """The pixels of all masks as pycocotools decodes them one by one."""
    with contextlib.redirect_stdout(io.StringIO()):
        content = COCO(str(file))
    return sum(int(content.annToMask(row)[0, 0]) for row in content.anns.values())


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def seconds(root: Path, file: Path) -> tuple[float, float]:
    """Processor seconds of the import, without reading image headers, and of pycocotools."""
    pictures = sorted((root / "train2017").iterdir())
    turns = [
        (
            _seconds(lambda: read(root)) - _seconds(lambda: list(map(picture_header, pictures))),
            _seconds(lambda: read_with_pycocotools(file)),
        )
        for _ in range(TURNS)
    ]
    ours, theirs = zip(*turns, strict=True)
    return min(ours), min(theirs)


def peak_megabytes(root: str, whole: bool) -> float:
    """The peak memory of a process that reads the annotations, or only their JSON if not `whole`."""
    if whole:
        read(Path(root))
    else:
        content = json.loads((Path(root) / "annotations/instances_train2017.json").read_text(encoding="utf-8"))
        assert content["images"]
    # what getrusage says holds the largest size of the process that started this one, too
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024


def _peak_of_a_process(root: Path, whole: bool) -> float:
    code = f"from bench.dataset_import import peak_megabytes; print(peak_megabytes({str(root)!r}, {whole}))"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return float(said.split()[-1])


def measure(folder: Path) -> list[Row]:
    """All rows of this benchmark; `folder` is for the data."""
    file = generate(folder / "many", MANY)
    generate(folder / "few", FEW)
    ours, theirs = seconds(folder / "many", file)
    rows = [Row(f"import of {MANY:,} COCO pictures", ours, "s", "pycocotools", theirs, 1.0, of_ratio=True)]
    for name, count in (("few", FEW), ("many", MANY)):
        whole, plain = (_peak_of_a_process(folder / name, whole) for whole in (True, False))
        rows.append(Row(f"memory of importing {count:,}", whole, "MB", "their JSON alone", plain, 1.1, of_ratio=True))
    return rows
