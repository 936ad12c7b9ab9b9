"""Draws the generated data set: textured shapes in a VOC devkit tree, the workflow's demo and its test bed.

Each class is told by an outline and by a pattern family of its own, and only mostly by its hue, so a
classifier has to look at texture and form. Instances of a class like to touch or overlap, which is what
separates instance from semantic segmentation. Every picture depends on (seed, split, index) alone, so any
number of workers draws the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
from PIL import Image

from wsis_steps.engine.errors import InputError

# In alphabetical order, which is the order of the pixel values in SegmentationClass, as in VOC.
CLASS_NAMES = ("cross", "disc", "ring", "square", "star", "triangle")
_SAMPLES = 3  # a side; odd, so that one sample lies in the middle of each pixel
_SPLIT_CODES = {"train": 0, "val": 1}
_LEAST_VISIBLE = 0.4  # share of an instance's area; what is hidden more is left out
_LEAST_PIXELS = 24


@dataclass(frozen=True)
class Look:
    """What one instance looks like. Lengths in pixels, angles in radians, colors as RGB in 0..1."""

    category: int
    center: tuple[float, float]
    radius: float
    angle: float
    squeeze: float  # length of the second axis over the first
    colors: np.ndarray  # (2, 3): the pattern's ground and figure
    period: float  # of the pattern
    pattern_angle: float
    phase: tuple[float, float]
    rim: float  # how much the edge is darkened


def _outline(category: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A function of the local coordinates (circumradius about 1) that is negative inside the shape, about a
    distance."""
    name = CLASS_NAMES[category]
    if name == "disc":
        return np.hypot(u, v) - 0.92
    if name == "ring":
        return np.abs(np.hypot(u, v) - 0.7) - 0.28
    if name == "square":
        return np.maximum(np.abs(u), np.abs(v)) - 0.8
    if name == "triangle":
        side = np.sqrt(0.75)
        return np.maximum(np.maximum(side * u - 0.5 * v, -side * u - 0.5 * v), v) - 0.56
    if name == "cross":
        a, b = np.abs(u), np.abs(v)
        return np.minimum(np.maximum(a - 1.0, b - 0.34), np.maximum(b - 1.0, a - 0.34))
    # A star's ten edges fold onto one: from the tip (1.12, angle 0) to the notch (0.52, angle 36 degrees).
    sector = np.pi / 5
    around = np.abs((np.arctan2(v, u) + sector) % (2 * sector) - sector)
    distance = np.hypot(u, v)
    tip, notch = np.array([1.12, 0.0]), 0.52 * np.array([np.cos(sector), np.sin(sector)])
    normal = np.array([notch[1] - tip[1], tip[0] - notch[0]])
    normal /= np.hypot(*normal)
    return distance * np.cos(around) * normal[0] + distance * np.sin(around) * normal[1] - tip @ normal


def _edge(value: np.ndarray, width: float) -> np.ndarray:
    """A step from 0 (value < 0) to 1 that is `width` wide, against jagged pattern edges."""
    return np.clip(value / width + 0.5, 0, 1)


def _pattern(category: int, s: np.ndarray, t: np.ndarray) -> np.ndarray:
    """How much of the figure color shows, 0..1, at pattern coordinates counted in periods."""
    name = CLASS_NAMES[category]
    if name == "disc":  # stripes
        return _edge(np.sin(2 * np.pi * s), 0.8)
    if name == "square":  # checks
        return _edge(np.sin(np.pi * s) * np.sin(np.pi * t), 0.4)
    if name == "triangle":  # dots, every second row shifted
        row = np.floor(t)
        x = (s + 0.5 * (row % 2)) % 1 - 0.5
        return _edge(0.3 - np.hypot(x, t - row - 0.5), 0.15)
    if name == "ring":  # soft waves
        return 0.5 + 0.5 * np.sin(2 * np.pi * (0.8 * s + 0.2 * np.sin(2 * np.pi * 0.35 * t)))
    if name == "cross":  # pins: short strokes, each cell's turned another way
        cell_s, cell_t = np.floor(s), np.floor(t)
        x, y = s - cell_s - 0.5, t - cell_t - 0.5
        turn = (cell_s * 2.4 + cell_t * 1.1) % np.pi
        along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        return _edge(0.13 - np.hypot(np.maximum(np.abs(along) - 0.28, 0), across), 0.12)
    return np.zeros_like(s)  # the star is plain


