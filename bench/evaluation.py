"""Time and memory to score 1,449 images, as many as in VOC's val, with 30 predictions each.

The step runs in a separate process, as in the workflow. Baseline: pycocotools' COCOeval, which computes only the COCO
figures, on a tenth of the images.
"""

import contextlib
import io
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from bench.rows import Row
from wsis_steps.engine.provenance import Provenance
from wsis_steps.vision.contracts.instances import ImageInstances, write_instances
from wsis_steps.vision.masks import describe, encode

ROOT = Path(__file__).parents[1]
IMAGES, PREDICTIONS, HEIGHT, WIDTH, CLASSES = 1449, 30, 375, 500, 20
SCENES = 48  # drawn; the others repeat them
SHARE = 10  # one image in so many goes through the baseline


def draw_object(rng: np.random.Generator) -> np.ndarray:
    """A blob with a wavy outline, uint8 (height, width)."""
    width, height = int(rng.integers(40, 300)), int(rng.integers(40, 250))
    x, y = int(rng.integers(WIDTH - width)), int(rng.integers(HEIGHT - height))
    waves = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), min(width, height) / 12)
    down, across = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[y : y + height, x : x + width] = across**2 + down**2 + 0.25 * waves / waves.std() < 0.9
    return mask


def roughen(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """The mask moved, grown or shrunk, with a ragged outline like a network's."""
    moved = np.roll(mask, rng.integers(-15, 16, 2), (0, 1))
    side = int(rng.integers(3, 12))
    moved = (cv2.dilate if rng.random() < 0.5 else cv2.erode)(moved, np.ones((side, side), np.uint8))
    coarse = rng.standard_normal((HEIGHT // 4, WIDTH // 4)).astype(np.float32)
    ragged = cv2.resize(cv2.GaussianBlur(coarse, (0, 0), 1.5), (WIDTH, HEIGHT)) > 0
    ring = np.ones((7, 7), np.uint8)
    return np.where(cv2.dilate(moved, ring) > cv2.erode(moved, ring), ragged, moved).astype(np.uint8)


def draw_scene(rng: np.random.Generator) -> tuple[ImageInstances, ImageInstances]:
    """One to four true instances of an image, and 30 predictions, most of them near a true one."""
    count = int(rng.integers(1, 5))
    masks, categories = [draw_object(rng) for _ in range(count)], rng.integers(0, CLASSES, count)
    found, classes = [], []
    for _ in range(PREDICTIONS):
        own = int(rng.integers(count))
        near = rng.random() < 0.7
        found.append(roughen(rng, masks[own] if near else draw_object(rng)))
        classes.append(categories[own] if near and rng.random() < 0.8 else rng.integers(CLASSES))
    predicted = describe(encode(np.stack(found)), np.array(classes), scores=rng.random(PREDICTIONS))
    return describe(encode(np.stack(masks)), categories), predicted


def write_files(folder: Path) -> list[tuple[ImageInstances, ImageInstances]]:
    """Writes truth.h5 and predictions.h5 and returns the drawn scenes."""
    rng = np.random.default_rng(0)
    scenes = [draw_scene(rng) for _ in range(SCENES)]
    ids = [f"{i:06d}" for i in range(IMAGES)]
    sizes = [HEIGHT] * IMAGES, [WIDTH] * IMAGES
    provenance = Provenance("bench", "{}", "", "", class_names=tuple(f"class{c}" for c in range(CLASSES)))
    for k, name in enumerate(("truth", "predictions")):
        images = [scenes[i % SCENES][k] for i in range(IMAGES)]
        write_instances(folder / f"{name}.h5", provenance, ids, *sizes, images)
    return scenes


def run_step(folder: Path) -> tuple[float, float]:
    """Seconds and peak megabytes of evaluation_score_instances, start of Python included."""
    # The kernel's figure for a finished child would include this process, from which it was forked.
    code = (
        "import atexit, pathlib, runpy; atexit.register(lambda: print(pathlib.Path('/proc/self/status').read_text())); "
        "runpy.run_module('wsis_steps.evaluation.score_instances', run_name='__main__', alter_sys=True)"
    )
    paths = {"truth": "truth.h5", "predictions": "predictions.h5", "figures": "figures.json"}
    arguments = [text for name, file in paths.items() for text in (f"--{name}", f"{folder}/{file}")]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"evaluation_score_instances ended with {done.returncode}: {done.stderr}")
    peak = next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("VmHWM"))
    return seconds, int(peak) / 1024


def time_cocoeval(scenes: list[tuple[ImageInstances, ImageInstances]]) -> float:
    """Seconds of pycocotools on the first images, scaled to all."""
    count = IMAGES // SHARE
    truth, predicted = [], []
    for image in range(count):
        for rows, instances in zip((truth, predicted), scenes[image % SCENES], strict=True):
            for k, rle in enumerate(instances.rles):
                common = {"image_id": image, "category_id": int(instances.categories[k]), "segmentation": rle}
                area = float(instances.areas[k])
                rows.append(
                    {**common, "id": len(rows) + 1, "area": area, "iscrowd": 0, "score": float(instances.scores[k])}
                )
    images = [{"id": image, "height": HEIGHT, "width": WIDTH} for image in range(count)]
    categories = [{"id": category} for category in range(CLASSES)]
    tables = []
    with contextlib.redirect_stdout(io.StringIO()):
        for rows in (truth, predicted):
            table = COCO()
            table.dataset = {"images": images, "annotations": rows, "categories": categories}
            table.createIndex()
            tables.append(table)
        started = time.perf_counter()
        scorer = COCOeval(*tables, "segm")
        scorer.evaluate()
        scorer.accumulate()
        return (time.perf_counter() - started) * IMAGES / count


def measure(folder: Path) -> list[Row]:
    """All rows of this benchmark; `folder` is for the data."""
    scenes = write_files(folder)
    baseline = time_cocoeval(scenes)
    seconds, megabytes = run_step(folder)
    size = sum((folder / f"{name}.h5").stat().st_size for name in ("truth", "predictions")) / 2**20
    what = f"evaluation of {IMAGES:,} images"
    return [
        Row(what, seconds, "s", f"COCOeval, 1 in {SHARE} scaled", baseline, 20),
        Row(f"{what}, peak", megabytes, "MB", "its input files", size, 2000),
    ]
