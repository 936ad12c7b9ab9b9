"""Label Studio's JSON, as it exports tasks of uploaded pictures: places in percents, masks in the code of its brush.

Its own choices and labels come from controls of two names; here they have one, as in files that people write
themselves, so that tags of classes without a region are tags.
"""

import json
from pathlib import Path

import numpy as np

from authors import Mark, Picture, write_picture

CARRIES = {"tag", "point", "box", "polygon", "mask", "ellipse", "size", "empty"}
TYPES = {
    "tag": "choices", "point": "keypointlabels", "box": "rectanglelabels", "polygon": "polygonlabels",
    "mask": "brushlabels", "ellipse": "ellipselabels",
}  # fmt: skip
DRAWN = {kind.removesuffix("labels") for kind in TYPES.values()} - {"choices"} | {"bitmask"}
ANSWERS = {"taxonomy", "textarea", "rating", "number", "datetime", "pairwise", "ranker", "relation"}


def write(folder: Path, pictures: list[Picture]) -> Path | None:
    """Writes the pictures and project.json."""
    tasks = []
    for number, picture in enumerate(pictures, 1):
        write_picture(folder / picture.name, *picture.size, number)
        rows = [result(mark, k, *picture.told) for k, mark in enumerate(picture.marks)]
        about = {"id": 100 + number, "completed_by": 1, "was_cancelled": False, "ground_truth": False}
        annotation = {**about, "result": rows, "created_at": "2024-05-27T10:00:00.000000Z", "lead_time": 4.2}
        address = f"/data/upload/3/{number:08x}-{Path(picture.name).name}"
        task = {"id": number, "annotations": [annotation], "drafts": [], "predictions": [], "data": {"image": address}}
        tasks.append({**task, "meta": {}, "project": 3})
    (folder / "project.json").write_text(json.dumps(tasks))
    return folder / "project.json"


def result(mark: Mark, number: int, height: int, width: int) -> dict:
    """A result of an annotation."""
    kind = TYPES[mark.kind]
    value = {**_place(mark, height, width), kind: [mark.label]}
    about = {"id": f"r{number}", "from_name": "label", "to_name": "image", "type": kind, "origin": "manual"}
    size = {"original_width": width, "original_height": height, "image_rotation": 0}
    return {**about, "value": value, **({} if mark.kind == "tag" else size)}


def _place(mark: Mark, height: int, width: int) -> dict:
    def percents(values) -> list[float]:
        return (np.asarray(values, float).reshape(-1, 2) * [100 / width, 100 / height]).ravel().tolist()

    if mark.kind == "tag":
        return {}
    if mark.kind == "point":
        x, y = percents(mark.geometry)
        return {"x": x, "y": y, "width": 0.5}
    if mark.kind == "box":
        x1, y1, x2, y2 = percents(mark.geometry)
        return {"x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1, "rotation": 0}
    if mark.kind == "ellipse":
        x, y, across, down = percents(mark.geometry)
        return {"x": x, "y": y, "radiusX": across, "radiusY": down, "rotation": 0}
    if mark.kind == "mask":
        return {"format": "rle", "rle": brush(mark.geometry)}
    return {"points": np.reshape(percents(mark.geometry), (-1, 2)).tolist(), "closed": True}


def brush(mask: np.ndarray) -> list[int]:
    """The code of a mask, a run of one value after another, each of at most 65,536."""
    values = np.repeat(np.where(mask > 0, 255, 0).ravel(), 4).tolist()
    bits, first = f"{len(values):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16)), 0
    for k in range(1, len(values) + 1):
        if k == len(values) or values[k] != values[first] or k - first == 1 << 16:
            bits += f"111{k - first - 1:016b}{values[first]:08b}"
            first = k
    return [int(bits[k : k + 8].ljust(8, "0"), 2) for k in range(0, len(bits), 8)]


def count(folder: Path, annotations: Path | None) -> int:
    """The labels of regions, or the region where it has none, the choices, and other answers, of each task's annotation
    that counts; -1 where that cannot be told."""
    try:
        tasks = json.loads((annotations or folder / "project.json").read_text())
        return sum(_count(task) for task in tasks)
    except (OSError, ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return -1


def _count(task: dict) -> int:
    submitted = [one for one in task.get("annotations") or [] if not one.get("was_cancelled")]
    if not submitted:
        return 0
    dates = [one.get("created_at") for one in submitted]
    order = (
        range(len(submitted)) if not all(isinstance(date, str) for date in dates) else np.argsort(dates, kind="stable")
    )
    ordered = sorted((submitted[k] for k in order), key=lambda one: one.get("ground_truth") is True)
    rows, total = ordered[-1]["result"] or [], 0
    drawn = {str(row.get("id")) for row in rows if _bare(row) in DRAWN}
    for row in rows:
        if row["type"] == "choices":
            choices = row["value"]["choices"]
            total += 1 if isinstance(choices, str) else len(choices)
        elif row["type"] in ANSWERS:
            total += 1
        else:
            joined = row["type"] == "labels" and str(row.get("id")) in drawn
            total += _labels(row) if joined else max(_labels(row), 1)
    return total


def _bare(row: dict) -> str:
    return row["type"].removesuffix("labels")


def _labels(row: dict) -> int:
    found = [labels for key, labels in row["value"].items() if key.endswith("labels") and labels is not None]
    return sum(1 if isinstance(labels, str) else len(labels) for labels in found)
