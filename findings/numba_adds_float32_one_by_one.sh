#!/usr/bin/env bash
# numba 0.68.1, numpy 2.4.6: in a compiled function, the variance of float32 pixels can be a thousand times NumPy's.
#
# Guess: array.var() in numba agrees with NumPy's to five digits, as sums, means and deviations of images should.
# Seen:  numba adds the values one after the other in float32, where NumPy adds them pairwise. For a million values between
#        1000 and 1001, the mean is 1010, outside of all values, and the variance 90 in place of 0.083. A map of 12
#        megapixels with 16-bit values is such a case. Workaround: array.astype(np.float64) in the compiled function.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numba==0.68.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'P'
import numba
import numpy as np

pixels = (1000 + np.random.default_rng(0).random(10**6)).astype(np.float32)
mean, variance = numba.njit(lambda array: (array.mean(), array.var()))(pixels)
exact = numba.njit(lambda array: array.astype(np.float64).var())(pixels)
print(f"mean: numba {mean:.1f}, numpy {pixels.mean():.1f}; variance: numba {variance:.1f}, numpy {pixels.var():.4f}")
assert abs(pixels.var() - 1 / 12) < 1e-3 and abs(exact - 1 / 12) < 1e-3
if not (mean > pixels.max() and variance > 50):
    raise SystemExit("changed")
P