def _hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """RGB in 0..1 of a color whose three parts lie in 0..1 (hue wraps around)."""
    wheel = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return value * (1 - saturation + saturation * wheel)


def _random_colors(rng: np.random.Generator, category: int) -> np.ndarray:
    """Ground and figure colors (2, 3): in 60 % of the instances of the class hue, else of any hue."""
    hue = category / len(CLASS_NAMES) + rng.normal(0, 0.02) if rng.random() < 0.6 else rng.random()
    ground = _hsv(hue, rng.uniform(0.5, 0.95), rng.uniform(0.6, 1.0))
    darker = _hsv(hue + rng.normal(0, 0.04), rng.uniform(0.4, 0.9), rng.uniform(0.08, 0.35))
    lighter = _hsv(hue + rng.normal(0, 0.04), rng.uniform(0.0, 0.2), rng.uniform(0.9, 1.0))
    return np.stack([ground, darker if rng.random() < 0.6 else lighter])


def _random_look(rng: np.random.Generator, category: int, size: int, placed: list[Look], overlap: float) -> Look:
    """Draws one instance: beside the last of its class with a chance of 0.65 x overlap, else where there is
    room."""
    radius = size * rng.uniform(0.09, 0.24)
    low, high = 0.7 * radius, size - 0.7 * radius
    mates = [look for look in placed if look.category == category]
    if mates and rng.random() < 0.65 * overlap:
        mate, towards = mates[-1], rng.uniform(0, 2 * np.pi)
        reach = (mate.radius + radius) * rng.uniform(1 - 0.4 * min(overlap, 1.5), 1.0)
        center = np.array(mate.center) + reach * np.array([np.cos(towards), np.sin(towards)])
        center = np.clip(center, low, high)
    else:
        tries = rng.uniform(low, high, (12, 2))
        room = [min([np.hypot(*(p - q.center)) - radius - q.radius for q in placed], default=0.0) for p in tries]
        center = tries[int(np.argmax(np.minimum(room, 0.0)))]
    return Look(
        category=category,
        center=(float(center[0]), float(center[1])),
        radius=float(radius),
        angle=float(rng.uniform(0, 2 * np.pi)),
        squeeze=float(rng.uniform(0.82, 1.0)),
        colors=_random_colors(rng, category),
        period=float(rng.uniform(0.045, 0.075) * size),
        pattern_angle=float(rng.uniform(0, 2 * np.pi)),
        phase=(float(rng.uniform(0, 8)), float(rng.uniform(0, 8))),
        rim=float(rng.uniform(0.2, 0.6)),
    )


