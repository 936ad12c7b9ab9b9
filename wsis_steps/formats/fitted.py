"""The annotations of a picture, whatever the format, with the names of their labels."""

from dataclasses import dataclass, field

from wsis_steps.formats.notes import Omission


@dataclass
class Fitted:
    """The annotations of a picture. tags: labels; points: x, y and label; boxes: x1, y1, x2, y2 and label; rles, labels
    and crowd of its masks; ignore: pixels that do not count. without_mask: where objects stand that have none. kept:
    shapes that are in one of these; joined: those of them that are of one instance with another one."""

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
