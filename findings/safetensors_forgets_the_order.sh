#!/usr/bin/env bash
# safetensors 0.8.0, numpy 2.4.6: an array in Fortran order is saved as the array of another order, without an error.
#
# Guess: safetensors.numpy.save writes any array by its values, as numpy.save does. (safetensors.torch refuses what is not
#        contiguous.)
# Seen:  it writes the bytes as they lie in memory, with the shape of the array. [[0, 3], [1, 4], [2, 5]], the transpose of
#        a contiguous array, is read as [[0, 1], [2, 3], [4, 5]]. Weights that are transposed for another library, and
#        masks that are prepared for pycocotools, lie like this. Workaround: numpy.ascontiguousarray before saving.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'P'
import numpy as np
from safetensors.numpy import load, save

turned = np.arange(6).reshape(2, 3).T
found = load(save({"turned": turned, "copied": np.ascontiguousarray(turned)}))
print(f"saved {turned.tolist()}, read {found['turned'].tolist()}; a copy in C order: {found['copied'].tolist()}")
assert found["copied"].tolist() == turned.tolist()
if found["turned"].tolist() != [[0, 1], [2, 3], [4, 5]]:
    raise SystemExit("changed")
P
