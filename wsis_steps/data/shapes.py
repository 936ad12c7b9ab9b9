"""Draws the generated data set, textured shapes in a VOC devkit tree: the workflow's demo and test bed.

Each class has its own outline and pattern family, while its hue is only typical, so a classifier has to look at
texture and shape. Instances of a class often touch or overlap, which is what separates instance from semantic
segmentation. Every image depends only on (seed, split, index), so any number of workers draws the same
images.
"""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from wsis_steps.data.settings import DataDrawShapes
from wsis_steps.data.shape_looks import CLASS_NAMES, Look, hsv, paint_look, random_look
from wsis_steps.formats.voc_annotations import write_annotation
from wsis_steps.formats.voc_masks import write_map

_SAMPLES = 3  # per side of a pixel; odd, so that one sample is at its center
_SPLIT_CODES = {"train": 0, "val": 1}
_LEAST_VISIBLE = 0.4  # share of an instance's area; instances hidden more than that are left out
_LEAST_PIXELS = 24


def _background(rng: np.random.Generator, size: int, difficulty: float) -> np.ndarray:
    """Color noise of several octaves, and lines that belong to no class: float32 (size, size, 3) in about 0..1."""
    canvas = np.full((size, size, 3), hsv(rng.random(), rng.uniform(0, 0.5), rng.uniform(0.25, 0.8)), np.float32)
    strength = rng.uniform(0.06, 0.13) * (0.4 + 0.6 * difficulty)
    for octave, cells in enumerate((2, 4, 8, 16, 32)):
        colors = rng.normal(0, 1, (cells + 1, cells + 1, 3)) * 0.6 + rng.normal(0, 1, (cells + 1, cells + 1, 1))
        noise = cv2.resize(colors.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
        canvas += strength * 0.72**octave * noise
    for _ in range(rng.poisson(3 * difficulty)):
        ends = rng.uniform(-0.2 * size, 1.2 * size, (2, 2))
        color = hsv(rng.random(), rng.uniform(0, 0.9), rng.uniform(0.1, 1.0))
        canvas = _draw_line(canvas, ends, rng.uniform(0.5, 1.5) * size / 96, color)
    return canvas


def _draw_line(canvas: np.ndarray, ends: np.ndarray, half_width: float, color: np.ndarray) -> np.ndarray:
    """The canvas with a straight line from ends[0] to ends[1] (x, y in pixels)."""
    grid = np.arange(canvas.shape[0]) + 0.5
    along = (ends[1] - ends[0]) / max(np.hypot(*(ends[1] - ends[0])), 1e-6)
    dx, dy = grid[None] - ends[0, 0], grid[:, None] - ends[0, 1]
    beyond = np.abs(dx * along[0] + dy * along[1] - (ends[1] - ends[0]) @ along / 2) - (ends[1] - ends[0]) @ along / 2
    distance = np.hypot(dx * along[1] - dy * along[0], np.maximum(beyond, 0))
    cover = np.clip(half_width - distance + 0.5, 0, 1)[..., None].astype(np.float32)
    return canvas + cover * (color.astype(np.float32) - canvas)


def _compose(looks: list[Look], canvas: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Draws the instances over the canvas; the first is in front.

    Returns the float32 image, the uint8 instance map (0 background, 1.. in the order of the list) and the categories
    of the instances kept. Drawing goes from front to back: each instance shows where earlier ones leave room, so
    dropping one that shows too little does not affect the others.
    """
    size = canvas.shape[0]
    fine = size * _SAMPLES
    owner = np.zeros((fine, fine), np.uint8)
    paint = np.zeros((fine, fine, 3), np.float32)
    kept: list[int] = []
    for look in looks:
        # The whole square of the shape, even outside of the image, to compute the visible share.
        reach = 1.15 * look.radius + 1
        xs, ys = (np.arange(int((c - reach) * _SAMPLES), int((c + reach) * _SAMPLES) + 1) for c in look.center)
        inside, color = paint_look(look, (xs[None] + 0.5) / _SAMPLES, (ys[:, None] + 0.5) / _SAMPLES)
        area = inside.sum()
        in_x, in_y = (xs >= 0) & (xs < fine), (ys >= 0) & (ys < fine)
        inside, color = inside[in_y][:, in_x], color[in_y][:, in_x]
        window = np.s_[ys[in_y][0] : ys[in_y][-1] + 1, xs[in_x][0] : xs[in_x][-1] + 1]
        visible = inside & (owner[window] == 0)
        if visible.sum() < max(_LEAST_VISIBLE * area, _LEAST_PIXELS * _SAMPLES**2):
            continue
        kept.append(look.category)
        owner[window][visible] = len(kept)
        paint[window][visible] = color[visible]
    cover = (owner > 0).astype(np.float32)
    cells = (size, _SAMPLES, size, _SAMPLES)
    picture = (
        paint.reshape(*cells, 3).mean(axis=(1, 3)) + canvas * (1 - cover.reshape(cells).mean(axis=(1, 3)))[..., None]
    )
    middle = _SAMPLES // 2
    return picture, owner[middle::_SAMPLES, middle::_SAMPLES], kept


def draw_image(rng: np.random.Generator, size: int, difficulty: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws one image of 1 to 5 instances of 1 to 3 classes, with radii of 9 to 24 % of the side.

    `difficulty` scales pixel noise, blur, distractor lines, background noise and overlap: 0 is easy.
    Returns the image (uint8 RGB size x size x 3), the instance map (uint8: 0 background, 1.. instances, from front to
    back) and the semantic map (uint8: 0 background, 1 + category). Both maps contain only the visible parts.
    """
    count = int(rng.choice(5, p=[0.15, 0.25, 0.28, 0.2, 0.12])) + 1
    classes = rng.permutation(len(CLASS_NAMES))[: min(count, int(rng.choice(3, p=[0.5, 0.35, 0.15])) + 1)]
    categories = [*classes, *rng.choice(classes, count - len(classes))]
    looks: list[Look] = []
    for category in categories:
        looks.append(random_look(rng, int(category), size, looks, difficulty))
    canvas = _background(rng, size, difficulty)
    picture, instance_map, kept = _compose([looks[i] for i in rng.permutation(count)], canvas)
    slope = rng.normal(0, 0.12, 2)
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    picture = picture * (1 + slope[0] * ramp[None, :, None] + slope[1] * ramp[:, None, None])
    blur = difficulty * rng.uniform(0.2, 0.6) * size / 96
    if blur > 0.05:
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    picture = picture + difficulty * rng.uniform(0.01, 0.04) * rng.normal(0, 1, picture.shape)
    image = np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)
    semantic_map = np.concatenate([[0], np.array(kept, int) + 1]).astype(np.uint8)[instance_map]
    return image, instance_map, semantic_map


def _draw_files(job: tuple[str, int], root: Path, settings: DataDrawShapes) -> str:
    """Draws image `index` of `split` and writes its four files. Returns its id."""
    split, index = job
    name = f"{split}_{index:05d}"
    rng = np.random.default_rng([settings.seed, _SPLIT_CODES[split], index])
    image, instance_map, semantic_map = draw_image(rng, settings.image_size, settings.difficulty)
    encoded = io.BytesIO()  # on a full disk, Pillow would write a part of the file without an error
    Image.fromarray(image).save(encoded, "JPEG", quality=95)
    (root / "JPEGImages" / f"{name}.jpg").write_bytes(encoded.getvalue())
    write_map(root / "SegmentationObject" / f"{name}.png", instance_map)
    write_map(root / "SegmentationClass" / f"{name}.png", semantic_map)
    write_annotation(root / "Annotations" / f"{name}.xml", f"{name}.jpg", instance_map, semantic_map, CLASS_NAMES)
    return name


def draw_voc_tree(root: Path | str, settings: DataDrawShapes, mapper: Callable = map) -> None:
    """Draws the data set into `root` as a VOC devkit tree that `formats/voc.py` reads.

    Files: JPEGImages (quality 95), SegmentationObject and SegmentationClass (palette PNG, no void contour),
    Annotations, ImageSets/Segmentation/{train,val}.txt and class_names.txt. `mapper` may be the `map` of a process
    pool; the files depend only on the settings. Takes about 15 ms per image of 96 px on one core.
    """
    root = Path(root)
    lists = root / "ImageSets" / "Segmentation"
    for folder in ("JPEGImages", "SegmentationObject", "SegmentationClass", "Annotations"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    lists.mkdir(parents=True, exist_ok=True)
    (root / "class_names.txt").write_text("\n".join(CLASS_NAMES) + "\n")
    for split, count in (("train", settings.train), ("val", settings.val)):
        draw = partial(_draw_files, root=root, settings=settings)
        names = list(mapper(draw, [(split, index) for index in range(count)]))
        (lists / f"{split}.txt").write_text("\n".join(names) + "\n")
