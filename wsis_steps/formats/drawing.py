"""The contract of the readers of formats: what a file says of a picture, whatever the format.

A reader takes a source and notes, and yields drawings as the file has them. Which picture is meant, whether the
places lie in it, which names are classes, and what is left out: all of that is decided behind the readers, alike for
every format.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wsis_steps.data.settings import DataImportDataset
from wsis_steps.formats.rings import shown

WEAK = ("tag", "point", "box")  # the weak annotations, of which a shape gives one or several
KINDS = frozenset({*WEAK, "rings", "mask", "ellipse"})  # of shapes that are read


@dataclass(frozen=True, slots=True)
class Source:
    """What is to be read: the folder of the data set, and all settings of the import. mapper: `map`, or that of a
    process pool."""

    root: Path
    settings: DataImportDataset
    mapper: Callable = map

    @property
    def annotations(self) -> Path:
        """The file or folder of the annotations: what the user names, else the folder of the data set."""
        return self.settings.annotations or self.root


@dataclass(slots=True)
class Shape:
    """One mark.

    where: its place in the file, for messages: 'annotation 17'. label: its class as the file has it. geometry by
    kind, in pixels from the top left corner of the picture, or in shares of its sides where the drawing says so:
      tag       None: the whole picture
      point     (x, y), where (0, 0) is the middle of the first pixel
      box       (x1, y1, x2, y2), the last two one past the last pixel
      rings     polygons in whatever nesting (`rings.py`), or COCO's run-length code
      mask      COCO's run-length code of the whole picture, made by us
      ellipse   (x, y, radius x, radius y, turn in degrees, clockwise)
      another   a shape that cannot be a mask; the kind is what its tool calls it
    or an `Unusable`, where a shape is well written but cannot be used.
    group: shapes of one label and one group are one instance; None: alone. crowd: a region of several. box (x1, y1,
    x2, y2) and area in pixels: what the file says beside the geometry. weak: the weak annotations that it gives, None
    for all that it can."""

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
    """The kind of a shape that cannot be a mask, by what its tool calls it: never one of ours."""
    is_foreign = isinstance(name, str) and name.isidentifier() and name not in KINDS
    return name if is_foreign else f"shape called {shown(name)}"


@dataclass(slots=True)
class Drawing:
    """What a file says of one picture.

    where: the file, and the picture's place in it. name: what the file calls the picture, with slashes. height and
    width in pixels as the file says, 0 where it does not. split: train, val, or nothing. path: the picture, where the
    layout says which it is. shares: places are shares of the sides. sized: boxes were a corner and a size in the
    file, not two corners. uploaded: folders in the name are a server's and mean nothing. middles: the format has no
    points, so that the middle of a box is one where the object has no mask."""

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
    """What a reader found. drawings: taken once. class_names: all classes in their order, where the format has one;
    what stands for the background or for ignored pixels may be among them. folders: where its pictures lie, folders
    or single files, the whole folder of the data set unless it says; what else lies there is counted. counts: figures
    worth keeping beside those of the records. doubts: kinds of `notes.py` with their places, of what no single picture
    shows."""

    drawings: Iterable[Drawing]
    class_names: Sequence[str] = ()
    folders: Sequence[Path] = ()
    counts: dict[str, object] = field(default_factory=dict)
    doubts: list[tuple[str, str]] = field(default_factory=list)


def tell_apart(drawings: Sequence[Drawing], root: Path) -> None:
    """Names pictures whose name several have by their places in the folder of the data set."""
    uses = Counter(drawing.name for drawing in drawings)
    for drawing in drawings:
        if drawing.path and uses[drawing.name] > 1:
            drawing.name = drawing.path.relative_to(root).as_posix()
