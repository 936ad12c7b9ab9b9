#!/usr/bin/env bash
# datumaro 1.13.12: a "CVAT for images 1.1" file is read as empty, without an error, unless it is named after its subset.
#
# Guess: the reader takes the images of a valid file, whatever the file is called; CVAT itself calls it annotations.xml.
# Seen:  the name of the file without .xml is taken as the subset to read, and images whose attribute `subset` differs are
#        skipped. `annotations.xml` with subset="train" gives 0 images and all labels; the same file as `train.xml` gives 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datumaro==1.13.12
cd "$folder"
venv/bin/python - 2>/dev/null <<'P'
import shutil
from pathlib import Path

from datumaro.components.dataset import Dataset
from PIL import Image

XML = """<annotations><version>1.1</version><meta><task><labels><label><name>leaf</name></label></labels></task></meta>
<image id="0" name="a.png" subset="train" width="8" height="8">
<box label="leaf" xtl="1" ytl="1" xbr="4" ybr="4" occluded="0" z_order="0"/></image></annotations>"""
found = {}
for name in ("annotations", "train"):
    shutil.rmtree("data", ignore_errors=True)
    Path("data/images").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save("data/images/a.png")
    Path(f"data/{name}.xml").write_text(XML)
    found[name] = len(Dataset.import_from("data", "cvat"))
print(f"images in annotations.xml: {found['annotations']}; in train.xml: {found['train']}")
if found != {"annotations": 0, "train": 1}:
    raise SystemExit("changed")
P
