"""The look of one instance of the generated data set: its outline, pattern and colors, and how to paint it.

Each class has its own outline and pattern family; its hue is only typical.
"""

from dataclasses import dataclass

import numpy as np

# In alphabetical order, which is also the order of pixel values in SegmentationClass, as in VOC.
CLASS_NAMES = ("cross", "disc", "ring", "square", "star", "triangle")


@dataclass(frozen=True)
class Look:
    """One instance. Lengths in pixels, angles in radians, colors as RGB in 0..1."""

    category: int
    center: tuple[float, float]
    radius: float
    angle: float
    squeeze: float  # ratio of the second axis to the first
    colors: np.ndarray  # (2, 3): the pattern's ground and figure
    period: float  # of the pattern
    pattern_angle: float
    phase: tuple[float, float]
    rim: float  # how much the edge is darkened


def _outline(category: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A function of local coordinates (circumradius about 1), negative inside the shape; approximately a
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
    """A step from 0 (value < 0) to 1 over `width`, to avoid jagged pattern edges."""
    return np.clip(value / width + 0.5, 0, 1)


def _pattern(category: int, s: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The share of the figure color, 0..1, at pattern coordinates in periods."""
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
    if name == "cross":  # pins: short strokes, turned differently in each cell
        cell_s, cell_t = np.floor(s), np.floor(t)
        x, y = s - cell_s - 0.5, t - cell_t - 0.5
        turn = (cell_s * 2.4 + cell_t * 1.1) % np.pi
        along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        return _edge(0.13 - np.hypot(np.maximum(np.abs(along) - 0.28, 0), across), 0.12)
    return np.zeros_like(s)  # the star is plain


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """RGB in 0..1 of a color given by three values in 0..1 (hue wraps around)."""
    wheel = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return value * (1 - saturation + saturation * wheel)


def _random_colors(rng: np.random.Generator, category: int) -> np.ndarray:
    """Ground and figure colors (2, 3): of the class's hue in 60 % of the instances, else of any hue."""
    hue = category / len(CLASS_NAMES) + rng.normal(0, 0.02) if rng.random() < 0.6 else rng.random()
    ground = hsv(hue, rng.uniform(0.5, 0.95), rng.uniform(0.6, 1.0))
    darker = hsv(hue + rng.normal(0, 0.04), rng.uniform(0.4, 0.9), rng.uniform(0.08, 0.35))
    lighter = hsv(hue + rng.normal(0, 0.04), rng.uniform(0.0, 0.2), rng.uniform(0.9, 1.0))
    return np.stack([ground, darker if rng.random() < 0.6 else lighter])


def random_look(rng: np.random.Generator, category: int, size: int, placed: list[Look], overlap: float) -> Look:
    """A random instance: beside the last one of its class with probability 0.65 x overlap, otherwise where there is
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


def paint_look(look: Look, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Paints an instance at sample positions x (1, n) and y (m, 1), in pixels: whether each is inside, bool (m, n), and
    its color, float RGB (m, n, 3)."""
    dx, dy = x - look.center[0], y - look.center[1]
    cos, sin = np.cos(look.angle), np.sin(look.angle)
    u = (cos * dx + sin * dy) / look.radius
    v = (cos * dy - sin * dx) / (look.radius * look.squeeze)
    level = _outline(look.category, u, v)
    cos, sin = np.cos(look.pattern_angle) / look.period, np.sin(look.pattern_angle) / look.period
    figure = _pattern(look.category, cos * dx + sin * dy + look.phase[0], cos * dy - sin * dx + look.phase[1])
    # A rim of about a pixel, and light from one side, give the plain shapes some volume.
    shade = 1 - look.rim * np.clip(1 + level * look.radius / 1.5, 0, 1) - 0.12 * v
    color = look.colors[0] + figure[..., None] * (look.colors[1] - look.colors[0])
    return level < 0, color * shade[..., None]
