#!/usr/bin/env bash
# numba 0.68.1, numpy 2.4.6: the difference of two uint8 pixels is 18446744073709551516 in a compiled function; -pixel wraps.
#
# Guess: numba widens unsigned pixels to signed 64 bits, so that 100 - 200 is -100 and -pixel is negative; and
#        uint64 - int64 is a float64, as in NumPy.
# Seen:  unsigned types stay unsigned. a - b of two uint8 is a uint64 (2**64 - 100; NumPy wraps to 156), while -pixel
#        of 3 stays a uint8, 253. A literal is signed: a - 200 is -100. uint64 - int64 is an int64. So abs(a - b) of two
#        pixels is huge in numba, and differs from NumPy's, which is wrong, too. Workaround: np.int64(a) - np.int64(b).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numba==0.68.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'P'
import numba
import numpy as np


@numba.njit
def differences(pixels, large):
    a, b = pixels
    return a - b, -b, a - 200, np.int64(a) - np.int64(b), large[0] - np.int64(1)


found = differences(np.array([100, 200], np.uint8), np.array([0], np.uint64))
print("a - b, -b, a - 200, signed a - b, uint64 0 - int64 1:", *found)
if found != (2**64 - 100, 56, -100, -100, -1) or isinstance(found[4], float):
    raise SystemExit("changed")
P
