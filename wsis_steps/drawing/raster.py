"""Draws masks, label maps, activation maps and points into an image, for viewing files outside the report."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wsis_steps.drawing.colors import rgb, shade
from wsis_steps.vision.contracts.instances import ImageInstances
from wsis_steps.vision.masks import decode

LONG_SIDE = 720  # approximate pixels of a drawing; smaller images are enlarged so that names are readable
OPACITY = 0.45  # of a mask's color
UNSURE_COLOR = "#cccccc"


def draw_instances(
    picture: np.ndarray, instances: ImageInstances, class_names: Sequence[str], colors: Sequence[str], scored: bool
) -> np.ndarray:
    """The image, uint8 RGB (h, w, 3), with masks in class colors, outlines and names; small masks on top.

    The image may be enlarged. Names move down to avoid each other if there is room.
    """
    drawn, places = picture.copy(), {}
    height, width = picture.shape[:2]
    thickness = max(1, round(max(height, width) / 400))
    order = np.argsort(-instances.areas, kind="stable").tolist()
    for k in order:
        category = int(instances.categories[k])
        places[category] = places.get(category, -1) + 1
        color = rgb(shade(colors[category], places[category]))
        mask = _fill(decode([instances.rles[k]], *instances.rles[k]["size"])[0], height, width)
        inside = mask > 0
        drawn[inside] = np.rint(drawn[inside] * (1 - OPACITY) + color * OPACITY)
        contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(drawn, contours, -1, color.tolist(), thickness)
    canvas, taken = Image.fromarray(drawn), []
    for k in reversed(order):
        zoom = width / instances.rles[k]["size"][1]
        name = class_names[int(instances.categories[k])] + (f" {instances.scores[k]:.2f}" if scored else "")
        _write(canvas, zoom * instances.boxes[k], name, taken)
    return np.array(canvas)


def enlarge(picture: np.ndarray) -> np.ndarray:
    """The image enlarged by an integer factor, if it is too small for readable names."""
    zoom = max(1, LONG_SIDE // max(picture.shape[:2]))
    return cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_NEAREST)


def _fill(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """A mask or label map, resized to the size of its image."""
    if values.shape == (height, width):
        return values
    return cv2.resize(values, (width, height), interpolation=cv2.INTER_NEAREST)


def _font(size: tuple[int, int]) -> ImageFont.FreeTypeFont:
    """The font for an image of (width, height)."""
    return ImageFont.load_default(max(9, round(max(size) / 40)))


def _write(canvas: Image.Image, box: np.ndarray, name: str, taken: list[tuple[float, ...]]) -> None:
    """Writes a name at the top left corner of a box x1, y1, x2, y2, inside the image. It moves down if it would overlap
    `taken` rectangles, x1, y1, x2, y2 each."""
    pen, font = ImageDraw.Draw(canvas), _font(canvas.size)
    width, height = pen.textbbox((0, 0), name, font=font, stroke_width=2)[2:]
    x = min(max(float(box[0]), 2), max(canvas.width - width - 2, 2))
    lowest = max(canvas.height - height - 2, 2)
    first = y = min(max(float(box[1]), 2), lowest)
    while hit := [b for b in taken if b[0] < x + width and x < b[2] and b[1] < y + height and y < b[3]]:
        y = max(b[3] for b in hit)
        if y > lowest:  # no room below
            y = first
            break
    taken.append((x, y, x + width, y + height))
    stroke = max(1, int(font.size) // 8)
    pen.text((x, y), name, fill="white", font=font, stroke_width=stroke, stroke_fill="black")


def add_legend(drawn: np.ndarray, names: Sequence[str], colors: Sequence[str]) -> np.ndarray:
    """The image with a legend of colors below it."""
    font = _font(drawn.shape[1::-1])
    line = round(1.6 * font.size)
    places, x, y = [], line // 2, 0
    for name in names:
        width = round(font.getlength(name)) + 2 * line
        if x + width > drawn.shape[1] and x > line // 2:
            x, y = line // 2, y + line
        places.append((x, y))
        x += width
    strip = Image.new("RGB", (drawn.shape[1], y + line if names else 0), "white")
    pen = ImageDraw.Draw(strip)
    for (left, top), name, color in zip(places, names, colors, strict=True):
        side = font.size
        pen.rectangle((left, top + line // 5, left + side, top + line // 5 + side), fill=color, outline="black")
        pen.text((left + 1.4 * side, top + line // 8), name, fill="black", font=font)
    return np.concatenate([drawn, np.array(strip)])


def draw_labels(picture: np.ndarray, labels: np.ndarray, colors: Sequence[str]) -> np.ndarray:
    """The image, possibly enlarged, under a label map (0 background, 1 + category, 255 unsure, drawn in gray)."""
    palette = np.broadcast_to(rgb(UNSURE_COLOR), (256, 3)).copy()
    palette[1 : 1 + len(colors)] = [rgb(color) for color in colors]
    labels = _fill(labels, *picture.shape[:2])
    mixed = np.rint(picture * (1 - OPACITY) + palette[labels] * OPACITY).astype(np.uint8)
    return np.where((labels > 0)[..., None], mixed, picture)


def draw_points(picture: np.ndarray, points: np.ndarray, colors: Sequence[str]) -> np.ndarray:
    """The image with a disc at each point (n, 3+): x, y, category."""
    drawn, radius = picture.copy(), max(2, round(0.015 * max(picture.shape[:2])))
    for x, y, category in np.asarray(points, np.float64)[:, :3].tolist():
        middle = (round(x), round(y))
        cv2.circle(drawn, middle, radius + 1, (255, 255, 255), -1)
        cv2.circle(drawn, middle, radius, rgb(colors[int(category)]).tolist(), -1)
    return drawn


def draw_outlines(picture: np.ndarray, rles: Sequence[dict], colors: Sequence[str]) -> np.ndarray:
    """The image, possibly enlarged, with the outline of each mask in its color."""
    drawn, (height, width) = picture.copy(), picture.shape[:2]
    for rle, color in zip(rles, colors, strict=True):
        mask = _fill(decode([rle], *rle["size"])[0], height, width)
        contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(drawn, contours, -1, rgb(color).tolist(), max(1, round(max(height, width) / 400)))
    return drawn


def draw_boxes(picture: np.ndarray, boxes: np.ndarray, colors: Sequence[str]) -> np.ndarray:
    """The image with boxes (n, 5): x1, y1, x2, y2, category, in class colors."""
    drawn, thickness = picture.copy(), max(1, round(max(picture.shape[:2]) / 300))
    for *corners, category in np.asarray(boxes, np.float64).tolist():
        x1, y1, x2, y2 = (round(value) for value in corners)
        cv2.rectangle(drawn, (x1, y1), (x2 - 1, y2 - 1), rgb(colors[int(category)]).tolist(), thickness)
    return drawn


def heatmap(picture: np.ndarray, maps: np.ndarray, categories: np.ndarray, colors: Sequence[str]) -> np.ndarray:
    """Activation maps over a dimmed gray image.

    picture uint8 RGB (h, w, 3), maps (k, h', w') from 0 to 1 and their categories (k,). Each pixel takes the color of
    its strongest class, mixed in by that map's value. Returns uint8 RGB (h, w, 3).
    """
    height, width = picture.shape[:2]
    base = (0.45 * cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32))[..., None]
    if not len(maps):
        return np.broadcast_to(base, picture.shape).astype(np.uint8)
    full = np.stack([cv2.resize(m.astype(np.float32), (width, height)) for m in maps])
    strongest = full.argmax(axis=0)
    share = np.clip(full.max(axis=0), 0, 1)[..., None]
    color = np.float32([rgb(colors[int(category)]) for category in categories])[strongest]
    return np.rint(base * (1 - share) + color * share).astype(np.uint8)
