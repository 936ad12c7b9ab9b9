"""BESTIE's label and grouping rules, pixel by pixel: slow, and independent of the package's code.

Components come from scipy, everything else is loops over pixels in raster order. Maps are numpy arrays of one image;
`tags` lists category numbers, points are (y, x).
"""

import math

import numpy as np
from scipy import ndimage

EIGHT, FOUR = np.ones((3, 3)), ndimage.generate_binary_structure(2, 1)


def components(mask, min_area):
    """Pixel lists of the 8-connected components of at least `min_area` pixels."""
    labels, count = ndimage.label(mask, EIGHT)
    found = [list(zip(*np.nonzero(labels == k), strict=True)) for k in range(1, count + 1)]
    return [pixels for pixels in found if len(pixels) >= min_area]


def centroid(pixels):
    return int(sum(p[0] for p in pixels) / len(pixels)), int(sum(p[1] for p in pixels) / len(pixels))


def draw(heatmap, y, x, sigma):
    """One Gaussian in a window of 6 sigma + 3 pixels, by maximum."""
    reach = 3 * sigma + 1
    for row in range(max(0, y - reach), min(heatmap.shape[0], y + reach + 1)):
        for column in range(max(0, x - reach), min(heatmap.shape[1], x + reach + 1)):
            value = math.exp(-((row - y) ** 2 + (column - x) ** 2) / (2 * sigma**2))
            heatmap[row, column] = max(heatmap[row, column], value)


def pseudo_labels(semantic, cues, tags, class_count, min_area=50, sigma=6, center_points=None):
    """Accepted instances as (category, center, pixels), counts, and the three target maps."""
    shape = semantic.shape
    heatmap, offsets, weight = np.zeros((class_count, *shape)), np.zeros((2, *shape)), np.zeros(shape)
    accepted, counts = [], {"accepted": 0, "empty": 0, "ambiguous": 0, "small": 0}
    for category in tags:
        for pixels in components(semantic == category + 1, 1):
            if len(pixels) < min_area:
                counts["small"] += 1
                continue
            held = 0
            for x, y, cue_category, _ in cues:
                held += int(cue_category) == category and (math.floor(y), math.floor(x)) in set(pixels)
            if held != 1:
                counts["ambiguous" if held else "empty"] += 1
                continue
            counts["accepted"] += 1
            y, x = centroid(pixels)
            accepted.append((category, (y, x), pixels))
            for py, px in pixels:
                offsets[:, py, px] = y - py, x - px
                weight[py, px] = 1
            if center_points is None:
                draw(heatmap[category], y, x, sigma)
    for x, y, category in center_points if center_points is not None else []:
        draw(heatmap[int(category)], math.floor(y), math.floor(x), sigma)
    return accepted, counts, (heatmap, offsets, weight)


def peaks(heatmap, pixels, threshold, window):
    """Pixels above the threshold with no higher pixel of the component in their window."""
    values = {p: heatmap[p] for p in pixels if heatmap[p] > threshold}
    found = []
    for (y, x), value in values.items():
        reach = window // 2
        rivals = [v for (ry, rx), v in values.items() if abs(ry - y) <= reach and abs(rx - x) <= reach]
        if value >= max(rivals):
            found.append((y, x))
    return sorted(found)


def clusters(heatmap, offsets, pixels, tolerance):
    """Centers of the 4-connected blobs of short offsets that have about the right area."""
    short = np.zeros(heatmap.shape, dtype=bool)
    for y, x in pixels:
        short[y, x] = math.sqrt(float(offsets[0, y, x]) ** 2 + float(offsets[1, y, x]) ** 2) < 2.5
    labels, count = ndimage.label(short, FOUR)
    found = []
    for k in range(1, count + 1):
        blob = list(zip(*np.nonzero(labels == k), strict=True))
        if 21 - tolerance < len(blob) < 21 + tolerance:
            y, x = centroid(blob)
            if (y, x) in set(pixels) and heatmap[y, x] > 0.05:
                found.append((y, x))
    return found


def divide(heatmap, offsets, pixels, threshold, window, tolerance, gap=100):
    """Divides a component: centers, heat with clustered centers at 1, and the pixels of each center."""
    heatmap = heatmap.copy()
    centers = peaks(heatmap, pixels, threshold, window)
    added = []
    for cluster in clusters(heatmap, offsets, pixels, tolerance) if tolerance else []:
        if all(math.dist(cluster, peak) > gap for peak in centers):
            added.append(cluster)
    for cluster in added:
        heatmap[cluster] = 1.0
    centers = centers + added
    return centers, heatmap, assign(offsets, pixels, centers) if centers else []


def assign(offsets, pixels, centers):
    """The pixels of each center; each pixel goes to the center nearest to its offset's target."""
    parts = [[] for _ in centers]
    for y, x in pixels:
        aim = y + float(offsets[0, y, x]), x + float(offsets[1, y, x])
        distances = [math.dist(aim, center) for center in centers]
        parts[distances.index(min(distances))].append((y, x))
    return parts


