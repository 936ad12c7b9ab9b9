#!/usr/bin/env bash
# Pillow 13.0.0: an image saved to a disk that fills up at its end is truncated without an error.
#
# Guess: Image.save raises OSError (no space left, or file too large) as soon as a write is incomplete.
# Seen:  Pillow's encoder writes to the file descriptor and treats only a negative result as an error. If the
#        disk has space for only a part of the last block, write() returns the length of that part, and no later call
#        fails. A JPEG of 3.1 kB with 2,500 bytes of space is truncated, Image.save returns, and the file opens without
#        an error; only decoding it to the end fails. Saving to an io.BytesIO and writing its bytes raises an error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0 numpy==2.4.6
cd "$folder"
cat > save.py <<'PY'
import io, resource, signal
import numpy as np
from PIL import Image

ROOM = 2500
picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
whole = io.BytesIO()
picture.save(whole, "JPEG")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a limit of file sizes acts like a full disk: EFBIG in place of ENOSPC
resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))
try:
    picture.save("cut.jpg", "JPEG")
    outcome = "no error"
except OSError as error:
    outcome = f"OSError: {error}"
try:
    with open("python.jpg", "wb") as file:
        file.write(whole.getvalue())
    python = "no error"
except OSError as error:
    python = "OSError"
import os
print(f"{len(whole.getvalue())} bytes, {os.path.getsize('cut.jpg')} written by Pillow: {outcome}; by Python's own file: {python}")
PY
"$folder/venv/bin/python" save.py | tee seen.txt
grep -q "2500 written by Pillow: no error; by Python's own file: OSError" seen.txt || { echo "changed"; exit 1; }
