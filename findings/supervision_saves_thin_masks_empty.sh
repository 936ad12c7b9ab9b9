#!/usr/bin/env bash
# supervision 0.31.2: saved as COCO, a mask one pixel thin has no segmentation; one with a hole or two parts is a crowd.
#
# Guess: as_coco saves masks as polygons that fill holes and keep every part; a thin object is a thin polygon.
# Seen:  a line of 25 pixels gets an empty segmentation, with a warning, since its outline has two corners; pycocotools finds no
#        mask. Masks with a hole or several parts are exact run lengths, but marked as crowds (iscrowd 1), which trainings
#        leave out and evaluations do not count as objects.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet supervision==0.31.2 opencv-python-headless==5.0.0.93
cd "$folder"
venv/bin/python - 2>/dev/null <<'P'
import json
from pathlib import Path

import cv2
import numpy as np
import supervision

masks = np.zeros((3, 20, 30), bool)
masks[0, 5, 2:27] = masks[1, 3:12, 4:15] = masks[2, 10:17, 12:25] = True
masks[1, 6:9, 7:10] = False
cv2.imwrite("a.png", np.zeros((20, 30, 3), np.uint8))
objects = supervision.Detections(xyxy=supervision.mask_to_xyxy(masks), mask=masks, class_id=np.zeros(3, int))
supervision.DetectionDataset(["leaf"], ["a.png"], {"a.png": objects}).as_coco(annotations_path="a.json")
rows = json.loads(Path("a.json").read_text())["annotations"]
found = [(row["area"], row["iscrowd"], type(row["segmentation"]).__name__, len(row["segmentation"])) for row in rows]
print(f"line, rectangle with a hole, rectangle; area, crowd, mask: {found}")
if found != [(25, 0, "list", 0), (90, 1, "dict", 2), (91, 0, "list", 1)]:
    raise SystemExit("changed")
P
