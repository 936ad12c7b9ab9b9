"""Masks, label maps, maps and points drawn into a picture, for looking at files outside the report."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wsis_steps.core.masks import decode
from wsis_steps.core.store import ImageInstances
from wsis_steps.report.pictures import shade

OPACITY = 0.45  # of the color of a mask


def _rgb(color: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(color[1:]), np.uint8)


def draw_instances(
    picture: np.ndarray, instances: ImageInstances, class_names: Sequence[str], colors: Sequence[str], scored: bool
) -> np.ndarray:
    """The picture, uint8 RGB (h, w, 3), with masks in the colors of their classes, outlines and names; small on top."""
    drawn, places = picture.copy(), {}
    thickness = max(1, round(max(picture.shape[:2]) / 400))
    order = np.argsort(-instances.areas, kind="stable").tolist()
    masks = decode([instances.rles[k] for k in order], *picture.shape[:2])
    for k, mask in zip(order, masks, strict=True):
        category = int(instances.categories[k])
        places[category] = places.get(category, -1) + 1
        color = _rgb(shade(colors[category], places[category]))
        inside = mask > 0
        drawn[inside] = np.rint(drawn[inside] * (1 - OPACITY) + color * OPACITY)
        contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(drawn, contours, -1, color.tolist(), thickness)
    canvas = Image.fromarray(drawn)
    for k in order:
        name = class_names[int(instances.categories[k])] + (f" {instances.scores[k]:.2f}" if scored else "")
        _write(canvas, instances.boxes[k], name)
    return np.array(canvas)


def _write(canvas: Image.Image, box: np.ndarray, name: str) -> None:
    """Writes a name at the top left corner of a box x1, y1, x2, y2, inside the picture."""
    size = max(9, round(max(canvas.size) / 40))
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(size)
    width, height = pen.textbbox((0, 0), name, font=font, stroke_width=2)[2:]
    x = min(max(float(box[0]), 2), max(canvas.width - width - 2, 2))
    y = min(max(float(box[1]), 2), max(canvas.height - height - 2, 2))
    pen.text((x, y), name, fill="white", font=font, stroke_width=max(1, size // 8), stroke_fill="black")


def draw_labels(picture: np.ndarray, labels: np.ndarray, colors: Sequence[str]) -> np.ndarray:
    """The picture under a label map (h, w; 0 background, 1 + category, 255 unsure, which is grey)."""
    palette = np.full((256, 3), 204, np.uint8)
    palette[1 : 1 + len(colors)] = [_rgb(color) for color in colors]
    mixed = np.rint(picture * (1 - OPACITY) + palette[labels] * OPACITY).astype(np.uint8)
    return np.where((labels > 0)[..., None], mixed, picture)


def draw_points(picture: np.ndarray, points: np.ndarray, colors: Sequence[str]) -> np.ndarray:
    """The picture with a disc at each point (n, 3+): x, y, category."""
    drawn, radius = picture.copy(), max(2, round(0.015 * max(picture.shape[:2])))
    for x, y, category in np.asarray(points, np.float64)[:, :3].tolist():
        middle = (round(x), round(y))
        cv2.circle(drawn, middle, radius + 1, (255, 255, 255), -1)
        cv2.circle(drawn, middle, radius, _rgb(colors[int(category)]).tolist(), -1)
    return drawn


def draw_boxes(picture: np.ndarray, boxes: np.ndarray, colors: Sequence[str]) -> np.ndarray:
    """The picture with boxes (n, 5): x1, y1, x2, y2, category, in the colors of their classes."""
    drawn, thickness = picture.copy(), max(1, round(max(picture.shape[:2]) / 300))
    for *corners, category in np.asarray(boxes, np.float64).tolist():
        x1, y1, x2, y2 = (round(value) for value in corners)
        cv2.rectangle(drawn, (x1, y1), (x2 - 1, y2 - 1), _rgb(colors[int(category)]).tolist(), thickness)
    return drawn
