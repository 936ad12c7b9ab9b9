#!/usr/bin/env bash
# sahi 0.12.8: reading a COCO file, it leaves out masks in run lengths, keeps their boxes, and takes the box for the area.
#
# Guess: a mask in run lengths, which COCO's format allows for any object, is read or stops with an error.
# Seen:  Coco.from_coco_dict_or_path gives the object an empty segmentation, and its area of 90 pixels becomes the 99 of its
#        box. Polygons are kept. Slicing a data set goes through this reader. Workaround: polygons, or masks by pycocotools.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet sahi==0.12.8
cd "$folder"
venv/bin/python - 2>/dev/null <<'P'
import json
from pathlib import Path

from sahi.utils.coco import Coco

COUNTS = [83, *[9, 11] * 3, *[3, 3, 3, 11] * 3, *[9, 11] * 4, 9, 308]  # 11 x 9 pixels with a hole of 3 x 3
found = {}
for kind, mask in (("runs", {"size": [20, 30], "counts": COUNTS}), ("polygon", [[4, 3, 15, 3, 15, 12, 4, 12]])):
    row = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 90, "bbox": [4, 3, 11, 9], "segmentation": mask}
    image = {"id": 1, "file_name": "a.png", "width": 30, "height": 20}
    file = {"images": [image], "categories": [{"id": 1, "name": "leaf"}], "annotations": [row]}
    Path("a.json").write_text(json.dumps(file))
    [one] = Coco.from_coco_dict_or_path("a.json").json["annotations"]
    found[kind] = (one["segmentation"], one["area"], one["bbox"])
print(found)
assert sum(COUNTS) == 600 and sum(COUNTS[1::2]) == 90 and found["polygon"][0] == [[4, 3, 15, 3, 15, 12, 4, 12]]
if found["runs"] != ([], 99, [4, 3, 11, 9]):
    raise SystemExit("changed")
P
