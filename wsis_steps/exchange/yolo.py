"""YOLO's segmentation layout: a text file an image, a line an instance: class and corners over the picture's sides."""

import json
from pathlib import Path

import cv2
import numpy as np

from wsis_steps.exchange.labelled import Labels, write_data
from wsis_steps.vision.masks import decode


def polygon(mask: np.ndarray) -> np.ndarray:
    """One polygon int (n, 2) of x, y along the border pixels of a binary mask (h, w).

    Parts are joined by a line that is walked there and back, which covers nothing. The format has no holes: they are
    filled. Parts of fewer than three corners, which cover no area as polygons, are widened by walking back over them.
    """
    contours, _ = cv2.findContours(np.ascontiguousarray(mask, np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    rings = [contour[:, 0] for contour in contours]
    closed = [np.concatenate([ring, ring[:1]]) for ring in rings]
    back = [ring[:1] for ring in rings[-2::-1]]
    found = np.concatenate([*closed, *back]) if rings else np.zeros((0, 2), int)
    return np.concatenate([found, np.repeat(found[-1:], max(3 - len(found), 0), axis=0)])


def write_yolo(out: Path, labels: Labels) -> Path:
    """Writes images/<split>, labels/<split> and data.yaml; returns data.yaml. Crowds are left out."""
    folder = out / "labels" / labels.split
    folder.mkdir(parents=True, exist_ok=True)
    for image in labels.images:
        write_data(out / "images" / labels.split, image)
        lines = []
        kept = image.instances.at(np.flatnonzero(~image.instances.crowd))
        masks = decode(kept.rles, image.height, image.width)
        for mask, category in zip(masks, kept.categories.tolist(), strict=True):
            # readers that cut to whole pixels (Ultralytics) and those that round (supervision) fill the same mask
            places = (polygon(mask) + 0.25) / [image.width, image.height]
            lines.append(" ".join([str(category), *(f"{value:.6f}" for value in places.reshape(-1))]))
        (folder / f"{image.id}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    names = "".join(f"  {k}: {json.dumps(name)}\n" for k, name in enumerate(labels.class_names))
    path = out / "data.yaml"
    splits = "".join(f"{split}: images/{split}\n" for split in ("train", "val") if (out / "images" / split).is_dir())
    path.write_text(f"{splits}names:\n{names}", encoding="utf-8")
    return path
