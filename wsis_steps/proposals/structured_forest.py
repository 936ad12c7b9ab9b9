"""Edges of a structured forest (Dollar and Zitnick, ICCV 2013), by OpenCV, from the user's model file.

OpenCV's own model is `model.yml.gz`, in testdata/cv/ximgproc of its repository opencv_extra.
"""

from pathlib import Path

import cv2
import numpy as np

from wsis_steps.engine.errors import InputError

_SMALLEST = 64  # pixels per side: the forest's patches have 32, and OpenCV fails if no patch fits
_TABLES = ("childs", "featureIds", "thresholds")  # one row per tree
_OPTIONS = ("stride", "shrinkNumber", "patchSize", "patchInnerSize", "numberOfTrees", "numberOfTreesToEvaluate")


def load_forest(path: Path) -> cv2.ximgproc.StructuredEdgeDetection:
    """Reads an OpenCV model file; InputError if it is missing or not such a file."""
    if not path.is_file():
        raise InputError(
            f"{path} does not exist; edges of a structured forest need OpenCV's model.yml.gz, "
            "which is in its repository opencv_extra."
        )
    try:
        trees = _count_trees(path)
        if trees:
            return cv2.ximgproc.createStructuredEdgeDetection(str(path))
    except (cv2.error, SystemError):  # OpenCV raises the second for truncated files
        pass
    raise InputError(f"{path} is damaged or not an OpenCV structured forest (model.yml.gz).") from None


def forest_edges(forest: cv2.ximgproc.StructuredEdgeDetection, picture: np.ndarray) -> np.ndarray:
    """Edge strength float32 (h, w), 0 to 1, of a picture uint8 RGB (h, w, 3) of any size."""
    height, width = picture.shape[:2]
    below, right = max(_SMALLEST - height, 0), max(_SMALLEST - width, 0)
    padded = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REFLECT)
    edges = forest.detectEdges(padded.astype(np.float32) / 255)
    return np.clip(edges[:height, :width], 0, 1)


def _count_trees(path: Path) -> int:
    """Number of trees in a model file, 0 if it is something else, which would crash OpenCV."""
    file = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
    options = file.getNode("options")
    if not options.isMap() or not all(options.getNode(name).isInt() for name in _OPTIONS):
        return 0
    if min(options.getNode(name).real() for name in _OPTIONS) < 1:
        return 0
    trees = int(options.getNode("numberOfTrees").real())
    whole = all(file.getNode(name).size() == trees for name in _TABLES)
    return trees if whole and not file.getNode("edgeBins").empty() else 0
