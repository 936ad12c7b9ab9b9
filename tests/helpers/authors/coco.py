"""COCO's JSON: one file beside the pictures, or one a split in `annotations/` with the pictures in `<split>/`."""

import json
from pathlib import Path

import numpy as np

from authors import Mark, Picture, write_picture

CARRIES = {"box", "polygon", "mask", "size", "split", "empty"}


def write(folder: Path, pictures: list[Picture]) -> Path | None:
    """Writes the pictures and what is drawn on them."""
    names = sorted({str(mark.label) for picture in pictures for mark in picture.marks})
    categories = [{"id": number, "name": name, "supercategory": ""} for number, name in enumerate(names, 1)]
    splits = sorted({picture.split for picture in pictures})
    for split in splits:
        own = [picture for picture in pictures if picture.split == split]
        for seed, picture in enumerate(own):
            write_picture(folder / split / picture.name, *picture.size, seed)
        content = {"info": {}, "licenses": [], "categories": categories, **_rows(own, names)}
        file = folder / "annotations" / f"instances_{split}.json" if any(splits) else folder / "coco.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    return None if any(splits) else folder / "coco.json"


def _rows(pictures: list[Picture], names: list[str]) -> dict[str, list[dict]]:
    images, annotations = [], []
    for number, picture in enumerate(pictures, 1):
        height, width = picture.told
        images.append({"id": number, "file_name": picture.name, "height": height, "width": width, "license": 0})
        for mark in picture.marks:
            row = {"id": len(annotations) + 1, "image_id": number, "category_id": names.index(str(mark.label)) + 1}
            annotations.append({**row, "iscrowd": 0, **_place(mark)})
    return {"images": images, "annotations": annotations}


def _place(mark: Mark) -> dict:
    """Box, area and segmentation of a mark."""
    if mark.kind == "mask":
        ys, xs = np.nonzero(mark.geometry)
        box = [int(xs.min()), int(ys.min()), int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1]
        code = {"size": list(mark.geometry.shape), "counts": _runs(mark.geometry)}
        return {"bbox": box, "area": int(mark.geometry.sum()), "segmentation": code}
    corners = np.asarray(mark.geometry, float).reshape(-1, 2)
    low, high = corners.min(axis=0), corners.max(axis=0)
    box = [*low.tolist(), *(high - low).tolist()]
    if mark.kind == "box":
        return {"bbox": box, "area": box[2] * box[3], "segmentation": []}
    x, y = corners.T
    area = abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2
    return {"bbox": box, "area": area, "segmentation": [corners.ravel().tolist()]}


def _runs(mask: np.ndarray) -> list[int]:
    """The lengths of the runs of a mask, column by column, the first of zeros."""
    runs, value = [0], 0
    for pixel in (mask > 0).ravel(order="F").tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return runs


def count(folder: Path, annotations: Path | None) -> int:
    """The annotations of all files; -1 where one has no list of them."""
    total = 0
    for file in [annotations] if annotations else sorted((folder / "annotations").glob("instances_*.json")):
        try:
            content = json.loads(file.read_text())
        except (OSError, ValueError, RecursionError):
            return -1
        rows = content.get("annotations") if isinstance(content, dict) else None
        if not isinstance(rows, list):
            return -1
        total += len(rows)
    return total
