#!/usr/bin/env bash
# Pillow 13.0.0: an uncompressed gray TIFF with an EXIF quarter turn is read differently by path than from bytes.
#
# Guess: Image.open(path) and Image.open(BytesIO(path.read_bytes())) give the same array. Since
#        version 6, Pillow rotates TIFFs itself, so the array is the upright image.
# Seen:  from bytes, the image is upright. By path, the file is memory-mapped with its sides already swapped, and then
#        rotated: an image of 6 x 4 pixels (4 x 6 upright) becomes 6 x 4 pixels that match none of its rows or columns,
#        and `size` changes from (4, 6) to (6, 4) when the pixels are loaded. There is no warning. Microscopes and
#        scanners write such files, with 8 and 16 bits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'P'
import io
from pathlib import Path

import numpy as np
from PIL import Image

for dtype in (np.uint8, np.uint16):
    stored = np.arange(24, dtype=dtype).reshape(4, 6)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    Image.fromarray(stored).save("a.tif", exif=exif)
    upright = np.rot90(stored, -1)
    by_path = Image.open("a.tif")
    before, found, after = by_path.size, np.asarray(by_path), by_path.size
    from_bytes = np.asarray(Image.open(io.BytesIO(Path("a.tif").read_bytes())))
    print(f"{stored.dtype}: size {before}, loaded {after}; array by path {found.shape}, by bytes {from_bytes.shape}")
    assert (from_bytes == upright).all() and before == (4, 6)
    garbled = np.rot90(stored.reshape(6, 4), -1)
    if after != (6, 4) or found.shape != garbled.shape or (found != garbled).any():
        raise SystemExit("changed: by its path the picture is another than described")
P
