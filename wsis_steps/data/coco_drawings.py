"""A single COCO JSON as what people drew, image by image."""

from pathlib import Path

from wsis_steps.data.coco import coco_categories, load_coco
from wsis_steps.data.drawings import Drawing, box_corners
from wsis_steps.engine.problems import Problems
from wsis_steps.vision.masks import encode_segmentation, run_bounds


def read_coco_drawings(path: Path, problems: Problems) -> list[Drawing]:
    """The images of a COCO instance file; annotations without a mask give a box. What cannot be read is noted.

    Raises InputError where the file is none.
    """
    content = load_coco(path)
    names, places = coco_categories(content, path)
    rows: dict = {}
    drawings = []
    for number, row in enumerate(content["annotations"], 1):
        if isinstance(row, dict) and isinstance(row.get("image_id"), int | str):
            rows.setdefault(row["image_id"], []).append(row)
        else:
            problems.add(f"{path}: annotation {number} has no 'image_id'.")
    for number, image in enumerate(content["images"], 1):
        where = f"{path}: image {number}"
        try:
            where = f"{path}: image '{image['file_name']}'"
            height, width, name = int(image["height"]), int(image["width"]), str(image["file_name"])
            marks = _marks(rows.pop(image["id"], []), names, places, height, width)
            drawings.append(Drawing(where, name, height, width, **marks))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
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
