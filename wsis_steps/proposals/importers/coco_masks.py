"""Masks as JSON lists, such as those of a promptable model: COCO's results format, without classes.

Every entry has `image_id` (COCO's number, or an image's id) or `file_name`, `segmentation` (RLE, as text or as a list
of runs) and `score`. Boxes are computed from the masks; a `bbox` (x, y, width, height, or two corners) must lie in the
image, and a warning is given if most do not match their masks. Other keys are ignored, those with lists only if known.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.ordinary import check_ordinary
from wsis_steps.engine.problems import attempt
from wsis_steps.formats.regions import encode_rings
from wsis_steps.formats.rings import read_segmentation
from wsis_steps.proposals.importers.image_names import ImageNames
from wsis_steps.vision.masks import decode
from wsis_steps.vision.regions import MaskProposals, best_first

_FAR = 10  # times the sides of a picture; memory for filling a polygon grows with its size, even outside the picture
LISTS = {"segmentation", "bbox", "point_coords", "crop_box"}  # the last two come from promptable models
_LOOKED_AT = 200  # number of masks that are compared with their boxes


@dataclass(frozen=True)
class Entry:
    """The entry of one mask in `file`, and its position there, from 1."""

    file: Path
    place: int
    segmentation: Any
    score: float
    box: Any

    @property
    def where(self) -> str:
        return f"{self.file}: entry {self.place}"


def find_masks(path: Path, names: ImageNames, ignored: Sequence[str] = ()) -> dict[str, list[Entry]]:
    """The entries of each image that the file, or one of the .json files in the folder or below it, names; those of
    other images are left out. Raises `InputError` if a file holds something else, or an entry a list that is neither
    known nor `ignored`."""
    found: dict[str, list[Entry]] = {}
    for file in sorted(path.rglob("*.json")) if path.is_dir() else [path]:
        for place, row in enumerate(_load(file), 1):
            identity, entry = _entry(file, place, row, names, LISTS.union(ignored))
            if identity is not None:
                found.setdefault(identity, []).append(entry)
    return found


def read_masks(entries: list[Entry], height: int, width: int, cap: int) -> MaskProposals:
    """The best `cap` masks (0: all) of an image of that size, without those that cover no pixel. Raises `InputError`
    for an entry that is not a mask of it."""
    entries = [entries[row] for row in best_first(np.array([entry.score for entry in entries]), 0)]
    rles = [_mask(entry, height, width) for entry in entries]
    kept = [(rle, entry.score) for rle, entry in zip(rles, entries, strict=True) if rle is not None][: cap or None]
    rles, scores = [rle for rle, _ in kept], np.array([score for _, score in kept], dtype=np.float32)
    boxes = coco.toBbox(rles).reshape(-1, 4) if rles else np.zeros((0, 4))
    boxes[:, 2:] += boxes[:, :2]
    return MaskProposals(boxes.astype(np.float32), scores, rles, height, width)


def doubt_masks(
    found: Mapping[str, list[Entry]], sizes: Mapping[str, tuple[int, int]]
) -> tuple[Mapping[str, list[Entry]], list[str]]:
    """The same entries, and a sentence if most masks do not match their `bbox`, judged by some of them.

    sizes: height and width of each image. Raises `InputError` if runs are counted along the rows of images.
    """
    boxed = [(entry, *sizes[identity]) for identity, rows in found.items() for entry in rows if entry.box is not None]
    looked_at = boxed[:: -(-len(boxed) // _LOOKED_AT) or 1]
    overlaps = [(one[0], attempt(_overlaps, *one)) for one in looked_at]
    known = [(entry, overlap) for entry, overlap in overlaps if isinstance(overlap, tuple)]
    near = np.array([overlap for _, overlap in known]).reshape(-1, 2) >= 0.5
    if 2 * near[:, 0].sum() >= len(near):
        return found, []
    first, apart = known[0][0], 1 - near[:, 0].mean()
    if near[:, 1].mean() > 0.9:
        why = "COCO counts them along columns"
        raise InputError(f"{first.where}: its 'bbox' shows that its runs are counted along rows; {why}.")
    return found, [f"{first.file}: {apart:.0%} of the checked masks do not match their 'bbox'."]


def _overlaps(entry: Entry, height: int, width: int) -> tuple[float, float] | None:
    """The overlap (IoU) of an entry's `bbox` with the box of its mask, and with that of the mask whose runs are counted
    along rows; None if it covers no pixel."""
    rle = _mask(entry, height, width)
    if rle is None:
        return None
    pixels = decode([rle], height, width)[0].ravel(order="F").reshape(height, width)
    own = coco.toBbox([rle, coco.encode(np.asfortranarray(pixels))])
    x, y, across, down = entry.box
    said = np.array([[x, y, across, down], [x, y, across - x, down - y]], np.float64).clip(0)
    best = coco.iou(own, said, [0, 0]).max(axis=1)
    return float(best[0]), float(best[1])


def _load(file: Path) -> list:
    check_ordinary(file)
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} is not a JSON file: {error}.") from None
    if not isinstance(content, list):
        raise InputError(f"{file} does not hold a list of masks.")
    return content


def _entry(file: Path, place: int, row: Any, names: ImageNames, lists: set[str]) -> tuple[str | None, Entry]:
    """The id of the entry's image, or None if the data set does not have it, and the entry."""
    where = f"{file}: entry {place}"
    if not isinstance(row, dict):
        raise InputError(f"{where} is not a mask entry.")
    spelled = [row[key] for key in ("file_name", "image_id") if key in row]
    if not spelled or any(isinstance(name, bool) or not isinstance(name, int | str) for name in spelled):
        raise InputError(f"{where} needs an 'image_id' or a 'file_name'.")
    unknown = [key for key, value in row.items() if isinstance(value, list) and key not in lists]
    if unknown:
        raise InputError(
            f"{where} has an unknown list '{unknown[0]}'. If it does not matter, name it in "
            "proposals_import_proposals.ignored."
        )
    if "segmentation" not in row:
        raise InputError(f"{where} has no 'segmentation'.")
    if not _is_number(row.get("score")):
        raise InputError(f"{where} needs a number as its 'score'.")
    identity = next(filter(None, map(names.find, spelled)), None)
    return identity, Entry(file, place, row["segmentation"], float(row["score"]), row.get("bbox"))


def _mask(entry: Entry, height: int, width: int) -> dict | None:
    """The entry's run-length code, None if it covers no pixel."""
    _check_box(entry, height, width)
    try:
        code = read_segmentation(entry.segmentation, height, width)
        if isinstance(code, list):
            if max(np.abs(ring).max() for ring in code) >= _FAR * max(height, width):
                raise ValueError("its polygon has a corner far outside")
            [code] = encode_rings([code], height, width)
    except ValueError as error:
        raise InputError(f"{entry.where} is not a mask of its image, which is {width}x{height}: {error}.") from None
    return code if code and coco.area(code) else None


def _check_box(entry: Entry, height: int, width: int) -> None:
    box = entry.box
    if box is None:
        return
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        raise InputError(f"{entry.where} has a 'bbox' that is not four numbers.")
    x, y, across, down = box
    as_sizes = min(across, down) >= 0 and x + across <= width + 1 and y + down <= height + 1  # rounding is allowed
    as_corners = x <= across <= width + 1 and y <= down <= height + 1
    if min(x, y) < -1 or not (as_sizes or as_corners):
        raise InputError(f"{entry.where}: its 'bbox' {box} lies outside its image, which is {width}x{height}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30
