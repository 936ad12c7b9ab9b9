#!/usr/bin/env bash
# datumaro 1.13.12: images whose YOLO labels are polygons vanish on import, without an error.
#
# Guess: polygons, the format of YOLO's segmentation, are read as polygons, or the import stops with an error.
# Seen:  the reader knows boxes only (five numbers per line). An image with a polygon is dropped; images with boxes or
#        without labels stay. Dataset.import_from returns 2 of 3 images and raises nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datumaro==1.13.12
cd "$folder"
venv/bin/python - 2>/dev/null <<'P'
from pathlib import Path

from datumaro.components.dataset import Dataset
from PIL import Image

LABELS = {"box": "0 0.5 0.5 0.5 0.5", "none": "", "polygon": "0 0.1 0.1 0.9 0.1 0.9 0.9"}
for part in ("images", "labels"):
    Path("data", part, "train").mkdir(parents=True)
Path("data/data.yaml").write_text("train: images/train\nnames:\n  0: leaf\n")
for name, line in LABELS.items():
    Image.new("RGB", (8, 8)).save(f"data/images/train/{name}.png")
    Path(f"data/labels/train/{name}.txt").write_text(line)
found = sorted(item.id for item in Dataset.import_from("data", "yolo"))
print(f"images: {found}")
if found != ["box", "none"]:
    raise SystemExit("changed")
P
