"""Writers of formats as their tools write them, by hand: what readers are tested with."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np


@dataclass(frozen=True)
class Mark:
    """What is drawn on a picture. kind: tag, point (x, y), box (x1, y1, x2, y2), polygon (float (n, 2)), mask (uint8
    (h, w)), ellipse (x, y, radius x, radius y), line (float (n, 2)); places in pixels from the top left corner."""

    kind: str
    label: object
    geometry: object = None
    group: int | None = None


@dataclass(frozen=True)
class Picture:
    """A picture: its name with folders, its marks, the size that the file is to state (h, w), None for its own, and its
    split."""

    name: str
    marks: tuple[Mark, ...] = ()
    size: tuple[int, int] = (80, 120)
    stated: tuple[int, int] | None = None
    split: str = ""

    @property
    def told(self) -> tuple[int, int]:
        """Height and width as the file is to state them."""
        return self.stated or self.size


def write_picture(path: Path, height: int, width: int, seed: int = 0) -> None:
    """A picture of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    data = cv2.imencode(".png" if path.suffix.lower() == ".png" else ".jpg", noise)[1]
    path.write_bytes(data.tobytes())
