#!/usr/bin/env bash
# connected-components-3d 4.1.1: a bool mask one pixel high is an error; as uint8, its components are counted.
#
# Guess: connected_components takes a bool mask of any shape and gives what the same mask gives as uint8.
# Seen:  RuntimeError: maximum length exception, for [[True, False, True]]; as uint8 it has two components. Of random bool
#        masks of one row or column, 4 to 22 % were refused, with two rows or more none. Crops of thin objects have such
#        shapes. Workaround: mask.view(numpy.uint8).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet connected-components-3d==4.1.1 numpy==2.4.6
"$folder/venv/bin/python" - 2>/dev/null <<'P'
import cc3d
import numpy as np

row = np.array([[True, False, True]])
assert cc3d.connected_components(row.view(np.uint8)).max() == 2
assert cc3d.connected_components(np.repeat(row, 2, axis=0)).max() == 2
try:
    found = cc3d.connected_components(row).max()
except RuntimeError as error:
    print(f"uint8: 2 components; bool: RuntimeError: {error}")
    assert "maximum length" in str(error)
else:
    raise SystemExit(f"changed: {found} components")
P
