"""Pictures and overlays, for a page without external files.

A picture is embedded once, as a JPEG; masks, label maps and cues are SVG paths in the picture's pixels, so they stay
sharp at any magnification. An SVG's x starts at the left edge of pixel 0: the center of the first pixel is (0.5, 0.5).
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np

from wsis_steps.drawing.colors import shade
from wsis_steps.engine.errors import InputError
from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.masks import UNSURE, decode

MOST = 30  # maximum number of instances drawn on one picture, highest scores first
LETTERS = 0.065  # height of a name relative to the picture's width, as in the style of the page


@dataclass(frozen=True)
class Overlay:
    """The overlay of a picture.

    svg: elements in the picture's pixels; found: (category, score) of each thing drawn, in order; background: a picture
    to show instead of the plain one, uint8 RGB, or None.
    """

    svg: str
    found: tuple[tuple[int, float], ...] = ()
    background: np.ndarray | None = None


def jpeg_address(picture: np.ndarray, side: int, quality: int = 80) -> str:
    """`data:` address of a uint8 RGB picture (h, w, 3) as JPEG, downscaled if its longer side exceeds `side` pixels.

    Raises InputError if the picture cannot be encoded.
    """
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale < 1:
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise InputError(f"a picture of {width}x{height} pixels cannot be encoded as JPEG.")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def outline(mask: np.ndarray) -> str:
    """SVG path data along the border pixels of a binary mask (h, w), with holes; to be filled by the even-odd rule.

    Vertices are whole pixels, so the path needs a shift of half a pixel. Corners that protrude by less than half a
    pixel of a picture of 480 are left out.
    """
    contours, _ = cv2.findContours(np.ascontiguousarray(mask, np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    tolerance = 0.5 * max(1.0, max(mask.shape) / 480)
    simple = (cv2.approxPolyDP(contour, tolerance, True).reshape(-1).tolist() for contour in contours)
    return "".join(f"M{' '.join(map(str, corners))}Z" for corners in simple)


def instances_overlay(
    instances: ImageInstances, height: int, width: int, class_names: Sequence[str], colors: Sequence[str], scored: bool
) -> Overlay:
    """Masks in the colors of their classes, each with its outline and name; small ones on top.

    With `scored` the name is followed by the score, and the element carries it as `data-s`. Ignored regions are gray.
    Only the `MOST` instances of highest score are drawn.
    """
    parts = []
    if instances.ignore:
        parts.append(_path(decode([instances.ignore], height, width)[0], "ignore", "ignored region"))
    strongest = np.argsort(-instances.scores, kind="stable")[:MOST]
    order = strongest[np.argsort(-instances.areas[strongest], kind="stable")]
    masks = decode([instances.rles[k] for k in order], height, width)
    places: dict[int, int] = {}
    for k, mask in zip(order, masks, strict=True):
        category, score = int(instances.categories[k]), float(instances.scores[k])
        places[category] = places.get(category, -1) + 1
        name = class_names[category] + (f" {score:.2f}" if scored else "")
        name += " (crowd)" if instances.crowd[k] else ""
        color = shade(colors[category], places[category])
        label = _label(name, instances.boxes[k], height, width)
        attributes = f' data-s="{score:.4f}"' if scored else ""
        drawn = _path(mask, "instance", f"{name}, {int(instances.areas[k])} pixels", color)
        parts.append(f'<g data-c="{category}"{attributes}>{drawn}{label}</g>')
    found = tuple((int(instances.categories[k]), float(instances.scores[k])) for k in order)
    return Overlay("".join(parts), found)


def _path(mask: np.ndarray, kind: str, title: str, color: str = "") -> str:
    paint = f' fill="{color}" stroke="{color}"' if color else ""
    data = outline(mask)
    return f'<path class="{kind}" d="{data}"{paint}><title>{escape(title)}</title></path>'


def _label(name: str, box: np.ndarray, height: int, width: int) -> str:
    """A name at the top of a box; near a side of the picture it extends away from that side."""
    left, top, right, _ = box.tolist()
    place = int(3 * (left + right) / 2 / (width + 1))  # which third of the picture
    x, anchor = ((left, "start"), ((left + right) / 2, "middle"), (right, "end"))[place]
    y = min(max(top, LETTERS * width), height - 2)
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(name)}</text>'


def semantic_overlay(labels: np.ndarray, class_names: Sequence[str], colors: Sequence[str]) -> Overlay:
    """A label map (h, w; 0 background, 1 + category, 255 unsure) as one region per class; unsure is gray."""
    parts, found = [], []
    for value in np.unique(labels[labels > 0]).tolist():
        if value == UNSURE:
            parts.append(_path(labels == value, "ignore", "unsure"))
            continue
        category = value - 1
        drawn = _path(labels == value, "region", class_names[category], colors[category])
        parts.append(f'<g data-c="{category}">{drawn}</g>')
        found.append((category, 1.0))
    return Overlay("".join(parts), tuple(found))


def points_overlay(
    points: np.ndarray, height: int, width: int, class_names: Sequence[str], colors: Sequence[str]
) -> Overlay:
    """Cues as discs: points (n, 3+) of x, y, category and, in an optional fourth column, confidence."""
    parts, found = [], []
    radius = 0.025 * max(height, width)
    for x, y, category, *more in np.asarray(points, np.float64).tolist():
        name = class_names[int(category)] + (f" {more[0]:.2f}" if more else "")
        parts.append(
            f'<circle class="cue" data-c="{int(category)}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" '
            f'fill="{colors[int(category)]}"><title>{escape(name)}</title></circle>'
        )
        found.append((int(category), more[0] if more else 1.0))
    return Overlay("".join(parts), tuple(found))
