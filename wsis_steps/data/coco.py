"""Imports COCO annotations (instances_train2017.json and the like) with their folders of images.

Tags are the categories of an image's annotations; boxes are the annotations' own; points are each mask's
centroid moved to its nearest own pixel. Crowd regions (iscrowd) are no instances: they give neither points
nor boxes, and in the true masks they carry the crowd flag. Class order is the order of the category ids.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from wsis_steps.data.archives import missing_message
from wsis_steps.data.files import read_bytes
from wsis_steps.data.pictures import picture_size
from wsis_steps.data.records import SPLITS, Dataset, ImageRecord, TrueInstances, check_ids
from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.engine.problems import Problems, attempt, settle
from wsis_steps.vision.masks import encode_segmentation, run_bounds


@dataclass
class _Image:
    """One image of the JSON with its annotations, as plain values that a pool can take."""

    id: str
    path: Path
    height: int
    width: int
    where: str
    annotations: list[tuple[int, int, bool, list[float], list | dict]]  # id, category, crowd, box, segmentation


@dataclass
class _Masks:
    """The annotations of one image that cover a pixel: RLEs, categories, crowd flags, points and boxes
    (xyxy)."""

    rles: list[dict]
    categories: np.ndarray
    crowd: np.ndarray
    points: np.ndarray
    boxes: np.ndarray
    empty: int


def find_coco(root: Path | str) -> dict[str, tuple[Path, Path]]:
    """The annotation file and image folder of each split, for `read_coco`:
    annotations/instances_train2017.json and train2017, or the same without the year, and val likewise where
    it exists. Raises `InputError`."""
    root = Path(root)
    layouts = [
        {split: (root / f"annotations/instances_{split}{year}.json", root / f"{split}{year}") for split in SPLITS}
        for year in ("2017", "")
    ]
    for found in layouts:
        if found["train"][0].is_file():
            return {split: paths for split, paths in found.items() if paths[0].is_file()}
    for found in layouts:
        if found["val"][0].is_file():
            raise InputError(f"{found['train'][0]} is missing; there is only val, and none to train on.")
    raise InputError(missing_message("coco", root))


def middle_pixel(starts: np.ndarray, ends: np.ndarray, height: int) -> tuple[int, int]:
    """x and y of the pixel nearest to the centroid, of a non-empty mask given by its runs (`run_bounds`)."""

    def sums(n: np.ndarray) -> np.ndarray:
        """The sum of x and of y over the column-major pixels 0 .. n - 1."""
        columns, rest = n // height, n % height
        x = height * columns * (columns - 1) // 2 + rest * columns
        y = columns * (height * (height - 1) // 2) + rest * (rest - 1) // 2
        return np.array([x.sum(), y.sum()])

    center = (sums(ends) - sums(starts)) / (ends - starts).sum()
    x, y = np.rint(center).astype(int).tolist()
    before = np.searchsorted(starts, x * height + y, side="right") - 1
    if before >= 0 and x * height + y < ends[before]:
        return x, y
    pixels = np.concatenate([np.arange(a, b) for a, b in zip(starts, ends, strict=True)])
    xs, ys = pixels // height, pixels % height
    nearest_one = np.lexsort((xs, ys, (xs - center[0]) ** 2 + (ys - center[1]) ** 2))[0]
    return int(xs[nearest_one]), int(ys[nearest_one])


def _read_masks(image: _Image) -> _Masks:
    """Encodes the masks of one image. Raises `InputError` for the first that is no mask of this image."""
    found = _Masks([], np.zeros(0, np.int64), np.zeros(0, bool), np.zeros((0, 2)), np.zeros((0, 4)), 0)
    rows = []
    for number, category, crowd, box, segmentation in image.annotations:
        try:
            rle = encode_segmentation(segmentation, image.height, image.width)
            starts, ends = run_bounds(rle) if rle else (np.zeros(1), np.zeros(1))
        except ValueError as error:
            raise InputError(
                f"{image.where}: annotation {number} of image '{image.path.name}', which is "
                f"{image.width}x{image.height}, has no valid segmentation: {error}."
            ) from None
        if (starts == ends).all():
            found.empty += 1
            continue
        found.rles.append(rle)
        rows.append((category, crowd, *middle_pixel(starts, ends, image.height), *box))
    if rows:
        table = np.array(rows, np.float64)
        found.categories, found.crowd = table[:, 0].astype(np.int64), table[:, 1].astype(bool)
        found.points, found.boxes = table[:, 2:4], table[:, 4:8]
        found.boxes[:, 2:] += found.boxes[:, :2]
        found.boxes = found.boxes.clip(0, [image.width, image.height] * 2)
    return found


@dataclass(frozen=True)
class CocoTruth:
    """The `truth` of a COCO data set: all masks in flat arrays, so that it pickles in one piece (about 200 MB
    for COCO's training split: hand it to a pool once, as an initializer's argument, not with each task)."""

    rows: dict[str, tuple[int, int, int, int]]  # id -> first row, row after the last, height, width
    counts: bytes
    offsets: np.ndarray  # int64 (n + 1,)
    categories: np.ndarray  # int64 (n,)
    crowd: np.ndarray  # bool (n,)

    def __call__(self, record: ImageRecord) -> TrueInstances | None:
        """The masks of `record`, None for a split without truth. Raises `InputError` if the picture is of
        another size than the annotations say."""
        if record.id not in self.rows:
            return None
        first, last, height, width = self.rows[record.id]
        if picture_size(record.path) != (height, width):
            found = picture_size(record.path)
            raise InputError(f"{record.path} is {found[1]}x{found[0]} but its annotations say {width}x{height}.")
        ends = self.offsets[first : last + 1].tolist()
        masks = [
            {"size": [height, width], "counts": self.counts[a:b]} for a, b in zip(ends[:-1], ends[1:], strict=True)
        ]
        return TrueInstances(masks, self.categories[first:last], self.crowd[first:last])


def load_coco(path: Path) -> dict:
    """The content of a COCO instance file; InputError where it is none."""
    try:
        content = json.loads(read_bytes(path))
    except ValueError as error:
        raise InputError(f"{path} is not a JSON file: {error}.") from None
    lists = content if isinstance(content, dict) else {}
    missing = [k for k in ("images", "annotations", "categories") if not isinstance(lists.get(k), list)]
    if missing:
        raise InputError(f"{path} has no '{missing[0]}', so it is no COCO instance file.")
    return content


def coco_categories(content: dict, path: Path) -> tuple[list[str], dict[int, int]]:
    """Class names in the order of their ids, and id -> 0-based category."""
    try:
        rows = sorted((int(row["id"]), str(row["name"])) for row in content["categories"])
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path}: each of its categories needs a numeric 'id' and a 'name'.") from None
    names = [name for _, name in rows]
    if len(set(names)) < len(names) or len({number for number, _ in rows}) < len(rows):
        raise InputError(f"{path}: two of its categories share an id or a name.")
    return names, {number: place for place, (number, _) in enumerate(rows)}


def _read_images(content: dict, where: Path, folder: Path, problems: Problems) -> dict:
    """Image id -> image. Notes incomplete rows, repeated ids and files that are not in the folder."""
    if not folder.is_dir():
        problems.add(f"{folder}, the image folder of {where}, does not exist.")
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    images: dict = {}
    for row in content["images"]:
        try:
            number, name, height, width = row["id"], row["file_name"], int(row["height"]), int(row["width"])
            identity = PurePosixPath(name).with_suffix("").as_posix().replace("/", "_")
            repeated = number in images
        except (KeyError, TypeError, ValueError):
            problems.add(f"{where}: an image needs 'id', 'file_name', 'height', 'width': {str(row)[:80]}.")
            continue
        if repeated:
            problems.add(f"{where}: image id {number} ('{name}') is also '{images[number].path.name}'.")
            continue
        if name not in present and folder.is_dir():
            problems.add(f"{where}: image '{name}' is not in {folder}.")
        images[number] = _Image(identity, folder / name, height, width, str(where), [])
    if not images:
        problems.add(f"{where} lists no image.")
    return images


def _add_annotations(content: dict, where: Path, images: dict, classes: dict[int, int], problems: Problems) -> None:
    """Gives each image its annotations. Notes incomplete ones and those of an unknown image or category."""
    for row in content["annotations"]:
        try:
            image, category, box = row["image_id"], row["category_id"], [float(v) for v in row["bbox"]]
            rest = bool(row.get("iscrowd", 0)), box, row["segmentation"]
            known_image, known_category = image in images, category in classes
            if len(box) != 4:
                raise ValueError
        except (KeyError, TypeError, ValueError):
            problems.add(
                f"{where}: an annotation needs 'image_id', 'category_id', a 'bbox' of four numbers and a "
                f"'segmentation': {str(row)[:80]}."
            )
            continue
        number = row.get("id")
        if not known_image:
            problems.add(f"{where}: annotation {number} is of image {image}, which the file does not list.")
        elif not known_category:
            valid = nearest(str(category), map(str, classes))
            problems.add(f"{where}: annotation {number} has the unknown category {category}; {valid}")
        else:
            images[image].annotations.append((number, classes[category], *rest))


def _record(image: _Image, split: str, masks: _Masks, crowd_tags: bool) -> ImageRecord:
    tags = {category for _, category, crowd, _, _ in image.annotations if crowd_tags or not crowd}
    kept = ~masks.crowd
    kept &= (masks.boxes[:, 2:] > masks.boxes[:, :2]).all(axis=1)
    categories = masks.categories[:, None]
    points, boxes = (np.hstack([t, categories])[kept].astype(np.float32) for t in (masks.points, masks.boxes))
    return ImageRecord(image.id, split, image.path, tuple(sorted(tags)), points, boxes)


def _pack(images: list[_Image], masks: list[_Masks]) -> CocoTruth:
    """Lays the masks of the images one after another."""
    counts = [rle["counts"] for found in masks for rle in found.rles]
    ends = np.cumsum([0, *(len(found.rles) for found in masks)]).tolist()
    rows = {im.id: (a, b, im.height, im.width) for im, a, b in zip(images, ends[:-1], ends[1:], strict=True)}
    return CocoTruth(
        rows,
        b"".join(counts),
        np.cumsum([0, *map(len, counts)]).astype(np.int64),
        np.concatenate([np.zeros(0, np.int64), *(found.categories for found in masks)]),
        np.concatenate([np.zeros(0, bool), *(found.crowd for found in masks)]),
    )


def read_coco(
    splits: dict[str, tuple[Path | str, Path | str]],
    crowd_tags: bool = False,
    truth: tuple[str, ...] = SPLITS,
    mapper: Callable = map,
) -> Dataset:
    """Imports COCO annotations.

    `splits` maps 'train' and, where there is one, 'val' to (annotation file, image folder) (`find_coco`). An
    image's id is its file name without suffix. A category that an image shows only as a crowd is a tag of it
    if `crowd_tags`. Images without annotations keep no tags. `truth` names the splits whose masks are kept.
    `mapper` may be the `map` of a process pool; without one an image takes about 1 ms. Raises one
    `InputError` that names up to 20 bad images and annotations.
    """
    problems, records, kept_images, kept_masks = Problems(), [], [], []
    class_names, counts = None, {"annotations": 0, "crowds": 0, "annotations_without_area": 0}
    for split, (file, folder) in splits.items():
        file, folder = Path(file), Path(folder)
        content = load_coco(file)
        names, classes = coco_categories(content, file)
        if class_names not in (None, names):
            raise InputError(f"{file} has other categories than {next(iter(splits.values()))[0]}.")
        class_names = names
        by_number = _read_images(content, file, folder, problems)
        _add_annotations(content, file, by_number, classes, problems)
        images = list(by_number.values())
        del content, by_number  # gigabytes, for COCO's training split
        masks = settle(mapper(partial(attempt, _read_masks), images), problems)
        whole = [(image, found) for image, found in zip(images, masks, strict=True) if found]
        records += [_record(image, split, found, crowd_tags) for image, found in whole]
        counts["annotations"] += sum(len(image.annotations) for image in images)
        counts["crowds"] += sum(int(found.crowd.sum()) for _, found in whole)
        counts["annotations_without_area"] += sum(found.empty for _, found in whole)
        if split in truth:
            kept_images += [image for image, _ in whole]
            kept_masks += [found for _, found in whole]
    check_ids(records, problems)
    problems.raise_any("The COCO data set")
    counts["images_without_tags"] = sum(1 for record in records if not record.tags)
    return Dataset(class_names or [], records, _pack(kept_images, kept_masks), counts)
