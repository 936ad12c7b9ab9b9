"""The annotations of an image, in any format, with the names of their labels."""

from dataclasses import dataclass, field

from wsis_steps.formats.notes import Omission


@dataclass
class Fitted:
    """The annotations of an image. tags: labels; points: x, y, label; boxes: x1, y1, x2, y2, label; rles, labels, crowd
    of its masks; ignore: ignored pixels; without_mask: label and place of each object without a mask; kept:
    number of shapes used; joined: number of those that were joined to another shape of their instance."""

    height: int
    width: int
    tags: set[str] = field(default_factory=set)
    points: list[tuple[float, float, str]] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float, str]] = field(default_factory=list)
    rles: list[dict] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    ignore: dict | None = None
    without_mask: list[tuple[str, str]] = field(default_factory=list)
    kept: int = 0
    joined: int = 0
    omitted: list[Omission] = field(default_factory=list)
    doubts: list[tuple[str, str]] = field(default_factory=list)
