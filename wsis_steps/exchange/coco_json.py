"""COCO JSON: writing instances image by image, and reading what people drew."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from wsis_steps.core.masks import encode_segmentation, run_bounds
from wsis_steps.core.problems import Problems
from wsis_steps.core.store import ImageInstances
from wsis_steps.data.coco import coco_categories, load_coco
from wsis_steps.exchange.drawings import Drawing, box_corners
from wsis_steps.exchange.labelled import Labels, write_data


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
    """A COCO instance file that grows image by image; it is put in place when the block ends without an error.

    Category ids are 1 + the place of the class; crowds carry `iscrowd`, predictions a `score`.
    """

    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        self.path, self.part = path, path.with_name(f".{path.name}.partial")
        self.class_names, self.images, self.count = class_names, [], 0

    def __enter__(self) -> "CocoFile":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = self.part.open("w", encoding="utf-8")
        self.file.write('{"annotations": [')
        return self

    def add(self, name: str, height: int, width: int, instances: ImageInstances, scored: bool) -> None:
        """Adds an image, by its file name, with its instances."""
        self.images.append({"id": len(self.images) + 1, "file_name": name, "height": int(height), "width": int(width)})
        for row in annotations(len(self.images), self.count + 1, instances, scored):
            self.file.write(("\n" if self.count == 0 else ",\n") + json.dumps(row))
            self.count += 1

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            categories = [{"id": k + 1, "name": name} for k, name in enumerate(self.class_names)]
            rest = {"images": self.images, "categories": categories}
            self.file.write("\n], " + json.dumps(rest)[1:] + "\n")
        self.file.close()
        self.part.replace(self.path) if kind is None else self.part.unlink()


def write_coco(out: Path, labels: Labels) -> Path:
    """Writes annotations/instances_<split>.json and the pictures in <split>/, as the data format `coco` reads them.

    Returns the file.
    """
    path = out / "annotations" / f"instances_{labels.split}.json"
    with CocoFile(path, labels.class_names) as file:
        for image in labels.images:
            write_data(out / labels.split, image)
            file.add(image.file, image.height, image.width, image.instances, labels.scored)
    return path


def read_coco_drawings(path: Path, problems: Problems) -> list[Drawing]:
    """The images of a COCO instance file; annotations without a mask give a box. What cannot be read is noted.

    Raises InputError where the file is none.
    """
    content = load_coco(path)
    names, places = coco_categories(content, path)
    rows: dict = {}
    for row in content["annotations"]:
        rows.setdefault(row.get("image_id"), []).append(row)
    drawings = []
    for image in content["images"]:
        where = f"{path}: image '{image.get('file_name')}'"
        try:
            height, width, name = int(image["height"]), int(image["width"]), str(image["file_name"])
            marks = _marks(rows.pop(image["id"], []), names, places, height, width)
            drawings.append(Drawing(where, name, height, width, **marks))
        except (KeyError, TypeError, ValueError) as error:
            text = f"{error} is missing or unknown" if isinstance(error, KeyError) else error
            problems.add(f"{where}: {text}.")
    for image in rows:
        problems.add(f"{path} has annotations of image {image}, which it does not list.")
    return drawings


def _marks(rows: list[dict], names: list[str], places: dict[int, int], height: int, width: int) -> dict[str, tuple]:
    """Boxes and masks of one image."""
    boxes, masks = [], []
    for row in rows:
        name = names[places[row["category_id"]]]
        rle = encode_segmentation(row["segmentation"], height, width) if row.get("segmentation") else None
        if rle is None:
            boxes.append((*box_corners(*map(float, row["bbox"])), name))
            continue
        run_bounds(rle)
        masks.append((rle, name, bool(row.get("iscrowd", 0))))
    return {"boxes": tuple(boxes), "masks": tuple(masks)}
