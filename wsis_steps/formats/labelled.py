"""The instances of a split with their images: the input of the format writers."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.names import is_file_name, path_below, printable
from wsis_steps.engine.writers import whole, write_whole
from wsis_steps.vision.contracts.agreement import check_same_classes, places
from wsis_steps.vision.contracts.artifact import Artifact
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import ImageInstances, Instances

_PNG = b"\x89PNG"


@dataclass(frozen=True)
class LabelledImage:
    """One image: id, bytes of the image file and their suffix (.jpg or .png), size in pixels, and instances."""

    id: str
    data: bytes
    suffix: str
    height: int
    width: int
    instances: ImageInstances

    @property
    def file(self) -> str:
        """The name of the image file."""
        return self.id + self.suffix


@dataclass
class Labels:
    """Instances of the images of one split (`train` or `val`). scored: whether to write scores; kept, left_out: the
    numbers of instances in `images` and of those below the score."""

    images: Iterable[LabelledImage]
    count: int
    class_names: Sequence[str]
    split: str
    scored: bool
    origin: str
    kept: int = 0
    left_out: int = 0


def read_labels(
    instances: Instances, images: Images, min_score: float = 0.0, order: Sequence[int] | None = None
) -> Labels:
    """All images of a file of instances, read one by one; instances below `min_score` are left out.

    order: the places of all images in the file, in the order in which they are read; by default that of the file.

    Control characters in class names are escaped. Raises InputError if the two files are of different data, or the
    file has no image, or one whose id cannot be a file name.
    """
    if not len(instances):
        raise InputError(f"{instances.path} holds no image.")
    check_names(instances)
    check_same_classes(images, instances)
    where = places(images, instances)
    split = str(images.splits[where[0]])
    scores = np.concatenate([found.scores for found in instances])
    scored, kept = bool((scores != 1).any()), int((scores >= min_score).sum())
    made = instances.provenance.step

    def read() -> Iterator[LabelledImage]:
        for i in range(len(instances)) if order is None else order:
            data = images.encoded(int(where[i])).tobytes()
            found = instances.read(i)
            found = found.at(np.flatnonzero(found.scores >= min_score))
            height, width = int(instances.heights[i]), int(instances.widths[i])
            suffix = ".png" if data.startswith(_PNG) else ".jpg"
            yield LabelledImage(instances.ids[i], data, suffix, height, width, found)

    class_names = [printable(name) for name in instances.class_names]
    return Labels(read(), len(instances), class_names, split, scored, made, kept, len(scores) - kept)


def check_names(artifact: Artifact) -> None:
    """Raises InputError if the id of an image would lead out of the folder of an export."""
    for identity in artifact.ids:
        if not is_file_name(identity):
            raise InputError(
                f"{artifact.path} holds an image {identity!r}, which cannot be the name of a file below a folder; "
                "nothing is exported."
            )


def write_data(folder: Path, image: LabelledImage) -> None:
    """Writes the image file into a folder, which is created if needed."""
    write_whole(path_below(folder, image.file), image.data)


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """A text file to write in the block; it appears under its name if the block ends without an error. Creates its
    folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part, part.open("w", encoding="utf-8") as file:
        yield file
