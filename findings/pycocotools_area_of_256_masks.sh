#!/usr/bin/env bash
# pycocotools 2.0.11, numpy 2.4.6: `mask.area` works for 255 masks and raises an error for 256.
#
# Guess: `mask.area` takes a list of any length, as `encode`, `decode`, `iou` and `toBbox` do.
# Seen:  OverflowError: Python integer 256 out of bounds for uint8. The number of masks is written into one byte of an
#        array's shape; NumPy 1 wrapped the value, NumPy 2 refuses it. An image with 256 annotations, a crowd of people or cells,
#        is enough. `iou` of the same list works. Workaround: pass at most 255 masks per call.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pycocotools==2.0.11 numpy==2.4.6
"$folder/venv/bin/python" - <<'P'
import numpy as np
from pycocotools import mask

codes = mask.encode(np.asfortranarray(np.ones((4, 4, 256), np.uint8)))
assert mask.area(codes[:255]).tolist() == [16] * 255
assert mask.iou(codes, codes, [0] * 256).shape == (256, 256)
try:
    mask.area(codes)
except OverflowError as error:
    print(f"255 masks: counted; 256 masks: {type(error).__name__}: {error}")
    assert "256 out of bounds for uint8" in str(error)
else:
    raise SystemExit("changed: 256 masks are counted")
P
