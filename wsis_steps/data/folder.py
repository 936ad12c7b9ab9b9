"""Imports one's own pictures: a folder with a tags.csv, optionally a points.csv or a boxes.csv, and no masks.

tags.csv:    image,tags[,split]   `image` is a path inside the folder; `tags` are class names, none or more,
                                  between spaces, or in the whole table between semicolons or (in quotes)
                                  commas; `split` is train or val
points.csv:  image,x,y,class      a pixel inside one instance; (0, 0) is the middle of the first pixel
boxes.csv:   image,x1,y1,x2,y2,class  the box around an instance, in pixels from the top left corner; x2 and y2 are the
                                  first column and line that it leaves out, so a box over the picture ends on its size

The header line names the columns in any order; without one they are in the order above. Columns are separated by
commas.
"""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

import numpy as np

from wsis_steps.data.archives import missing_message
from wsis_steps.data.pictures import SUFFIXES, picture_size
from wsis_steps.data.records import SPLITS, Dataset, ImageRecord, check_ids, divide, no_truth
from wsis_steps.data.tables import note_alike, read_table
from wsis_steps.engine.errors import InputError, nearest
from wsis_steps.engine.problems import Problems

MARKS = {"point": ("x", "y"), "box": ("x1", "y1", "x2", "y2")}  # kinds of marks and their columns


@dataclass
class _Row:
    where: str
    image: str
    path: Path
    tags: list[str]
    split: str


def _image_path(cells: dict[str, str]) -> str:
    """The image of a row as a path with slashes, without './'; empty where there is none."""
    return str(PurePosixPath(cells["image"].replace("\\", "/"))) if cells["image"] else ""


def _split_tags(text: str, by_spaces: bool) -> list[str]:
    return text.split() if by_spaces else [tag.strip() for tag in re.split("[;,]", text) if tag.strip()]


def _read_rows(path: Path, files: dict[str, Path], problems: Problems) -> list[_Row]:
    """The rows of tags.csv whose image exists; notes the others, repeated images and unknown splits."""
    rows: dict[str, _Row] = {}
    table = read_table(path, ("image", "tags", "split"), 2, problems)
    by_spaces = not any(mark in cells["tags"] for _, cells in table for mark in ";,")
    for where, cells in table:
        image = _image_path(cells)
        tags, split = _split_tags(cells["tags"], by_spaces), cells.get("split", "").lower()
        row = _Row(where, image, files.get(image, path), tags, split)
        if not image:
            problems.add(f"{where} names no image.")
        elif image in rows:
            problems.add(f"{where}: image '{image}' is also in {rows[image].where}.")
        elif image not in files:
            problems.add(f"{where}: there is no image '{image}' in {path.parent}; {_near(image, files)}")
        elif row.split not in ("", *SPLITS):
            problems.add(f"{where}: split '{row.split}' is not train or val.")
        else:
            rows[image] = row
    if not rows and not problems.sentences:
        problems.add(f"{path} lists no image.")
    return list(rows.values())


def _near(image: str, files: Collection[str]) -> str:
    """The file of the same name but for folder, suffix or case, else that of the nearest name; where none is near, only
    how many there are."""
    same = [file for file in files if _bare(file) == _bare(image)]
    close = same[:1] or get_close_matches(image, files, n=1, cutoff=0.8)
    return f"the nearest is '{close[0]}'" if close else f"it has {len(files)} others."


def _bare(image: str) -> str:
    return PurePosixPath(image).stem.casefold()


def _assign_splits(rows: list[_Row], val_share: float) -> None:
    """Fills in absent splits."""
    undecided = [row for row in rows if not row.split]
    for row, split in zip(undecided, divide([row.image for row in undecided], val_share), strict=True):
        row.split = split


def _read_marks(
    path: Path, kind: str, rows: dict[str, _Row], class_names: list[str], problems: Problems
) -> dict[str, list[tuple[float, ...]]]:
    """image -> its points (x, y, category) or boxes (x1, y1, x2, y2, category). Notes marks of unknown images or
    classes, off the picture, or against the tags."""
    columns, marks = MARKS[kind], {}
    for where, cells in read_table(path, ("image", *columns, "class"), len(columns) + 2, problems):
        image, name = _image_path(cells), cells["class"]
        try:
            values = [float(cells[column]) for column in columns]
        except ValueError:
            problems.add(f"{where}: {_not_numbers(cells, columns)}, not numbers; decimals have a point.")
            continue
        with problems.catch():  # of a picture that is damaged
            if image not in rows:
                problems.add(f"{where}: image '{image}' is not in the tag file; {_near(image, rows)}")
            elif name not in class_names:
                problems.add(f"{where}: there is no class '{name}'; {nearest(name, class_names)}")
            elif name not in rows[image].tags:
                problems.add(f"{where}: image '{image}' has a {kind} of '{name}' but is not tagged with it.")
            elif fault := _outside(values, *(size := picture_size(rows[image].path))):
                text, (height, width) = ",".join(f"{value:g}" for value in values), size
                problems.add(f"{where}: {kind} {text} {fault} '{image}', which is {width}x{height}.")
            else:
                marks.setdefault(image, []).append((*values, class_names.index(name)))
    return marks