def _paint(look: Look, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The instance at sample positions x (1, n) and y (m, 1), in pixels: bool (m, n) inside, and float RGB
    (m, n, 3)."""
    dx, dy = x - look.center[0], y - look.center[1]
    cos, sin = np.cos(look.angle), np.sin(look.angle)
    u = (cos * dx + sin * dy) / look.radius
    v = (cos * dy - sin * dx) / (look.radius * look.squeeze)
    level = _outline(look.category, u, v)
    cos, sin = np.cos(look.pattern_angle) / look.period, np.sin(look.pattern_angle) / look.period
    figure = _pattern(look.category, cos * dx + sin * dy + look.phase[0], cos * dy - sin * dx + look.phase[1])
    # A rim of about a pixel and light from one side give the plain shapes some body.
    shade = 1 - look.rim * np.clip(1 + level * look.radius / 1.5, 0, 1) - 0.12 * v
    color = look.colors[0] + figure[..., None] * (look.colors[1] - look.colors[0])
    return level < 0, color * shade[..., None]


def _background(rng: np.random.Generator, size: int, difficulty: float) -> np.ndarray:
    """Color noise of several octaves and class-free lines: float32 (size, size, 3) in about 0..1."""
    canvas = np.full((size, size, 3), _hsv(rng.random(), rng.uniform(0, 0.5), rng.uniform(0.25, 0.8)), np.float32)
    strength = rng.uniform(0.06, 0.13) * (0.4 + 0.6 * difficulty)
    for octave, cells in enumerate((2, 4, 8, 16, 32)):
        colors = rng.normal(0, 1, (cells + 1, cells + 1, 3)) * 0.6 + rng.normal(0, 1, (cells + 1, cells + 1, 1))
        noise = cv2.resize(colors.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
        canvas += strength * 0.72**octave * noise
    for _ in range(rng.poisson(3 * difficulty)):
        ends = rng.uniform(-0.2 * size, 1.2 * size, (2, 2))
        color = _hsv(rng.random(), rng.uniform(0, 0.9), rng.uniform(0.1, 1.0))
        canvas = _draw_line(canvas, ends, rng.uniform(0.5, 1.5) * size / 96, color)
    return canvas


def _draw_line(canvas: np.ndarray, ends: np.ndarray, half_width: float, color: np.ndarray) -> np.ndarray:
    """The canvas with a straight line from ends[0] to ends[1] (x, y in pixels) over it."""
    grid = np.arange(canvas.shape[0]) + 0.5
    along = (ends[1] - ends[0]) / max(np.hypot(*(ends[1] - ends[0])), 1e-6)
    dx, dy = grid[None] - ends[0, 0], grid[:, None] - ends[0, 1]
    beyond = np.abs(dx * along[0] + dy * along[1] - (ends[1] - ends[0]) @ along / 2) - (ends[1] - ends[0]) @ along / 2
    distance = np.hypot(dx * along[1] - dy * along[0], np.maximum(beyond, 0))
    cover = np.clip(half_width - distance + 0.5, 0, 1)[..., None].astype(np.float32)
    return canvas + cover * (color.astype(np.float32) - canvas)


def _compose(looks: list[Look], canvas: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Lays the instances, the foremost first, over the canvas.

    Returns the float32 picture, the uint8 instance map (0 background, 1.. in the order of the list) and the
    categories of the instances kept. Front to back, what an instance shows is what those before it left free,
    and dropping one that shows too little cannot hide another.
    """
    size = canvas.shape[0]
    fine = size * _SAMPLES
    owner = np.zeros((fine, fine), np.uint8)
    paint = np.zeros((fine, fine, 3), np.float32)
    kept: list[int] = []
    for look in looks:
        # The shape's whole square, also where it leaves the picture, to know what share of it shows.
        reach = 1.15 * look.radius + 1
        xs, ys = (np.arange(int((c - reach) * _SAMPLES), int((c + reach) * _SAMPLES) + 1) for c in look.center)
        inside, color = _paint(look, (xs[None] + 0.5) / _SAMPLES, (ys[:, None] + 0.5) / _SAMPLES)
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


def draw_image(
    rng: np.random.Generator, size: int = 96, difficulty: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws one picture of 1 to 5 instances of 1 to 3 classes, of radius 9 to 24 % of the side.

    `difficulty` scales pixel noise, blur, distractor lines, background noise and overlap: 0 is easy, 1 the
    default. Returns the image (uint8 RGB size x size x 3), the instance map (uint8: 0 background, 1..
    instances, the foremost first) and the semantic map (uint8: 0 background, 1 + category). The instances are
    what is visible of them.
    """
    count = int(rng.choice(5, p=[0.15, 0.25, 0.28, 0.2, 0.12])) + 1
    classes = rng.permutation(len(CLASS_NAMES))[: min(count, int(rng.choice(3, p=[0.5, 0.35, 0.15])) + 1)]
    categories = [*classes, *rng.choice(classes, count - len(classes))]
    looks: list[Look] = []
    for category in categories:
        looks.append(_random_look(rng, int(category), size, looks, difficulty))
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


def palette() -> list[int]:
    """The VOC color map as 768 integers (R, G, B of entries 0..255): bits of the index dealt out to the
    channels from the top, so that small indices get bright and distinct colors."""
    index = np.arange(256)[:, None]
    bits = (index >> np.arange(8)) & 1
    colors = np.zeros((256, 3), int)
    for bit in range(8):
        colors[:, bit % 3] |= bits[:, bit] << (7 - bit // 3)
    return colors.reshape(-1).tolist()


def _annotation(name: str, instance_map: np.ndarray, semantic_map: np.ndarray) -> ElementTree.Element:
    """VOC's XML: one object an instance in the order of their ids, with 1-based inclusive boxes."""
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = f"{name}.jpg"
    extent = ElementTree.SubElement(root, "size")
    for tag, value in zip(("width", "height", "depth"), (*instance_map.shape[::-1], 3), strict=True):
        ElementTree.SubElement(extent, tag).text = str(value)
    ElementTree.SubElement(root, "segmented").text = "1"
    for instance in range(1, int(instance_map.max()) + 1):
        ys, xs = np.nonzero(instance_map == instance)
        item = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(item, "name").text = CLASS_NAMES[semantic_map[ys[0], xs[0]] - 1]
        ElementTree.SubElement(item, "difficult").text = "0"
        box = ElementTree.SubElement(item, "bndbox")
        for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), (xs.min(), ys.min(), xs.max(), ys.max()), strict=True):
            ElementTree.SubElement(box, tag).text = str(int(value) + 1)
    ElementTree.indent(root)
    return root


