"""Colors for classes and their instances, as `#rrggbb`."""

import colorsys
from collections.abc import Sequence

import numpy as np


def class_colors(count: int) -> list[str]:
    """`#rrggbb` for each of `count` classes: hues a golden angle apart, every second one darker."""
    hues = (0.03 + 0.618034 * np.arange(count)) % 1
    values = np.where(np.arange(count) % 2, 0.85, 1.0)
    return [_hexadecimal(colorsys.hsv_to_rgb(*row)) for row in zip(hues, np.full(count, 0.8), values, strict=True)]


def shade(color: str, place: int) -> str:
    """The color of the `place`-th instance of a class: unchanged, lighter, darker, and so on."""
    toward, share = ((0, 0.0), (255, 0.4), (0, 0.35))[place % 3]
    return _hexadecimal(np.add(np.multiply(rgb(color), 1 - share), toward * share) / 255)


def rgb(color: str) -> np.ndarray:
    """Red, green and blue, uint8 (3,)."""
    return np.frombuffer(bytes.fromhex(color[1:]), np.uint8)


def _hexadecimal(rgb: Sequence[float]) -> str:
    return "#" + bytes(round(255 * value) for value in rgb).hex()
