#!/usr/bin/env bash
# scikit-image 0.26.0: peak_local_max gives every pixel of a plateau as a peak; a larger min_distance leaves a grid of them.
#
# Guess: peaks keep at least min_distance from each other, so a plateau of three pixels is one peak, and of two equal peaks
#        at a distance of min_distance one is left.
# Seen:  with min_distance=1, the default, all three pixels are peaks. With min_distance=2, two at a distance of 2 both stay,
#        and a plateau of 5 x 5 pixels has nine. A map in 8 bits, or clipped at 1, has such plateaus, and each peak would
#        become an object. Workaround: one point per component of morphology.local_maxima.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-image==0.26.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'P'
import numpy as np
from skimage.feature import peak_local_max
from skimage.measure import label
from skimage.morphology import local_maxima

row, square = np.zeros((15, 15)), np.zeros((15, 15))
row[7, 5:8] = square[5:10, 5:10] = 1
found = {distance: [len(peak_local_max(one, min_distance=distance)) for one in (row, square)] for distance in (1, 2)}
components = [label(local_maxima(one)).max() for one in (row, square)]
print(f"peaks of 3 x 1 and of 5 x 5 pixels, by min_distance: {found}; components: {components}")
assert components == [1, 1]
if found != {1: [3, 25], 2: [2, 9]}:
    raise SystemExit("changed")
P