def _save_map(path: Path, values: np.ndarray) -> None:
    picture = Image.fromarray(values)
    picture.putpalette(palette())
    picture.save(path)


def _draw_files(job: tuple[str, int], root: Path, size: int, seed: int, difficulty: float) -> str:
    """Draws image `index` of `split` and writes its four files. Returns its id."""
    split, index = job
    name = f"{split}_{index:05d}"
    rng = np.random.default_rng([seed, _SPLIT_CODES[split], index])
    image, instance_map, semantic_map = draw_image(rng, size, difficulty)
    Image.fromarray(image).save(root / "JPEGImages" / f"{name}.jpg", quality=95)
    _save_map(root / "SegmentationObject" / f"{name}.png", instance_map)
    _save_map(root / "SegmentationClass" / f"{name}.png", semantic_map)
    annotation = ElementTree.ElementTree(_annotation(name, instance_map, semantic_map))
    annotation.write(root / "Annotations" / f"{name}.xml", encoding="utf-8")
    return name


def draw_voc_tree(
    root: Path | str,
    size: int = 96,
    train_images: int = 480,
    val_images: int = 120,
    seed: int = 0,
    difficulty: float = 1.0,
    mapper: Callable = map,
) -> None:
    """Draws the data set into `root` as a VOC devkit tree that `voc.read_voc` takes.

    Files: JPEGImages (quality 95), SegmentationObject and SegmentationClass (palette PNG, no void contour),
    Annotations, ImageSets/Segmentation/{train,val}.txt and class_names.txt. `mapper` may be the `map` of a
    process pool; whichever it is, the same settings give the same files. About 15 ms an image of 96 px on one
    core. Raises `InputError` for settings that draw nothing.
    """
    root = Path(root)
    if size < 32:
        raise InputError(f"size {size} is too small to draw shapes in; take 32 or more.")
    if train_images < 1 or val_images < 1:
        raise InputError(f"train_images {train_images} and val_images {val_images} must both be 1 or more.")
    if seed < 0 or difficulty < 0:
        raise InputError(f"seed {seed} and difficulty {difficulty} must not be negative.")
    lists = root / "ImageSets" / "Segmentation"
    for folder in ("JPEGImages", "SegmentationObject", "SegmentationClass", "Annotations"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    lists.mkdir(parents=True, exist_ok=True)
    (root / "class_names.txt").write_text("\n".join(CLASS_NAMES) + "\n")
    for split, count in (("train", train_images), ("val", val_images)):
        draw = partial(_draw_files, root=root, size=size, seed=seed, difficulty=difficulty)
        names = list(mapper(draw, [(split, index) for index in range(count)]))
        (lists / f"{split}.txt").write_text("\n".join(names) + "\n")
