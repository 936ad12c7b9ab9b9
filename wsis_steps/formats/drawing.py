"""The contract of the format readers: what a file says about an image, in any format.

A reader takes a source and notes, and yields drawings exactly as the file has them. Later steps decide, in the same way
for all formats, which image is meant, whether places lie inside it, which names are classes, and what is left out.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wsis_steps.data.settings import DataImportDataset
from wsis_steps.formats.picture_names import Pictures
from wsis_steps.formats.rings import shown

WEAK = ("tag", "point", "box")  # the weak annotations; a shape gives one or several
KINDS = frozenset({*WEAK, "rings", "mask", "ellipse"})  # kinds of shapes that are read


@dataclass(frozen=True, slots=True)
class Source:
    """What to read: the folder of the data set and all settings of the import. mapper: `map`, or that of a process
    pool."""

    root: Path
    settings: DataImportDataset
    mapper: Callable = map

    @property
    def annotations(self) -> Path:
        """The file or folder of the annotations: the setting, else the folder of the data set."""
        return self.settings.annotations or self.root


@dataclass(slots=True)
class Shape:
    """One mark.

    where: its place in the file, for messages: 'annotation 17'. label: its class as written in the file. geometry:
    depends on the kind, in pixels from the top left corner of the image, or in shares of its sides if the drawing says
    so:
      tag       None: the whole image
      point     (x, y), where (0, 0) is the center of the first pixel
      box       (x1, y1, x2, y2), where x2 and y2 are one past the last pixel
      rings     polygons, nested in any way (`rings.py`), or COCO's run-length code
      mask      COCO's run-length code of the whole image, made by a reader
      ellipse   (x, y, radius x, radius y, clockwise rotation in degrees)
      other     a shape that cannot be a mask; the kind is its tool's name for it
    or an `Unusable`, for a well-formed shape that cannot be used.
    group: shapes with the same label and group are one instance; None: not grouped. crowd: a region of several objects.
    box (x1, y1, x2, y2), area: what the file states in addition to the geometry, in pixels. weak: the weak annotations
    that the shape gives; None: all it can."""

    where: str
    kind: str
    label: object
    geometry: object = None
    group: object = None
    crowd: bool = False
    box: tuple[float, float, float, float] | None = None
    area: float | None = None
    weak: tuple[str, ...] | None = None


def foreign_kind(name: object) -> str:
    """The kind of a shape that cannot be a mask, from its tool's name for it; never one of KINDS."""
    is_foreign = isinstance(name, str) and name.isidentifier() and name not in KINDS
    return name if is_foreign else f"shape called {shown(name)}"


@dataclass(slots=True)
class Drawing:
    """What a file says about one image.

    where: the file, and the image's place in it. name: the file's name for the image, with slashes. height, width: as
    stated in the file, in pixels, 0 if not stated. split: train, val, or ''. path: the image, if the layout determines
    it. shares: coordinates are shares of the sides. sized: boxes are a corner and a size in the file, not two corners.
    uploaded: folders in the name are a server's and are ignored. middles: the format has no points, so the center of a
    box is used as point of an object without a mask."""

    where: str
    name: str
    height: int = 0
    width: int = 0
    shapes: list[Shape] = field(default_factory=list)
    split: str = ""
    path: Path | None = None
    shares: bool = False
    sized: bool = False
    uploaded: bool = False
    middles: bool = False


@dataclass(slots=True)
class Reading:
    """What a reader found.

    drawings: iterated once. class_names: all classes in order, if the format defines one; may include names for the
    background or ignored pixels. folders: folders or single files of its images, empty for the whole data set; unlisted
    images there are counted. counts: additional figures to keep. doubts: kinds of `notes.py` with their places, for
    doubts that concern more than one image. pictures: these images, if the reader has looked for them.
    """

    drawings: Iterable[Drawing]
    class_names: Sequence[str] = ()
    folders: Sequence[Path] = ()
    counts: dict[str, object] = field(default_factory=dict)
    doubts: list[tuple[str, str]] = field(default_factory=list)
    pictures: Pictures | None = None


def tell_apart(drawings: Sequence[Drawing], root: Path) -> None:
    """Renames images that share a name to their paths within the data set."""
    uses = Counter(drawing.name for drawing in drawings)
    for drawing in drawings:
        if drawing.path and uses[drawing.name] > 1:
            drawing.name = drawing.path.relative_to(root).as_posix()
