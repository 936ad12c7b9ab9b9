"""Tables beside pictures, as people write them by hand or with a spreadsheet."""

import csv
from pathlib import Path

from authors import Picture, write_picture

CARRIES = {"tag", "point", "box", "empty"}
_TABLES = {
    "tags.csv": ("image", "tags", "split"),
    "points.csv": ("image", "x", "y", "class"),
    "boxes.csv": ("image", "x1", "y1", "x2", "y2", "class"),
}


def write(folder: Path, pictures: list[Picture]) -> None:
    """Writes the pictures and the tables; a picture is tagged with whatever is marked on it, but for the background."""
    rows = {name: [columns] for name, columns in _TABLES.items()}
    for seed, picture in enumerate(pictures):
        write_picture(folder / picture.name, *picture.size, seed)
        tags = dict.fromkeys(mark.label for mark in picture.marks if mark.kind == "tag" or mark.label != "background")
        rows["tags.csv"].append((picture.name, ";".join(tags), picture.split))
        for mark in picture.marks:
            if mark.kind != "tag":
                table = "points.csv" if mark.kind == "point" else "boxes.csv"
                rows[table].append((picture.name, *mark.geometry, mark.label))
    for name, lines in rows.items():
        if len(lines) > 1:
            with (folder / name).open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(lines)


def count(folder: Path, annotations: Path | None) -> int:
    """The tags and marks of the tables; -1 where these are no longer what they were."""
    found = 0
    for name, columns in _TABLES.items():
        if not (folder / name).exists():
            continue
        text = (folder / name).read_text(encoding="utf-8", errors="replace")
        rows = [row for row in csv.reader(text.splitlines()) if any(map(str.strip, row))]
        if not rows or tuple(rows[0]) != columns:
            return -1
        if name != "tags.csv":
            found += len(rows) - 1
            continue
        tags = [row[1] if len(row) > 1 else "" for row in rows[1:]]
        by_spaces = not any(mark in text for text in tags for mark in ";,")
        for text in tags:
            parts = text.split() if by_spaces else text.replace(",", ";").split(";")
            found += sum(bool(part.strip()) for part in parts)
    return found
