#!/usr/bin/env bash
# opencv-python-headless 5.0.0.93: minAreaRect counts its angle from -90 degrees again; 4.12 counted it from 0.
#
# Guess: the angle of a rotated box lies above 0 and up to 90 degrees, as since OpenCV 4.5.1, which had changed it.
# Seen:  it lies from -90 to below 0: -90 for an upright box of 10 x 4 pixels, where 4.12 gave 90; a square turned by 26.6
#        degrees has -63.4. The corners by boxPoints agree. Code that writes the angle into a file of rotated boxes, or
#        folds it from one range into another, gets other numbers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opencv-python-headless==5.0.0.93 numpy==2.4.6
"$folder/venv/bin/python" - <<'P'
import cv2
import numpy as np

upright = cv2.minAreaRect(np.array([[0, 0], [10, 0], [10, 4], [0, 4]]))
square = cv2.minAreaRect(np.array([[0, 0], [4, 2], [2, 6], [-2, 4]]))
angles = [cv2.minAreaRect(cv2.boxPoints(((50, 50), (40, 10), turn)))[2] for turn in range(0, 180, 5)]
corners = sorted(cv2.boxPoints(upright).round().tolist())
print(f"upright {upright[2]}, square {square[2]:.1f}, all from {min(angles):.0f} to {max(angles):.0f}")
assert corners == [[0, 0], [0, 4], [10, 0], [10, 4]]
if upright[2] != -90 or abs(square[2] + 63.4) > 0.1 or min(angles) < -90.001 or max(angles) > 0.001:
    raise SystemExit("changed")
P