def _not_numbers(cells: dict[str, str], columns: tuple[str, ...]) -> str:
    """'x and y are 'a' and 'b''."""
    return f"{' and '.join(columns)} are {' and '.join(repr(cells[column]) for column in columns)}"


def _outside(values: list[float], height: int, width: int) -> str:
    """What is wrong with the place of a point x, y or a box x1, y1, x2, y2 in a picture; empty where nothing is."""
    if len(values) == 2:
        x, y = values
        return "" if -0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5 else "lies outside"
    x1, y1, x2, y2 = values
    if x1 >= x2 or y1 >= y2:
        return "has no area in"
    return "" if x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height else "lies outside"


def _read_optional(
    root: Path, kind: str, rows: dict[str, _Row], class_names: list[str], problems: Problems
) -> dict[str, list[tuple[float, ...]]] | None:
    """The marks of points.csv or boxes.csv; None without that file. Notes an empty one."""
    path = root / ("points.csv" if kind == "point" else "boxes.csv")
    if not path.exists():
        return None
    marks = _read_marks(path, kind, rows, class_names, problems)
    if not marks and not problems.sentences:
        problems.add(f"{path} holds no {kind}.")
    return marks


def read_folder(
    root: Path | str,
    val_share: float,
    class_names: list[str] | None = None,
) -> Dataset:
    """Imports the pictures of `root` that its tags.csv names, with the points of points.csv and the
    boxes of boxes.csv where there are such files.

    Rows without a split are divided by the hash of the file name: the share `val_share` (0 to 1) goes to val.
    Classes are the tags in alphabetical order unless `class_names` fixes them. There are no masks, so `truth`
    gives None. Raises one `InputError` that names up to 20 bad lines.
    """
    root, problems = Path(root), Problems()
    tags_csv = root / "tags.csv"
    if not root.is_dir():
        raise InputError(missing_message("folder", root))
    if not 0 <= val_share < 1:
        raise InputError(f"val_share is {val_share}; it must be at least 0 and below 1.")
    pictures = [path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES]
    # a name that comes from a Mac has accents apart from their letters, read_table has them together
    files = {unicodedata.normalize("NFC", path.relative_to(root).as_posix()): path for path in pictures}
    rows = _read_rows(tags_csv, files, problems)
    if not class_names:
        note_alike({tag: row.where for row in reversed(rows) for tag in row.tags}, problems)
    class_names = list(class_names or sorted({tag for row in rows for tag in row.tags}))
    for row in rows:
        for tag in sorted(set(row.tags) - set(class_names)):
            problems.add(f"{row.where}: there is no class '{tag}'; {nearest(tag, class_names)}")
    if rows and not class_names:
        problems.add(f"{tags_csv} gives no image a tag.")
    _assign_splits(rows, val_share)
    if rows and not any(row.split == "train" for row in rows):
        problems.add(f"{tags_csv} puts every image in val, so there is none to train on.")
    by_image = {row.image: row for row in rows}
    points, boxes = (_read_optional(root, kind, by_image, class_names, problems) for kind in MARKS)
    records = [
        ImageRecord(
            id=str(PurePosixPath(row.image).with_suffix("")).replace("/", "_"),
            split=row.split,
            path=row.path,
            tags=tuple(sorted({class_names.index(tag) for tag in row.tags if tag in class_names})),
            points=np.array((points or {}).get(row.image, []), np.float32).reshape(-1, 3),
            boxes=np.array((boxes or {}).get(row.image, []), np.float32).reshape(-1, 5),
        )
        for row in rows
    ]
    check_ids(records, problems)
    problems.raise_any(f"The folder {root}")
    counts = {
        "images_without_tags": sum(1 for record in records if not record.tags),
        "pictures_without_a_row": len(files) - len(rows),
        "points": sum(len(record.points) for record in records),
        "tags_without_a_point": sum(len(set(record.tags) - set(record.points[:, 2])) for record in records if points),
        "boxes": sum(len(record.boxes) for record in records),
        "tags_without_a_box": sum(len(set(record.tags) - set(record.boxes[:, 4])) for record in records if boxes),
    }
    return Dataset(class_names, records, no_truth, counts)
