"""LabelMe's JSON: a file beside each picture, as version 5 writes it."""

import base64
import json
from pathlib import Path

import cv2
import numpy as np

from authors import Mark, Picture, write_picture

CARRIES = {"tag", "point", "box", "polygon", "mask", "line", "group", "size", "empty"}
POINTS = ("point", "points")  # of which each point is a shape


def write(folder: Path, pictures: list[Picture]) -> Path | None:
    """Writes the pictures and a JSON file beside each."""
    for seed, picture in enumerate(pictures):
        path = folder / picture.name
        write_picture(path, *picture.size, seed)
        height, width = picture.told
        content = {
            "version": "5.4.1",
            "flags": {str(mark.label): True for mark in picture.marks if mark.kind == "tag"},
            "shapes": [shape(mark) for mark in picture.marks if mark.kind != "tag"],
            "imagePath": path.name,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        path.with_name(f"{path.stem}.json").write_text(json.dumps(content, indent=2))
    return None


def shape(mark: Mark) -> dict:
    """A shape as the file has it."""
    kind = {"box": "rectangle", "line": "linestrip"}.get(mark.kind, mark.kind)
    about = {"label": mark.label, "group_id": mark.group, "description": "", "shape_type": kind, "flags": {}}
    if mark.kind == "mask":
        ys, xs = np.nonzero(mark.geometry)
        piece = mark.geometry[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        corners = [[int(xs.min()), int(ys.min())], [int(xs.max()), int(ys.max())]]
        png = cv2.imencode(".png", np.where(piece > 0, 255, 0).astype(np.uint8))[1].tobytes()
        return {**about, "points": corners, "mask": base64.b64encode(png).decode()}
    return {**about, "points": np.asarray(mark.geometry, float).reshape(-1, 2).tolist(), "mask": None}


def count(folder: Path, annotations: Path | None) -> int:
    """The shapes, points of `points` one by one, and the flags that are set; -1 where a file has no list of shapes."""
    total, found = 0, False
    for file in sorted(folder.rglob("*.json")):
        try:
            content = json.loads(file.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError):
            return -1
        if not isinstance(content, dict):
            continue
        if "shapes" not in content and "imagePath" not in content:
            continue
        shapes, flags = content.get("shapes"), content.get("flags")
        if not isinstance(shapes, list) or not isinstance(flags or {}, dict):
            return -1
        found = True
        total += sum(value is True for value in (flags or {}).values())
        for one in shapes:
            if not isinstance(one, dict):
                return -1
            several = one.get("shape_type") in POINTS and isinstance(one.get("points"), list)
            total += len(one["points"]) if several else 1
    return total if found else -1
