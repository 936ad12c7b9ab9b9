"""Writes instances as COCO JSON, image by image."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from wsis_steps.formats.labelled import Labels, whole_file, write_data
from wsis_steps.vision.contracts.instances import ImageInstances


def annotations(image: int, first: int, instances: ImageInstances, scored: bool) -> list[dict]:
    """The rows of one image: masks as compressed RLE, boxes as x, y, width, height; ids from `first` on."""
    sizes = instances.boxes.copy()
    sizes[:, 2:] -= sizes[:, :2]
    rows = [
        {
            "id": first + k,
            "image_id": image,
            "category_id": int(instances.categories[k]) + 1,
            "segmentation": {"size": rle["size"], "counts": rle["counts"].decode("ascii")},
            "area": float(instances.areas[k]),
            "bbox": [float(value) for value in sizes[k]],
            "iscrowd": int(instances.crowd[k]),
        }
        for k, rle in enumerate(instances.rles)
    ]
    for row, score in zip(rows, instances.scores.tolist() if scored else (), strict=False):
        row["score"] = score
    return rows


class CocoFile:
    """A COCO instance file, written image by image; it appears under its name when the block ends without an error.

    Category ids are 1 + the index of the class; crowds have `iscrowd`, predictions a `score`.
    """

    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        self.whole = whole_file(path)
        self.class_names, self.images, self.count = class_names, [], 0

    def __enter__(self) -> "CocoFile":
        self.file = self.whole.__enter__()
        self.file.write('{"annotations": [')
        return self

    def add(self, name: str, height: int, width: int, instances: ImageInstances, scored: bool) -> None:
        """Adds an image, by its file name, with its instances."""
        self.images.append({"id": len(self.images) + 1, "file_name": name, "height": int(height), "width": int(width)})
        for row in annotations(len(self.images), self.count + 1, instances, scored):
            self.file.write(("\n" if self.count == 0 else ",\n") + json.dumps(row))
            self.count += 1

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self.whole.__exit__(kind, error, trace)
            return
        with ExitStack() as ending:
            ending.push(self.whole)
            categories = [{"id": k + 1, "name": name} for k, name in enumerate(self.class_names)]
            rest = {"images": self.images, "categories": categories}
            self.file.write("\n], " + json.dumps(rest)[1:] + "\n")


def write_coco(out: Path, labels: Labels) -> Path:
    """Writes annotations/instances_<split>.json and the images in images/<split>/, where Datumaro looks, too.

    Returns the file.
    """
    path = out / "annotations" / f"instances_{labels.split}.json"
    with CocoFile(path, labels.class_names) as file:
        for image in labels.images:
            write_data(out / "images" / labels.split, image)
            file.add(image.file, image.height, image.width, image.instances, labels.scored)
    return path
