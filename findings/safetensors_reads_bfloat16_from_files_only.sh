#!/usr/bin/env bash
# safetensors 0.8.0, numpy 2.4.6, ml_dtypes 0.6.0: weights in bfloat16 are read by load_file, but not by load.
#
# Guess: with ml_dtypes, which gives NumPy the type, safetensors.numpy.load reads the bytes that safetensors.numpy.save made.
# Seen:  save writes them and load_file reads them from a file; load, given the same bytes, raises KeyError: 'BF16', since
#        it has a table of types of its own. Weights in bfloat16 from an archive or the network must become a file first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6 ml_dtypes==0.6.0
cd "$folder"
venv/bin/python - <<'P'
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import load, load_file, save

content = save({"weight": np.array([1.5, -2], ml_dtypes.bfloat16)})
Path("a.safetensors").write_bytes(content)
found = load_file("a.safetensors")["weight"]
try:
    outcome = str(load(content))
except KeyError as error:
    outcome = f"KeyError: {error}"
print(f"from a file: {found.dtype} {found.tolist()}; from bytes: {outcome}")
assert found.dtype == ml_dtypes.bfloat16 and found.tolist() == [1.5, -2]
if outcome != "KeyError: 'BF16'":
    raise SystemExit("changed")
P
