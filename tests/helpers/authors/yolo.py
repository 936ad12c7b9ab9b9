"""YOLO's layout as Ultralytics documents it: data.yaml, images/<subset>, labels/<subset>."""

from pathlib import Path

from authors import Picture, write_picture

CARRIES = {"box", "polygon", "split", "empty"}


def write(folder: Path, pictures: list[Picture]) -> None:
    names = list(dict.fromkeys(mark.label for picture in pictures for mark in picture.marks))
    for seed, picture in enumerate(pictures):
        subset, (height, width) = picture.split or "train", picture.size
        write_picture(folder / "images" / subset / picture.name, height, width, seed)
        labels = (folder / "labels" / subset / picture.name).with_suffix(".txt")
        labels.parent.mkdir(parents=True, exist_ok=True)
        if picture.marks:
            lines = [_line(mark, names, *picture.told) for mark in picture.marks]
            labels.write_text("\n".join(lines) + "\n", encoding="utf-8")
    subsets = [name for name in ("train", "val", "test") if (folder / "images" / name).is_dir()]
    text = "".join(f"{name}: images/{name}\n" for name in subsets)
    listed = "".join(f"  {k}: '{name}'\n" for k, name in enumerate(names))
    (folder / "data.yaml").write_text(f"path: .\n{text}nc: {len(names)}\nnames:\n{listed}", encoding="utf-8")


def _line(mark, names, height, width):
    if mark.kind == "box":
        x1, y1, x2, y2 = mark.geometry
        places = [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
    else:
        places = [value for x, y in mark.geometry for value in (x / width, y / height)]
    return " ".join([str(names.index(mark.label)), *(f"{place:.6f}" for place in places)])


def count(folder: Path, annotations: Path | None) -> int:
    lines = [
        line
        for path in folder.glob("labels/**/*.txt")
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
    ]
    return sum(bool(line.strip()) for line in lines)