def refine(
    semantic, probability, centers, offsets, tags, threshold=0.3, window=41, tolerance=3, sigma=6, most=5, gap=100
):
    """Refined heat, offsets and weights; `centers` has one channel a class, or one for all."""
    heatmap, new_offsets, weight = np.zeros(centers.shape), np.zeros(offsets.shape), np.zeros(semantic.shape)
    for category in tags:
        channel = category if len(centers) > 1 else 0
        for pixels in components(semantic == category + 1, 50):
            _, marked, parts = divide(centers[channel], offsets, pixels, threshold, window, tolerance, gap)
            parts = [part for part in parts if part]
            if len(parts) > most:
                continue
            for part in parts:
                top = max(part, key=lambda p: marked[p])
                confidence = sum(float(probability[category + 1][p]) for p in part) / len(part)
                if marked[top] < threshold:
                    top = centroid(pixels)
                else:
                    confidence *= marked[top]
                draw(heatmap[channel], *top, sigma)
                for y, x in part:
                    new_offsets[:, y, x] = top[0] - y, top[1] - x
                    weight[y, x] = min(max(confidence, 0), 1)
    return heatmap, new_offsets, weight


def refine_with_points(semantic, offsets, points):
    """Offsets to the given points (x, y, category), and weights."""
    new_offsets, weight = np.zeros(offsets.shape), np.zeros(semantic.shape)
    for category in {int(p[2]) for p in points}:
        centers = [(int(y), int(x)) for x, y, c in points if c == category]
        pixels = list(zip(*np.nonzero(semantic == category + 1), strict=True))
        for center, part in zip(centers, assign(offsets, pixels, centers), strict=True):
            for y, x in part:
                new_offsets[:, y, x] = center[0] - y, center[1] - x
                weight[y, x] = 1
    return new_offsets, weight


def instances(probability, centers, offsets, threshold=0.1, window=41, tolerance=3):
    """Predicted instances as (set of pixels, category, score)."""
    semantic, found = probability.argmax(0), []
    for category in range(len(probability) - 1):
        heatmap = centers[category if len(centers) > 1 else 0]
        for pixels in components(semantic == category + 1, 50):
            _, marked, parts = divide(heatmap, offsets, pixels, threshold, window, tolerance)
            for part in [part for part in parts if part] or [pixels]:
                mean = sum(float(probability[category + 1][p]) for p in part) / len(part)
                top = float(max(marked[p] for p in part))
                found.append((frozenset(part), category, min(max((mean if top >= 1 else top) * mean, 0), 1)))
    return found


def instances_of_points(probability, offsets, points):
    """Predicted instances of given points (x, y, category) as {(pixels, category): score}: pixels of a class without a
    point are in none."""
    semantic, found = probability.argmax(0), {}
    for category in range(len(probability) - 1):
        centers = [(y, x) for x, y, c in points if c == category]
        pixels = list(zip(*np.nonzero(semantic == category + 1), strict=True))
        for part in assign(offsets, pixels, centers) if centers else []:
            if part:
                mean = sum(float(probability[category + 1][p]) for p in part) / len(part)
                found[frozenset(part), category] = mean
    return found


def scene(seed, shape=(120, 170), class_count=4, offsets="noisy"):
    """A semantic map of ellipses of two classes with specks, and outputs that more or less show the ellipses.

    Returns semantic uint8, logits, heatmaps, offsets (multiples of 1/8, so that distances are exact in float32) as
    float32, tags bool and the ellipses' centers (x, y, category). `offsets` is "noisy", or "specks" for nothing but
    noise, with false peaks all over one class.
    """
    rng = np.random.default_rng(seed)
    height, width = shape
    semantic, heatmap = np.zeros(shape, np.uint8), np.zeros((class_count, *shape))
    way, points = np.zeros((2, *shape)), []
    y, x = np.mgrid[:height, :width]
    present = rng.choice(class_count, 2, replace=False)
    for _ in range(rng.integers(2, 11)):
        category, cy, cx = rng.choice(present), rng.integers(height), rng.integers(width)
        a, b = rng.integers(4, 38, 2)
        inside = ((y - cy) / a) ** 2 + ((x - cx) / b) ** 2 < 1
        semantic[inside] = category + 1
        way[:, inside] = np.stack([cy - y, cx - x])[:, inside]
        seen = rng.choice([0, 0.08, 0.2, 0.4, 0.9, 1.1]) * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 72)
        heatmap[category] = np.maximum(heatmap[category], seen)
        points.append((cx, cy, category))
    semantic[rng.random(shape) < 0.003] = 255
    semantic[rng.random(shape) < 0.01] = present[0] + 1
    way += rng.normal(0, 1, way.shape) * rng.choice([0, 0.3, 1])
    if offsets == "specks":
        way = rng.uniform(-3.2, 3.2, way.shape)
        heatmap += 0.05
        for cy, cx in rng.integers(0, shape, (60, 2)):
            heatmap[present[0]] += rng.uniform(0, 0.8) * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 8)
    heatmap += rng.normal(0, rng.choice([1e-4, 0.02]), heatmap.shape)
    logits = rng.normal(0, 1, (class_count + 1, *shape)) + 4 * np.eye(class_count + 1)[semantic % 255].transpose(
        2, 0, 1
    )
    tags = np.zeros(class_count, bool)
    tags[present] = True
    way = np.round(way * 8) / 8
    return semantic, logits.astype(np.float32), heatmap.astype(np.float32), way.astype(np.float32), tags, points
